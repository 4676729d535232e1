"""Counts of namespaces below one, for the tree."""

from __future__ import annotations

from typing import Final, cast

from aimem.model import Instant, Namespace
from aimem.ports import Connection
from aimem.store.filters import Clause, live_at

_COUNTS: Final = (
    "SELECT v.namespace, count(*), sum(count(*)) OVER () FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE {where} GROUP BY v.namespace ORDER BY 2 DESC, 1 LIMIT :limit"
)


def below(prefix: Namespace | None) -> Clause:
    """Rows of a namespace and all below it; of every one for None."""
    if prefix is None:
        return Clause("1", {})
    # From "prefix/" up to but not including "prefix0", the character after the slash.
    return Clause(
        "(v.namespace = :prefix OR (v.namespace >= :prefix || '/' AND v.namespace < :prefix || '0'))",
        {"prefix": prefix},
    )


def counts_below(
    conn: Connection, prefix: Namespace | None, now: Instant, visible: Clause, limit: int
) -> tuple[tuple[tuple[Namespace, int], ...], int]:
    """Namespaces with their live memories, the largest first, at most `limit`; and the memories of all of them."""
    where = live_at(now) & visible & below(prefix)
    found = conn.execute(_COUNTS.format(where=where.sql), {**where.parameters, "limit": limit}).fetchall()
    total = cast("int", found[0][2]) if found else 0
    return tuple((Namespace(str(row[0])), cast("int", row[1])) for row in found), total
