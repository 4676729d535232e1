"""Queries for what is done to memories automatically: who may be part of it, in an order that is the same each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, Instant, Memory, MemoryId, Namespace, Scope
from aimem.ports import Connection, SqlValue
from aimem.store import rows
from aimem.store.filters import NO_STANDARD, Clause, Filters, live_at, matching
from aimem.store.forgetting import ORDINARY
from aimem.store.memories import LAST_CODE_POINT

PLAIN: Final = ORDINARY & NO_STANDARD & Clause(
    "json_extract(m.metadata, '$.kind') IS NULL AND json_extract(m.metadata, '$.governance') IS NULL", {}
)
"""Ordinary memories: outside of the system's namespaces, neither entities nor standards nor policies of v0.6.3."""

_SKETCHES = (
    "SELECT v.id, m.title, m.tags, m.scope, m.author, v.owner FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE m.source <> :made_by AND"
)
_COUNTS = (
    "SELECT v.namespace FROM memory_view v JOIN memories m ON m.id = v.id WHERE {where} "
    "GROUP BY 1 HAVING count(*) >= :least ORDER BY 1"
)
_FROM = f"SELECT {rows.MEMORY_COLUMNS} FROM memory_view v JOIN memories m ON m.id = v.id WHERE"
_PLACE = "SELECT namespace, title, owner FROM memory_view WHERE id = :id AND namespace IS NOT NULL"
# CROSS: one look into the index of names for each beginning.
_TITLED = (
    f"SELECT {rows.MEMORY_COLUMNS}, b.value FROM json_each(:beginnings) AS b CROSS JOIN memory_view v "
    "ON v.state = 'live' AND v.namespace = :namespace AND v.title >= b.value AND v.title < b.value || :last "
    "JOIN memories m ON m.id = v.id"
)
_LACKS = "NOT EXISTS (SELECT 1 FROM json_each(m.tags) AS t WHERE t.value = :tag)"


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


def curable(
    conn: Connection, filters: Filters, excluded: Sequence[Namespace], after: MemoryId | None, now: Instant, limit: int
) -> Iterator[Memory]:
    """Plain mid- and long-tier memories in the order of their names, from behind the name of `after` on."""
    where = live_at(now) & matching(filters) & PLAIN & Clause(
        "m.tier IN ('mid', 'long') AND v.namespace NOT IN (SELECT value FROM json_each(:excluded))",
        {"excluded": msgspec.json.encode(excluded).decode()},
    )
    known: dict[str, SqlValue] = {**where.parameters, "limit": limit}
    sql = f"{_FROM} {where.sql}"
    place = None if after is None else conn.execute(_PLACE, {"id": after}).fetchone()
    if place is not None:
        sql += " AND (v.namespace, v.title, v.owner) > (:after_namespace, :after_title, :after_owner)"
        known |= dict(zip(("after_namespace", "after_title", "after_owner"), place, strict=True))
    found = conn.execute(f"{sql} ORDER BY v.namespace, v.title, v.owner LIMIT :limit", known)
    return (rows.memory(row) for row in found)


def titled(conn: Connection, namespace: Namespace, beginnings: Sequence[str]) -> list[tuple[str, Memory]]:
    """Live memories of a namespace whose title begins with one of these, with that beginning."""
    found = conn.execute(
        _TITLED,
        {"namespace": namespace, "beginnings": msgspec.json.encode(beginnings).decode(), "last": LAST_CODE_POINT},
    )
    return [(str(row[rows.MEMORY_WIDTH]), rows.memory(row)) for row in found]


def latest_titled(conn: Connection, namespace: Namespace, now: Instant, limit: int) -> list[Memory]:
    """Live memories of a namespace by title, the last first."""
    where = live_at(now) & Clause("v.namespace = :namespace", {"namespace": namespace})
    sql = f"{_FROM} {where.sql} ORDER BY v.title DESC LIMIT :limit"
    found = conn.execute(sql, {**where.parameters, "limit": limit})
    return [rows.memory(row) for row in found]


def latest_untagged(conn: Connection, namespace: Namespace, tag: str, now: Instant, limit: int) -> list[Memory]:
    """Live memories of a namespace without a tag, those first that were made last."""
    where = live_at(now) & Clause("v.namespace = :namespace", {"namespace": namespace})
    sql = f"{_FROM} {where.sql} AND {_LACKS} ORDER BY m.created_at DESC, m.id DESC LIMIT :limit"
    return [rows.memory(row) for row in conn.execute(sql, {**where.parameters, "tag": tag, "limit": limit})]
