"""What the full-text indexes hold, and how they follow the view.

The index of words is brought up to a group's rows inside the group's own transaction; that of grams is left owing
there (`grams = 'due'`) and paid by a task, because only odd words need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import words
from aimem.ports import Connection, SqlValue
from aimem.store.dialogue import CONTEXT, neighbours
from aimem.store.filters import ALL, Clause
from aimem.store.parts import PART_BITS, split_parts
from aimem.store.scratch import Texts, pack_varints, varints
from aimem.store.transaction import Transaction
from aimem.store.view import Reindex

_TEXTS = (
    "SELECT v.no, CASE m.title_generated WHEN 1 THEN '' ELSE m.title END, m.content, m.tags, "
    f"{CONTEXT} FROM json_each(:numbers) AS j CROSS JOIN memory_view AS v ON v.no = j.value "
    "CROSS JOIN memories AS m ON m.id = v.id WHERE v.state = 'live'"
)
_PART_COUNTS = (
    "SELECT v.no, v.part_count FROM json_each(:numbers) AS j CROSS JOIN memory_view AS v ON v.no = j.value"
)
_SIZE = "SELECT sz FROM memory_fts_docsize WHERE id = ?"
_SIZES = "SELECT s.id, s.sz FROM json_each(:rowids) AS j CROSS JOIN memory_fts_docsize AS s ON s.id = j.value"
_TAKE_OUT = "DELETE FROM memory_fts WHERE rowid = ?"
_PUT_IN = "INSERT INTO memory_fts (rowid, title, content, tags, context) VALUES (?, ?, ?, ?, ?)"
_NOTE_PARTS = "UPDATE memory_view SET part_count = ? WHERE no = ?"
_NOTE_GRAMS = "UPDATE memory_view SET grams = ? WHERE no = ?"
_TAKE_GRAMS_OUT = "DELETE FROM memory_grams WHERE rowid = ?"
_MARK, _UNMARK = "SAVEPOINT indexed", "RELEASE indexed"
_READ_TOTALS = "SELECT block FROM memory_fts_data WHERE id = 1"
_WRITE_TOTALS = "UPDATE memory_fts_data SET block = ? WHERE id = 1"
_CLEAR = (
    "INSERT INTO memory_fts (memory_fts) VALUES ('delete-all')",
    "INSERT INTO memory_grams (memory_grams) VALUES ('delete-all')",
    "DELETE FROM common_terms",
    "DELETE FROM meta WHERE name = 'common_terms_rows'",
    "UPDATE memory_view SET part_count = 0, grams = 'none'",
)
_UNINDEXED = "SELECT no FROM memory_view WHERE state = 'live' AND part_count = 0 ORDER BY no LIMIT :limit"
_COUNT_UNINDEXED = (
    "SELECT count(*) FROM (SELECT 1 FROM memory_view WHERE state = 'live' AND part_count = 0 LIMIT :limit)"
)

SLICE: Final = 256
"""Rows whose texts are in memory at once: at most 64 KiB each."""


class IndexRow(Struct, frozen=True):
    """One row of `memory_fts`: a part of a memory's text, the first one with all that is not content."""

    rowid: int
    texts: Texts


def index_rows(
    conn: Connection, numbers: Iterable[int], where: Clause = ALL
) -> Iterator[tuple[int, list[IndexRow]]]:
    """What the index of words holds for these rows of the view, those that are live and match: number -> its parts."""
    asked = sorted(set(numbers))
    for begin in range(0, len(asked), SLICE):
        packed = msgspec.json.encode(asked[begin : begin + SLICE]).decode()
        for row in conn.execute(f"{_TEXTS} AND {where.sql}", {**where.parameters, "numbers": packed}).fetchall():
            no, title, content, tags, context = cast("tuple[int, str, str, str, str]", row)
            listed = "" if tags == "[]" else " ".join(msgspec.json.decode(tags, type=list[str]))
            first, *others = map(words.spaced, split_parts(content))
            whole = [(words.spaced(title), first, words.spaced(listed), words.spaced(context))]
            parts = whole + [("", part, "", "") for part in others]
            yield no, [IndexRow(no << PART_BITS | i, texts) for i, texts in enumerate(parts)]


def row_sizes(conn: Connection, rowids: Sequence[int]) -> dict[int, int]:
    """How many tokens these rows of the index have; those that it lacks are left out."""
    found = conn.execute(_SIZES, {"rowids": msgspec.json.encode(rowids).decode()}).fetchall()
    return {cast("int", rowid): sum(varints(cast("bytes", packed))) for rowid, packed in found}


def write_index(conn: Connection, owed: Mapping[int, Reindex]) -> None:
    """Pay the debts of a group, each row once, behind the group's last savepoint.

    Within a savepoint each row would become a segment of its own: FTS5 flushes whenever one is opened.
    """
    if not owed:
        return
    around = {no for debt in owed.values() for place in debt.places for no in neighbours(conn, place)}
    # The view knows best how many parts there are; of a row that is dead and gone only the debt knows.
    part_counts = {no: debt.part_count for no, debt in owed.items()} | _part_counts(conn, around | owed.keys())
    counted = _totals(conn)
    sizes = [size for no, count in part_counts.items() for size in _take_out(conn, no, count)]
    shown = _put_in(conn, part_counts)
    for no, debt in owed.items():
        if no not in shown:
            _drop_grams(conn, no, debt)
    due = [no for no, is_odd in shown.items() if no in owed and (is_odd or owed[no].has_grams)]
    conn.executemany(_NOTE_GRAMS, [("due", no) for no in due])
    if sizes:
        _mend_totals(conn, sizes, counted[0] + sum(_part_counts(conn, shown).values()))


def _part_counts(conn: Connection, numbers: Iterable[int]) -> dict[int, int]:
    found = conn.execute(_PART_COUNTS, {"numbers": msgspec.json.encode(sorted(numbers)).decode()})
    return {cast("int", no): cast("int", count) for no, count in found.fetchall()}


def _take_out(conn: Connection, no: int, part_count: int) -> list[list[int]]:
    """Remove a row's parts. Returns: the size of each column of each part that was there, in tokens."""
    sizes = []
    for rowid in range(no << PART_BITS, (no << PART_BITS) + part_count):
        size = conn.execute(_SIZE, (rowid,)).fetchone()
        if size is not None:
            sizes.append(varints(cast("bytes", size[0])))
            conn.execute(_TAKE_OUT, (rowid,))
    return sizes


def _put_in(conn: Connection, numbers: Iterable[int]) -> dict[int, bool]:
    """Index the rows that are live. Returns: whether each of them has odd words."""
    asked, odd = set(numbers), dict[int, bool]()
    rows: list[tuple[SqlValue, ...]] = []
    counts: list[tuple[int, int]] = []
    for no, parts in index_rows(conn, asked):
        rows += [(part.rowid, *part.texts) for part in parts]
        counts.append((len(parts), no))
        odd[no] = any(words.has_odd_word(text) for part in parts for text in part.texts[:3] if text)
        if len(rows) >= SLICE:
            conn.executemany(_PUT_IN, rows)
            rows.clear()
    conn.executemany(_PUT_IN, rows)
    conn.executemany(_NOTE_PARTS, counts + [(0, no) for no in asked - odd.keys()])
    return odd


def _drop_grams(conn: Connection, no: int, debt: Reindex) -> None:
    if debt.has_grams:
        conn.execute(_TAKE_GRAMS_OUT, (no,))
        conn.execute(_NOTE_GRAMS, ("none", no))


def _mend_totals(conn: Connection, taken_out: Sequence[Sequence[int]], row_count: int) -> None:
    """Subtract rows that were taken out from the index's own counts of rows and tokens, if FTS5 forgot to.

    Before SQLite 3.54 it does in a contentless table (`contentless_delete`). Each change of a text would make every
    word look rarer than it is; three of each row took 2.8 points of hit@5 from the sessions.

    Args:
      row_count: what the index counts if nothing was subtracted.
    """
    totals = _totals(conn)
    if totals[0] != row_count:
        return
    gone = [len(taken_out), *map(sum, zip(*taken_out, strict=True))]
    left = [max(0, total - less) for total, less in zip(totals, gone, strict=True)]
    conn.execute(_WRITE_TOTALS, (pack_varints(left),))


def _totals(conn: Connection) -> list[int]:
    """Rows, and tokens of each column, as the index counts them; a count of 0 rows may stand alone."""
    # A savepoint makes FTS5 write what it holds in memory, its counts among it; so do later ones of the same group.
    conn.execute(_MARK)
    conn.execute(_UNMARK)
    row = conn.execute(_READ_TOTALS).fetchone()
    return varints(cast("bytes", row[0])) if row and row[0] else [0]


def clear(transaction: Transaction) -> None:
    """Empty all full-text indexes; `rebuild` fills them again. Until it has, searches find less."""
    for statement in _CLEAR:
        transaction.conn.execute(statement)


def rebuild(transaction: Transaction, limit: int) -> int:
    """Index at most `limit` live rows that the index of words lacks. Returns: how many it took; 0 when none is left.

    Resumable: what a stopped rebuild left out is what the next call begins with.
    """
    conn = transaction.conn
    found = [cast("int", row[0]) for row in conn.execute(_UNINDEXED, {"limit": limit})]
    for no, has_odd in _put_in(conn, found).items():
        conn.execute(_NOTE_GRAMS, ("due" if has_odd else "none", no))
    return len(found)


def count_unindexed(conn: Connection, limit: int) -> int:
    """Live rows that the index of words lacks, counted up to a limit: none, unless a rebuild is under way."""
    row = conn.execute(_COUNT_UNINDEXED, {"limit": limit}).fetchone()
    return cast("int", row[0]) if row else 0
