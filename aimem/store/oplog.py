"""The op log: appending, reading back, blanking, and the heads of the streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from aimem.model import Dot, Entry, Op, Stamp, StreamHead, StreamId, Vector, blank_entry, decode_entry, is_blank
from aimem.ports import Connection

GENESIS = bytes(32)
"""The `previous` of a stream's first op."""

Keys: TypeAlias = tuple[tuple[str, str], ...]
"""(kind, key) of each entry of an op."""

_LAST_POSITION = "SELECT seq FROM sqlite_sequence WHERE name = 'ops'"
_INSERT_OP = "INSERT INTO ops (position, stream, seq, hlc, kind, previous, signature) VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_ENTRY = "INSERT INTO op_entries (position, ordinal, kind, key, data) VALUES (?, ?, ?, ?, ?)"
_SET_HEAD = (
    "INSERT INTO streams (stream, head_seq, head_hlc, head_hash) VALUES (?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE "
    "SET head_seq = excluded.head_seq, head_hlc = excluded.head_hlc, head_hash = excluded.head_hash"
)
_HEAD = "SELECT head_seq, head_hlc, head_hash FROM streams WHERE stream = ?"
_HEADS = "SELECT stream, head_seq FROM streams ORDER BY stream"
_LAST_HLC = "SELECT coalesce(max(head_hlc), 0) FROM streams"
_READ_AFTER = (
    "SELECT position, stream, seq, hlc, kind, previous, signature FROM ops WHERE position > ? ORDER BY position LIMIT ?"
)
_READ_ENTRIES = "SELECT data FROM op_entries WHERE position = ? ORDER BY ordinal"
_ENTRIES_OF = "SELECT position, ordinal, data FROM op_entries WHERE kind = ? AND key = ?"
_REPLACE_ENTRY = "UPDATE op_entries SET data = ? WHERE position = ? AND ordinal = ?"
_COUNT = "SELECT count(*) FROM ops WHERE position > 0"
_PREVIOUS_OF = "SELECT previous FROM ops WHERE stream = ? AND seq = ?"


def nothing(stream: StreamId) -> StreamHead:
    """The head of a stream before its first op."""
    return StreamHead(stream=stream, seq=0, hlc=0, chain_hash=GENESIS)


def append(conn: Connection, op: Op, keys: Keys) -> int:
    """Log an op at the end; its stream's head is moved to it by `set_head`, once a group.

    Returns: its position in this node's log.
    """
    return append_all(conn, [(op, keys)])


def append_all(conn: Connection, found: Sequence[tuple[Op, Keys]]) -> int:
    """Log ops at the end, in order. Returns: the position of the last one.

    It is counted here, not told by RETURNING: SQLite opens a savepoint around such a statement, and closing one walks
    the pages that the job's own savepoint keeps.
    """
    row = conn.execute(_LAST_POSITION).fetchone()
    last = _int(row[0]) if row else 0
    placed = list(enumerate(found, last + 1))
    conn.executemany(_INSERT_OP, [
        (at, op.dot.stream, op.dot.seq, op.stamp.hlc, op.kind, op.previous, op.signature) for at, (op, _) in placed
    ])
    conn.executemany(_INSERT_ENTRY, [
        (at, ordinal, kind, key, data) for at, (op, keys) in placed
        for ordinal, ((kind, key), data) in enumerate(zip(keys, op.entries, strict=True))
    ])
    return last + len(placed)


def set_head(conn: Connection, head: StreamHead) -> None:
    """Note how far a stream is known."""
    conn.execute(_SET_HEAD, (head.stream, head.seq, head.hlc, head.chain_hash))


def head(conn: Connection, stream: StreamId) -> StreamHead | None:
    """The end of the known prefix of a stream, or None for an unknown stream."""
    row = conn.execute(_HEAD, (stream,)).fetchone()
    if row is None:
        return None
    return StreamHead(stream=stream, seq=_int(row[0]), hlc=_int(row[1]), chain_hash=_bytes(row[2]))


def hash_at(conn: Connection, dot: Dot) -> bytes | None:
    """The chain hash of a known op that is not its stream's head; None if the log no longer tells."""
    row = conn.execute(_PREVIOUS_OF, (dot.stream, dot.seq + 1)).fetchone()
    return _bytes(row[0]) if row else None


def vector(conn: Connection) -> Vector:
    """What this node knows."""
    return {StreamId(str(stream)): _int(seq) for stream, seq in conn.execute(_HEADS)}


def last_hlc(conn: Connection) -> int:
    """The greatest clock value among all known ops: this node's clock must move past it."""
    row = conn.execute(_LAST_HLC).fetchone()
    return _int(row[0] if row else None)


def read_after(conn: Connection, position: int, limit: int) -> list[tuple[int, Op]]:
    """At most `limit` ops behind a position of this node's log, in its order, with their positions."""
    found = []
    for at, stream, seq, hlc, kind, previous, signature in conn.execute(_READ_AFTER, (position, limit)).fetchall():
        owner = StreamId(str(stream))
        entries = tuple(_bytes(row[0]) for row in conn.execute(_READ_ENTRIES, (at,)))
        op = Op(
            dot=Dot(owner, _int(seq)),
            stamp=Stamp(_int(hlc), owner),
            kind=str(kind),
            entries=entries,
            previous=_bytes(previous),
            signature=_bytes(signature),
        )
        found.append((_int(at), op))
    return found


def blank_object(conn: Connection, kind: str, key: str, dead_since: Stamp) -> None:
    """Take the contents of a dead object out of the log. Chain and signatures stay valid: they are over hashes."""
    for position, ordinal, stored in conn.execute(_ENTRIES_OF, (kind, key)).fetchall():
        data = _bytes(stored)
        if is_blank(data):
            continue
        entry = decode_entry(data)
        if isinstance(entry, Entry) and not entry.dead:
            conn.execute(_REPLACE_ENTRY, (blank_entry(data, entry, dead_since), position, ordinal))


def count(conn: Connection) -> int:
    """Ops in the log."""
    row = conn.execute(_COUNT).fetchone()
    return _int(row[0] if row else None)


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected an integer column, got {type(value).__name__}")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"expected a blob column, got {type(value).__name__}")
    return value
