"""Queries for what is done to memories automatically: who may be part of it, in an order that is the same each time."""

from __future__ import annotations

from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, Instant, MemoryId, Namespace, Scope
from aimem.ports import Connection
from aimem.store.filters import Clause, Filters, live_at, matching
from aimem.store.forgetting import ORDINARY

PLAIN: Final = ORDINARY & Clause(
    "json_extract(m.metadata, '$.kind') IS NULL AND json_extract(m.metadata, '$.governance') IS NULL", {}
)
"""Ordinary memories: outside of the system's namespaces, neither entities nor policies."""

_SKETCHES = (
    "SELECT v.id, m.title, m.tags, m.scope, m.author, v.owner FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE m.source <> :made_by AND"
)
_COUNTS = (
    "SELECT v.namespace FROM memory_view v JOIN memories m ON m.id = v.id WHERE {where} "
    "GROUP BY 1 HAVING count(*) >= :least ORDER BY 1"
)


class Sketch(Struct, frozen=True, kw_only=True):
    """As much of a memory as grouping needs; `owner` is the author if it is private, else empty."""

    id: MemoryId
    title: str
    tags: tuple[str, ...]
    scope: Scope | None
    author: AgentId
    owner: str


def large_namespaces(conn: Connection, filters: Filters, visible: Clause, now: Instant, least: int) -> list[Namespace]:
    """Namespaces with at least so many plain memories that match, by name."""
    where = live_at(now) & visible & matching(filters) & PLAIN
    found = conn.execute(_COUNTS.format(where=where.sql), {**where.parameters, "least": least})
    return [Namespace(str(row[0])) for row in found]


def sketches(
    conn: Connection, filters: Filters, visible: Clause, now: Instant, *, made_by: str, limit: int
) -> list[Sketch]:
    """Plain memories that match, oldest first, without those that a source has made."""
    where = live_at(now) & visible & matching(filters) & PLAIN
    found = conn.execute(
        f"{_SKETCHES} {where.sql} ORDER BY m.created_at, v.id LIMIT :limit",
        {**where.parameters, "made_by": made_by, "limit": limit},
    )
    return [
        Sketch(
            id=MemoryId(str(row[0])), title=str(row[1]),
            tags=tuple(msgspec.json.decode(cast("str", row[2]), type=list[str])),
            scope=None if row[3] is None else Scope(cast("str", row[3])), author=AgentId(str(row[4])),
            owner=str(row[5]),
        )
        for row in found
    ]
