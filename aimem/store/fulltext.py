"""The full-text arm: BM25 over titles, contents and tags of live memories."""

from __future__ import annotations

from typing import cast

from aimem.model import Instant, Memory
from aimem.ports import Connection
from aimem.store import rows
from aimem.store.filters import Clause, Filters, live_at, matching

_HITS = (
    "SELECT f.rowid, -bm25(memory_fts, 1.0, 1.0, 1.0) AS score FROM memory_fts f "
    "JOIN memory_view v ON v.no = f.rowid JOIN memories m ON m.id = v.id WHERE memory_fts MATCH :match"
)
_SEARCH = (
    f"SELECT {rows.MEMORY_COLUMNS} FROM memory_fts f "
    "JOIN memory_view v ON v.no = f.rowid JOIN memories m ON m.id = v.id WHERE memory_fts MATCH :match"
)


def hits(conn: Connection, match: str, filters: Filters, visible: Clause, now: Instant, limit: int) -> dict[int, float]:
    """The best rows for an FTS5 expression: number of the view's row -> BM25 (larger is better)."""
    where = live_at(now) & visible & matching(filters)
    sql = f"{_HITS} AND {where.sql} ORDER BY score DESC, f.rowid LIMIT :limit"
    found = conn.execute(sql, {**where.parameters, "match": match, "limit": limit})
    return {cast("int", row[0]): cast("float", row[1]) for row in found}


def search(
    conn: Connection, match: str, filters: Filters, visible: Clause, now: Instant, limit: int
) -> tuple[Memory, ...]:
    """Live memories that match an FTS5 expression: by BM25, then priority, then last update."""
    where = live_at(now) & visible & matching(filters)
    order = " ORDER BY bm25(memory_fts, 1.0, 1.0, 1.0), m.priority DESC, m.updated_at DESC, m.id LIMIT :limit"
    found = conn.execute(f"{_SEARCH} AND {where.sql}{order}", {**where.parameters, "match": match, "limit": limit})
    return tuple(rows.memory(row) for row in found)
