"""Counts over the whole store, as one caller may see them."""

from __future__ import annotations

from typing import cast

from msgspec import Struct

from aimem.model import Instant, Namespace, after
from aimem.ports import Connection
from aimem.store import linkage
from aimem.store.filters import Clause, live_at

_BY_TIER = (
    "SELECT m.tier, count(*) FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE {where} GROUP BY 1 ORDER BY 2 DESC, 1"
)
_BY_NAMESPACE = (
    "SELECT v.namespace, count(*) FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE {where} GROUP BY 1 ORDER BY 2 DESC, 1"
)
_COUNT = "SELECT count(*) FROM memory_view v JOIN memories m ON m.id = v.id WHERE {where}"
_TOMBSTONES = "SELECT count(*) FROM tombstones"
_OPS = "SELECT count(*) FROM ops WHERE position > 0"
_HELD = "SELECT count(*) FROM ops WHERE held IS NOT NULL"
_CONFLICTS = "SELECT count(*) FROM conflicts"


class Counts(Struct, frozen=True, kw_only=True):
    """See wire.Stats."""

    by_tier: tuple[tuple[str, int], ...]
    by_namespace: tuple[tuple[Namespace, int], ...]
    expiring_soon: int
    links: int
    archived: int
    tombstones: int
    ops: int
    held: int
    conflicts: int


def counts(conn: Connection, visible: Clause, now: Instant) -> Counts:
    """Everything that `stats` tells."""
    live = live_at(now) & visible
    soon = live & Clause("v.expires_at <= :soon", {"soon": after(now, 3600)})
    archived = visible & Clause("v.state = 'archived'", {})
    return Counts(
        by_tier=tuple((str(tier), count) for tier, count in _pairs(conn, _BY_TIER, live)),
        by_namespace=by_namespace(conn, live),
        expiring_soon=_one(conn, _COUNT, soon),
        links=linkage.count_links(conn, now, visible),
        archived=_one(conn, _COUNT, archived),
        tombstones=_one(conn, _TOMBSTONES),
        ops=_one(conn, _OPS),
        held=_one(conn, _HELD),
        conflicts=_one(conn, _CONFLICTS),
    )


def by_namespace(conn: Connection, where: Clause) -> tuple[tuple[Namespace, int], ...]:
    """Namespaces with their counts, the largest first."""
    return tuple((Namespace(str(name)), count) for name, count in _pairs(conn, _BY_NAMESPACE, where))


def archived_by_namespace(conn: Connection, visible: Clause) -> tuple[tuple[Namespace, int], ...]:
    """The archive's namespaces with their counts, the largest first."""
    return by_namespace(conn, visible & Clause("v.state = 'archived'", {}))


def _pairs(conn: Connection, sql: str, where: Clause) -> list[tuple[object, int]]:
    found = conn.execute(sql.format(where=where.sql), where.parameters)
    return [(row[0], cast("int", row[1])) for row in found]


def _one(conn: Connection, sql: str, where: Clause | None = None) -> int:
    clause = where or Clause("1", {})
    row = conn.execute(sql.format(where=clause.sql), clause.parameters).fetchone()
    return cast("int", row[0]) if row else 0
