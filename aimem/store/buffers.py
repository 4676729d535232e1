"""What a node notes beside its state, and keeps for a while only: what happened, what it answered, texts of before.

Each such table has a bound in bytes, which grows with the database: what one notes of a million memories may take more
room than what one notes of a hundred. Beyond its bound the oldest rows go, a few at a time. None of it replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Instant, after
from aimem.ports import Connection
from aimem.store.transaction import Transaction

BATCH: Final = 500
"""Rows that one transaction drops: a few milliseconds, between which others write."""

ROW_BYTES: Final = 60
"""What a row has beside its texts: numbers, its place in the table and in an index."""

MIB: Final = 1 << 20
EVERY_AGE: Final = 2**62

RETRY_S: Final = 600.0
"""A client that was not answered asks again within this time: its answer must still be known."""

_SIZE = "SELECT count(*), coalesce(sum({width}), 0) FROM {table}"
_OLDEST = "SELECT rowid FROM {table} WHERE {age} <= :before ORDER BY {age} LIMIT :limit"
_LAST_OF = "SELECT max({age}) FROM {table} WHERE rowid IN (SELECT value FROM json_each(:rows))"
# With the age once more: the number of a row that went meanwhile may have been given again.
_DROP = "DELETE FROM {table} WHERE rowid IN (SELECT value FROM json_each(:rows)) AND {age} <= :until"
_PAGES = (
    "SELECT c.page_count, f.freelist_count, s.page_size, v.auto_vacuum = 2 FROM pragma_page_count AS c, "
    "pragma_freelist_count AS f, pragma_page_size AS s, pragma_auto_vacuum AS v"
)
_SHRINK = "PRAGMA incremental_vacuum({count:d})"


class Buffer(Struct, frozen=True, kw_only=True):
    """One table with notes.

    Attributes:
      age: the column by which rows are old; `width`: the bytes of a row's texts, as an expression.
      share: of the database that it may take, in [0, 1]; in a small one `least_bytes`.
      keep_s: rows younger than this stay, whatever they take; only where `age` is a time.
    """

    table: str
    age: str
    width: str
    share: float
    least_bytes: int
    keep_s: float = 0.0

    def youngest(self, now: Instant) -> int:
        """The age of the youngest row that may go."""
        return after(now, -self.keep_s) if self.keep_s else EVERY_AGE

    def most_bytes(self, database_bytes: int) -> int:
        """Its bound."""
        return max(self.least_bytes, int(self.share * database_bytes))


BUFFERS: Final = (
    Buffer(
        table="events", age="no", share=0.01, least_bytes=2 * MIB,
        width="octet_length(key) + octet_length(version) + ifnull(octet_length(namespace), 0) "
              "+ ifnull(octet_length(author), 0) + ifnull(octet_length(agent_id), 0) + ifnull(octet_length(was), 0) "
              "+ ifnull(octet_length(other), 0)",
    ),
    Buffer(
        table="idempotency", age="noted_at", share=0.01, least_bytes=1 * MIB, keep_s=RETRY_S,
        # Its key stands in two indexes.
        width="octet_length(answer) + 2 * octet_length(key) + 2 * octet_length(scope) + 64",
    ),
    Buffer(
        table="history", age="noted_at", share=0.005, least_bytes=MIB // 2,
        width="octet_length(content) + octet_length(title) + 120",
    ),
    Buffer(
        table="conflicts", age="noted_at", share=0.005, least_bytes=MIB // 2,
        width="octet_length(value) + 2 * octet_length(key) + 60",
    ),
)


class Pages(Struct, frozen=True, kw_only=True):
    """The database file: its pages, those that hold nothing, their size, and whether it can give some back."""

    count: int
    free: int
    page_bytes: int
    can_shrink: bool

    @property
    def used_bytes(self) -> int:
        """What the rows take, those of the log and of all notes included."""
        return (self.count - self.free) * self.page_bytes

    @property
    def free_bytes(self) -> int:
        """What could be given back."""
        return self.free * self.page_bytes


def pages(conn: Connection) -> Pages:
    """Look at the file; never at its rows."""
    found = conn.execute(_PAGES).fetchone()
    count, free, page_bytes, can_shrink = cast("tuple[int, int, int, int]", found)
    return Pages(count=count, free=free, page_bytes=page_bytes, can_shrink=bool(can_shrink))


def shrink(transaction: Transaction, page_count: int) -> None:
    """Give back at most so many of the file's free pages: 0.1 ms for each, as its last page moves into the gap."""
    transaction.conn.execute(_SHRINK.format(count=page_count)).fetchall()


def surplus(conn: Connection, buffer: Buffer, database_bytes: int) -> int:
    """How many of a buffer's oldest rows are beyond its bound. Reads all of it, which its bound keeps short."""
    count, text_bytes = cast("tuple[int, int]", conn.execute(
        _SIZE.format(width=buffer.width, table=buffer.table)
    ).fetchone())
    if not count:
        return 0
    row_bytes = ROW_BYTES + text_bytes / count
    return max(0, count - int(buffer.most_bytes(database_bytes) / row_bytes))


def oldest(conn: Connection, buffer: Buffer, count: int, now: Instant) -> tuple[list[int], int]:
    """The numbers of the oldest rows that may go, at most so many, and the age of the youngest of them."""
    rows = [cast("int", row[0]) for row in conn.execute(
        _OLDEST.format(table=buffer.table, age=buffer.age), {"limit": count, "before": buffer.youngest(now)}
    )]
    last = conn.execute(_LAST_OF.format(table=buffer.table, age=buffer.age), {"rows": _array(rows)}).fetchone()
    return rows, cast("int", last[0]) if last and last[0] is not None else 0


def drop(transaction: Transaction, buffer: Buffer, rows: Sequence[int], until: int) -> int:
    """Forget those of these rows that are not younger than `until`. Returns: how many."""
    return transaction.conn.execute(
        _DROP.format(table=buffer.table, age=buffer.age), {"rows": _array(rows), "until": until}
    ).rowcount


def _array(rows: Sequence[int]) -> str:
    return msgspec.json.encode(rows).decode()
