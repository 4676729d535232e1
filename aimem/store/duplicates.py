"""Queries that tell whether a text is there already."""

from __future__ import annotations

from typing import Final, cast

from aimem.model import Instant, Memory
from aimem.ports import Connection, SqlValue
from aimem.store import rows
from aimem.store.filters import Clause, Filters, live_at, matching
from aimem.store.view import text_hash

_FROM: Final = "FROM memory_view v JOIN memories m ON m.id = v.id WHERE "
_WITH_TEXT: Final = f"SELECT {rows.MEMORY_COLUMNS} {_FROM}"
_OLDEST: Final = " ORDER BY m.created_at, m.id LIMIT 1"
_COUNT: Final = f"SELECT count(*) {_FROM}v.is_embedded = 1 AND "


def find_identical(
    conn: Connection, title: str, content: str, filters: Filters, visible: Clause, now: Instant
) -> Memory | None:
    """The oldest memory with this very text; a generated title is no part of it. Without a title its content counts."""
    texts = {text_hash(title, content, is_generated=generated) for generated in (not title, True)}
    names = [f"text{place}" for place in range(len(texts))]
    known: dict[str, SqlValue] = dict(zip(names, texts, strict=True))
    same = Clause(f"v.text_hash IN ({', '.join(':' + name for name in names)})", known)
    where = same & live_at(now) & visible & matching(filters)
    row = conn.execute(f"{_WITH_TEXT}{where.sql}{_OLDEST}", where.parameters).fetchone()
    return None if row is None else rows.memory(row)


def count_embedded(conn: Connection, filters: Filters, visible: Clause, now: Instant) -> int:
    """How many memories that match have their vectors."""
    where = live_at(now) & visible & matching(filters)
    row = conn.execute(f"{_COUNT}{where.sql}", where.parameters).fetchone()
    return cast("int", row[0]) if row else 0
