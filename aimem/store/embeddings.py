"""The embedding cache: vectors by the hash of their text and their model. Never an op, never in a digest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Instant, StreamId, unpack_stamp
from aimem.ports import Connection
from aimem.store.filters import ALL as ALL_ROWS
from aimem.store.filters import Clause, live_at
from aimem.store.lineage import line_of
from aimem.store.transaction import Transaction

_MODEL = "SELECT value FROM meta WHERE name = 'embedding_model'"
_SET_MODEL = (
    "INSERT INTO meta (name, value) VALUES ('embedding_model', :model) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_REMARK = (
    "UPDATE memory_view SET is_embedded = EXISTS "
    "(SELECT 1 FROM embeddings e WHERE e.text_hash = memory_view.text_hash AND e.model = :model)"
)
_OWED = (
    "SELECT v.no, v.text_hash, m.born, m.stamps FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE v.state = 'live' AND v.is_embedded = 0 AND v.no > :after ORDER BY v.no LIMIT :limit"
)
_FIRST_OWED = (
    "SELECT min(no) FROM memory_view WHERE no IN (SELECT value FROM json_each(:numbers)) "
    "AND state = 'live' AND is_embedded = 0"
)
_TEXTS_OWED = (
    "SELECT v.text_hash, CASE m.title_generated WHEN 1 THEN m.content ELSE m.title || char(10) || m.content END "
    "FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE v.text_hash IN (SELECT unhex(value) FROM json_each(:hashes)) AND v.state = 'live' AND v.is_embedded = 0 "
    "GROUP BY v.text_hash"
)
_COUNT_BACKLOG = (
    "SELECT count(*) FROM (SELECT 1 FROM memory_view WHERE state = 'live' AND is_embedded = 0 LIMIT :limit)"
)
_COUNT_SEEN = "SELECT count(*) FROM memory_view v JOIN memories m ON m.id = v.id WHERE v.is_embedded = 0"
# Each half reads a partial index alone: 60 ms for a million rows, where looking at the rows takes 400.
_COUNT_EMBEDDED = (
    "SELECT (SELECT count(*) FROM memory_view WHERE state = 'live') - "
    "(SELECT count(*) FROM memory_view WHERE state = 'live' AND is_embedded = 0)"
)
_PUT = "INSERT OR REPLACE INTO embeddings (text_hash, model, chunk, vector) VALUES (?, ?, ?, ?)"
_MARK = "UPDATE memory_view SET is_embedded = 1 WHERE text_hash = ? RETURNING no"
_HASHES_BETWEEN = (
    "SELECT no, text_hash FROM memory_view WHERE no >= :low AND no < :high AND state = 'live' AND is_embedded = 1 "
    "ORDER BY no"
)
_LAST_NUMBER = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'memory_view'"
_VECTORS_OF = (
    "SELECT v.no, v.text_hash, e.vector FROM memory_view v "
    "JOIN embeddings e ON e.text_hash = v.text_hash AND e.model = :model "
    "WHERE v.state = 'live' AND v.no IN (SELECT value FROM json_each(:numbers)) ORDER BY v.no, e.chunk"
)
_HASHES_OF_SLICE = (
    "SELECT DISTINCT text_hash FROM memory_view WHERE no >= :low AND no < :high AND text_hash IS NOT NULL"
)
_DONE = (
    "SELECT DISTINCT text_hash FROM memory_view "
    "WHERE text_hash IN (SELECT unhex(value) FROM json_each(:hashes)) AND is_embedded = 1"
)
_VECTORS_BY_HASH = (
    "SELECT vector FROM embeddings WHERE text_hash = :text_hash AND model = :model ORDER BY chunk"
)
_FORGET = "DELETE FROM embeddings WHERE text_hash = ?"
_UNMARK = "UPDATE memory_view SET is_embedded = 0 WHERE text_hash = ?"
_DROP_UNUSED = (
    "DELETE FROM embeddings WHERE (text_hash, model) IN (SELECT DISTINCT e.text_hash, e.model FROM embeddings e "
    "WHERE e.model <> :model OR NOT EXISTS (SELECT 1 FROM memory_view v WHERE v.text_hash = e.text_hash) LIMIT :limit)"
)


ALL: Final = 2**62


class Owed(Struct, frozen=True, kw_only=True):
    """A memory whose text waits for its vectors; `member` is the present stream of the other node that wrote it."""

    no: int
    text_hash: bytes
    member: StreamId | None


class Embedded(Struct, frozen=True):
    """The vectors of a memory (little-endian float16), chunk by chunk, and the hash of the text behind them."""

    text_hash: bytes
    vectors: list[bytes]


class Lent(Struct, frozen=True, kw_only=True):
    """Vectors that another node asked for; a text without any is found by its words alone.

    What is neither found nor missing did not fit.
    """

    found: tuple[Embedded, ...]
    missing: tuple[bytes, ...]


def use_model(transaction: Transaction, model: str) -> bool:
    """Say which model's vectors count from now on. Returns: whether that changed anything."""
    row = transaction.conn.execute(_MODEL).fetchone()
    if row is not None and row[0] == model:
        return False
    transaction.conn.execute(_SET_MODEL, {"model": model})
    transaction.conn.execute(_REMARK, {"model": model})
    return True


def owed(
    conn: Connection, after: int, limit: int, own: StreamId, members: Sequence[StreamId]
) -> tuple[Owed, ...]:
    """Live memories without vectors of the present model, those numbered beyond `after`, by number.

    Args:
      own, members: the streams that this node and others write now; what a node wrote before counts as its own.
    """
    wrote: dict[StreamId, StreamId | None] = dict.fromkeys(line_of(conn, own)) if members else {}
    for member in members:
        for stream in line_of(conn, member):
            wrote.setdefault(stream, member)
    found = conn.execute(_OWED, {"after": after, "limit": limit})
    return tuple(
        Owed(
            no=cast("int", no), text_hash=cast("bytes", digest),
            member=wrote.get(_writer(cast("bytes", born), stamps)) if members else None,
        )
        for no, digest, born, stamps in found
    )


def _writer(born: bytes, packed: object) -> StreamId:
    """The stream that made a text what it is: of name and content it wrote the later one."""
    stamps: dict[str, bytes | None] = msgspec.msgpack.decode(packed) if isinstance(packed, bytes) else {}
    return unpack_stamp(max(stamps.get("name") or born, stamps.get("content") or born)).stream


def first_owed(conn: Connection, numbers: Iterable[int]) -> int | None:
    """The least of these rows that is live and has no vectors."""
    row = conn.execute(_FIRST_OWED, {"numbers": f"[{','.join(map(str, numbers))}]"}).fetchone()
    return None if row is None else cast("int | None", row[0])


def texts_owed(conn: Connection, hashes: Sequence[bytes]) -> dict[bytes, str]:
    """Of these texts those that still wait for their vectors."""
    found = conn.execute(_TEXTS_OWED, {"hashes": _hex_array(hashes)})
    return {cast("bytes", digest): cast("str", text) for digest, text in found}


def vectors_by_hash(conn: Connection, model: str, hashes: Sequence[bytes], max_bytes: int) -> Lent:
    """The vectors of these texts, as far as they are there; of at most so many bytes, but of one text at least."""
    done = {cast("bytes", row[0]) for row in conn.execute(_DONE, {"hashes": _hex_array(hashes)})}
    found: list[Embedded] = []
    size_bytes = 0
    for digest in dict.fromkeys(hashes):
        if digest not in done:
            continue
        rows = conn.execute(_VECTORS_BY_HASH, {"text_hash": digest, "model": model})
        vectors = [cast("bytes", row[0]) for row in rows]
        size_bytes += sum(map(len, vectors))
        if found and size_bytes > max_bytes:
            break
        found.append(Embedded(digest, vectors))
    return Lent(found=tuple(found), missing=tuple(digest for digest in dict.fromkeys(hashes) if digest not in done))


def _hex_array(hashes: Sequence[bytes]) -> str:
    return msgspec.json.encode([digest.hex() for digest in hashes]).decode()


def count_backlog(conn: Connection, limit: int = ALL) -> int:
    """Live memories that wait for their vectors, counted up to a limit."""
    row = conn.execute(_COUNT_BACKLOG, {"limit": limit}).fetchone()
    return cast("int", row[0]) if row else 0


def count_backlog_seen(conn: Connection, visible: Clause, now: Instant) -> int:
    """Live memories that a caller may see and that wait for their vectors."""
    if visible == ALL_ROWS:
        return count_backlog(conn)
    where = live_at(now) & visible
    row = conn.execute(f"{_COUNT_SEEN} AND {where.sql}", where.parameters).fetchone()
    return cast("int", row[0]) if row else 0


def count_embedded(conn: Connection) -> int:
    """Live memories that have their vectors."""
    row = conn.execute(_COUNT_EMBEDDED).fetchone()
    return cast("int", row[0]) if row else 0


def put(transaction: Transaction, model: str, vectors: Sequence[tuple[bytes, Sequence[bytes]]]) -> tuple[int, ...]:
    """Keep the vectors (little-endian float16) of some texts, chunk by chunk, and mark their memories as done.

    Returns: the numbers of all rows of the view that have one of the texts.
    """
    marked: list[int] = []
    for text_hash, chunks in vectors:
        transaction.conn.executemany(_PUT, [(text_hash, model, i, vector) for i, vector in enumerate(chunks)])
        marked += [cast("int", row[0]) for row in transaction.conn.execute(_MARK, (text_hash,)).fetchall()]
    return tuple(marked)


def last_number(conn: Connection) -> int:
    """The greatest row number that the view ever gave, be its row still there or not."""
    row = conn.execute(_LAST_NUMBER).fetchone()
    return cast("int", row[0]) if row else 0


def hashes_between(conn: Connection, low: int, high: int) -> list[tuple[int, bytes]]:
    """Live memories numbered in [low, high) that have their vectors: number and hash of the text, by number."""
    found = conn.execute(_HASHES_BETWEEN, {"low": low, "high": high})
    return [(cast("int", no), cast("bytes", digest)) for no, digest in found]


def vectors_of(conn: Connection, model: str, numbers: Sequence[int]) -> dict[int, Embedded]:
    """Vectors of those of these rows that are live and embedded."""
    asked = "[" + ",".join(map(str, numbers)) + "]"
    vectors: dict[int, Embedded] = {}
    for no, digest, vector in conn.execute(_VECTORS_OF, {"model": model, "numbers": asked}):
        row = vectors.setdefault(cast("int", no), Embedded(cast("bytes", digest), []))
        row.vectors.append(cast("bytes", vector))
    return vectors


def forget(transaction: Transaction, hashes: Sequence[bytes]) -> None:
    """Drop the vectors of some texts; their memories wait for new ones."""
    transaction.conn.executemany(_FORGET, [(digest,) for digest in hashes])
    transaction.conn.executemany(_UNMARK, [(digest,) for digest in hashes])


def forget_between(transaction: Transaction, low: int, high: int) -> None:
    """Drop the vectors of the memories numbered in [low, high)."""
    found = transaction.conn.execute(_HASHES_OF_SLICE, {"low": low, "high": high}).fetchall()
    forget(transaction, [cast("bytes", row[0]) for row in found])


def drop_unused(transaction: Transaction, model: str, limit: int) -> int:
    """Forget the vectors of at most `limit` texts that no memory has, or that another model made. Returns: how many.

    Those of one text go together: a part left behind would pass for all of it if the text came back.
    """
    return transaction.conn.execute(_DROP_UNUSED, {"model": model, "limit": limit}).rowcount
