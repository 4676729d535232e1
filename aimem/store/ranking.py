"""Where a query of words looks, and the ranked rows that it finds there.

Rows of the index are parts of memories (number * 64 + part); results are by the memory's number, as good as its best
part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aimem.model import Instant
from aimem.ports import Connection, SqlValue
from aimem.store import bm25
from aimem.store.bm25 import Term
from aimem.store.filters import Clause, Filters, live_at, matching
from aimem.store.narrowing import narrowest
from aimem.store.parts import PART_BITS
from aimem.store.textindex import IndexRow, index_rows

SMALL_MAX_PARTS: Final = 300
"""So few rows can be ranked as a whole, whatever the query."""

LOOKED_UP_COST: Final = 3.0
"""What a row costs whose memory the conditions have to look at, in rows that are only ranked."""

PARTS_A_ROW: Final = 4
"""Rows of the index that are asked for where so many memories are wanted: a long text may have several of the best."""

SAMPLED_COUNT: Final = 64
"""Rows, evenly over all, by which the share that a caller sees is guessed."""

_RANK = f"-bm25(memory_fts, {', '.join(map(str, bm25.WEIGHTS.values()))}) AS score"
# A LEFT JOIN that no condition needs is not made: most queries need only the view, or nothing.
_FROM = (
    f"FROM memory_fts AS f CROSS JOIN memory_view AS v ON v.no = f.rowid >> {PART_BITS} "
    "LEFT JOIN memories AS m ON m.id = v.id WHERE memory_fts MATCH :match AND f.rowid >= :floor"
)
_FROM_OPEN = "FROM memory_fts AS f WHERE memory_fts MATCH :match AND f.rowid >= :floor"
_ORDER = "ORDER BY score DESC, f.rowid LIMIT :count"
_ORDER_MEMORIES = "ORDER BY score DESC, m.priority DESC, m.updated_at DESC, m.id LIMIT :count"
_IN_NUMBERS = f"f.rowid >> {PART_BITS} IN (SELECT value FROM json_each(:numbers))"
_IS_PARTED = f"f.rowid >> {PART_BITS} IN (SELECT s.no FROM memory_view AS s WHERE s.part_count > 1)"
_PARTS_OF = "SELECT sum(s.part_count) FROM memory_view AS s WHERE s.no IN ({subset})"
_LAST = "SELECT coalesce(max(no), 0) FROM memory_view"
_ALLOWED = (
    "SELECT v.no FROM json_each(:numbers) AS j CROSS JOIN memory_view AS v ON v.no = j.value "
    "LEFT JOIN memories AS m ON m.id = v.id WHERE"
)
_SAMPLED = (
    "SELECT count(*), total({where}) FROM json_each(:numbers) AS j CROSS JOIN memory_view AS v ON v.no = j.value "
    "LEFT JOIN memories AS m ON m.id = v.id WHERE v.state = 'live'"
)
_PARTED_EXIST = "SELECT EXISTS (SELECT 1 FROM memory_view WHERE part_count > 1)"
_HOLDS = (
    "SELECT EXISTS (SELECT 1 FROM memory_fts WHERE memory_fts MATCH :match AND rowid >= :first AND rowid < :beyond)"
)


class Field(Struct, frozen=True, kw_only=True):
    """Where a query looks.

    Attributes:
      where: the reader's conditions and liveness, over `v` and `m`.
      is_open: whether every row fulfils them, but for those that have expired.
      subset: a query for the numbers of the only rows that can fulfil them, if these are few.
      share: what a row that matches the words costs on average, in rows that are only ranked.
      numbers: what `subset` finds, if that is very little.
      is_by_sight: whether nothing but what the caller may see narrows it; most callers see most of what there is.
    """

    where: Clause
    is_open: bool
    subset: Clause | None = None
    share: float = 1.0
    numbers: tuple[int, ...] | None = None
    is_by_sight: bool = False

    @property
    def sql(self) -> str:
        """The conditions as a WHERE clause of `f` and the tables joined to it."""
        if self.subset is None:
            return self.where.sql
        return f"f.rowid >> {PART_BITS} IN ({self.subset.sql}) AND {self.where.sql}"

    @property
    def parameters(self) -> dict[str, SqlValue]:
        """The values of `sql`."""
        return dict(self.where.parameters) | ({} if self.subset is None else dict(self.subset.parameters))


def field_of(conn: Connection, filters: Filters, visible: Clause, now: Instant) -> Field:
    """Look how much a reader's conditions leave."""
    where = live_at(now) & visible & matching(filters)
    if not filters.is_narrow and visible.sql == "1":
        return Field(where=where, is_open=True)
    found = narrowest(conn, filters)
    if found is None:
        return Field(where=where, is_open=False, share=LOOKED_UP_COST, is_by_sight=not filters.is_narrow)
    numbers, subset = None, found.subset
    parts = _PARTS_OF.format(subset=subset.sql)
    if found.size <= SMALL_MAX_PARTS and _number(conn, parts, subset.parameters) <= SMALL_MAX_PARTS:
        numbers = tuple(cast("int", row[0]) for row in conn.execute(subset.sql, subset.parameters))
    share = min(1.0, found.size / max(1, bm25.totals(conn).row_count))
    return Field(where=where, is_open=False, subset=subset, share=share, numbers=numbers)


def rank_parts(conn: Connection, match: str, field: Field, count: int, floor: int = 0) -> list[tuple[int, float]]:
    """The best rows of the index, from a rowid on, as (rowid, BM25). Those of an open field may have expired."""
    source, known = _source(match, field)
    found = conn.execute(f"SELECT f.rowid, {_RANK} {source} {_ORDER}", {**known, "floor": floor, "count": count})
    return cast("list[tuple[int, float]]", found.fetchall())


def newest_floor(conn: Connection, matched: float, ranked_max_count: int) -> int:
    """The rowid from which on about so many of the rows that match lie; 0 for all."""
    if matched <= ranked_max_count:
        return 0
    return int(_number(conn, _LAST, {}) * (1 - ranked_max_count / matched)) << PART_BITS


def _source(match: str, field: Field) -> tuple[str, dict[str, SqlValue]]:
    if field.is_open:
        return _FROM_OPEN, {"match": match}
    return f"{_FROM} AND {field.sql}", {**field.parameters, "match": match}


def ranked(conn: Connection, match: str, field: Field, limit: int) -> dict[int, float]:
    """The best memories for an expression, ranked by FTS5: number -> BM25."""
    count = PARTS_A_ROW * limit
    rows = rank_parts(conn, match, field, count)
    found = allowed(conn, {row >> PART_BITS: 0.0 for row, _ in rows}, field)
    if len(found) < limit and len(rows) == count:
        # Too many were parts of one memory, or have expired. As many parts as a memory can have settle it.
        closed = replace(field, is_open=False)
        rows = rank_parts(conn, match, closed, limit << PART_BITS)
        found = allowed(conn, {row >> PART_BITS: 0.0 for row, _ in rows}, field)
    return best(((row >> PART_BITS, score) for row, score in rows if row >> PART_BITS in found), limit)


def rank_memories(
    conn: Connection, match: str, field: Field, limit: int, ranked_max_count: int
) -> list[tuple[int, float]]:
    """The best memories as (number, BM25); equals by priority, then last update; of very many the newest."""
    source = f"{_FROM} AND {field.sql}"
    known: dict[str, SqlValue] = {**field.parameters, "match": match}
    # Whatever the conditions: counting the matches costs a thirtieth of ranking them.
    matched = _number(conn, f"SELECT count(*) {_FROM_OPEN}", {"match": match, "floor": 0})
    known["floor"] = newest_floor(conn, matched, ranked_max_count)
    known["count"] = PARTS_A_ROW * limit
    found = conn.execute(f"SELECT f.rowid >> {PART_BITS}, {_RANK} {source} {_ORDER_MEMORIES}", known).fetchall()
    return list(best(cast("list[tuple[int, float]]", found), len(found)).items())


def rank_numbers(conn: Connection, match: str, numbers: Sequence[int], field: Field) -> list[tuple[int, float]]:
    """Of these memories those that match an expression, as (number, BM25)."""
    known = {**field.parameters, "match": match, "floor": 0, "numbers": _array(numbers)}
    found = conn.execute(f"SELECT f.rowid >> {PART_BITS}, {_RANK} {_FROM} AND {_IN_NUMBERS} AND {field.sql}", known)
    pairs = cast("list[tuple[int, float]]", found.fetchall())
    return list(best(pairs, len(pairs)).items())


def scored(conn: Connection, numbers: Iterable[int], terms: Sequence[Term], field: Field) -> dict[int, float]:
    """BM25 of these memories, those of them that the field allows and that have any of the words."""
    found = index_rows(conn, numbers, field.where)
    return _scored(conn, [part for _, parts in found for part in parts], terms)


def scored_parts(conn: Connection, rowids: Iterable[int], terms: Sequence[Term], field: Field) -> dict[int, float]:
    """BM25 of the memories of these rows of the index, by these parts of them alone."""
    asked = set(rowids)
    found = index_rows(conn, {row >> PART_BITS for row in asked}, field.where)
    parts = [part for _, parts in found for part in parts if part.rowid in asked]
    return _scored(conn, parts, terms)


def _scored(conn: Connection, parts: Sequence[IndexRow], terms: Sequence[Term]) -> dict[int, float]:
    scores = bm25.score(conn, parts, terms)
    return best(((row >> PART_BITS, score) for row, score in scores.items()), len(scores))


def allowed(conn: Connection, scores: Mapping[int, float], field: Field) -> dict[int, float]:
    """Those of the memories that the reader's conditions let through."""
    known = {**field.where.parameters, "numbers": _array(scores)}
    found = conn.execute(f"{_ALLOWED} {field.where.sql}", known)
    return {no: scores[no] for (no,) in cast("list[tuple[int]]", found.fetchall())}


def guess_share(conn: Connection, field: Field) -> float:
    """About which share of the live rows fulfils the conditions, in [0, 1]; 0 if nothing is there."""
    last = _number(conn, _LAST, {})
    numbers = {last * (i + 1) // SAMPLED_COUNT for i in range(SAMPLED_COUNT)}
    known = {**field.where.parameters, "numbers": _array(numbers)}
    row = conn.execute(_SAMPLED.format(where=field.where.sql), known).fetchone()
    live_count, fit_count = cast("tuple[int, float]", row)
    return fit_count / max(1, live_count)


def parted(conn: Connection, match: str, field: Field, count: int) -> list[int]:
    """Memories of several parts with a match in one of them, the newest."""
    if not _number(conn, _PARTED_EXIST, {}):
        return []
    known = {**field.parameters, "match": match, "floor": 0, "count": count}
    source = f"{_FROM} AND {_IS_PARTED} AND {field.sql} ORDER BY 1 DESC LIMIT :count"
    return [cast("int", row[0]) for row in conn.execute(f"SELECT DISTINCT f.rowid >> {PART_BITS} {source}", known)]


def holds(conn: Connection, no: int, match: str) -> bool:
    """Whether some part of a memory matches."""
    known: dict[str, SqlValue] = {"match": match, "first": no << PART_BITS, "beyond": (no + 1) << PART_BITS}
    return bool(_number(conn, _HOLDS, known))


def best(scores: Iterable[tuple[int, float]], limit: int) -> dict[int, float]:
    """The greatest score of each number, the best first, ties by number."""
    greatest: dict[int, float] = {}
    for no, score in scores:
        greatest[no] = max(score, greatest.get(no, score))
    return dict(sorted(greatest.items(), key=lambda item: (-item[1], item[0]))[:limit])


def _array(numbers: Iterable[int]) -> str:
    return msgspec.json.encode(list(numbers)).decode()


def _number(conn: Connection, sql: str, known: Mapping[str, SqlValue]) -> int:
    row = conn.execute(sql, known).fetchone()
    return cast("int", row[0] or 0) if row else 0
