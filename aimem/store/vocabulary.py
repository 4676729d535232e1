"""In how many rows the common words stand, counted now and then.

The index tells it of one word by a walk along all of the word's rows: 25 ns each, which is nothing for a rare word and
20 ms for one that is everywhere among a million rows. So the common ones are kept in a table.
"""

from __future__ import annotations

from typing import Final, cast

from aimem.ports import Connection
from aimem.store.bm25 import totals
from aimem.store.transaction import Transaction

COMMON_MIN_COUNT: Final = 1_000
GROWTH: Final = 1.25
"""The counts are made anew when the index has grown by so much; until then the newest rows count as the others."""

COUNTED_FROM_ROWS: Final = 20_000

_COUNTED_AT = "SELECT value FROM meta WHERE name = 'common_terms_rows'"
_NOTE = (
    "INSERT INTO meta (name, value) VALUES ('common_terms_rows', :rows) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_COUNT = "SELECT term, doc FROM memory_terms WHERE doc >= :least"
_FORGET = "DELETE FROM common_terms"
_KEEP = "INSERT INTO common_terms (term, row_count) VALUES (?, ?)"


def is_stale(conn: Connection) -> bool:
    """Whether the index has grown or shrunk enough since the common words were counted."""
    row, now = conn.execute(_COUNTED_AT).fetchone(), totals(conn).row_count
    then = int(cast("str", row[0])) if row else 0
    return now > max(COUNTED_FROM_ROWS, GROWTH * then) or now * GROWTH < then


def count_terms(conn: Connection) -> tuple[int, list[tuple[str, int]]]:
    """Rows of the index, and its common words with theirs: a pass over the whole index, 3 s for a million rows."""
    found = conn.execute(_COUNT, {"least": COMMON_MIN_COUNT}).fetchall()
    return totals(conn).row_count, cast("list[tuple[str, int]]", found)


def keep_terms(transaction: Transaction, row_count: int, counts: list[tuple[str, int]]) -> None:
    """Keep what `count_terms` found."""
    conn = transaction.conn
    conn.execute(_FORGET)
    conn.executemany(_KEEP, counts)
    conn.execute(_NOTE, {"rows": str(row_count)})
