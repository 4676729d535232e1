"""Queries over links. A link shows if, and only if, both its ends do."""

from __future__ import annotations

from typing import cast

from aimem.model import Instant, Link, LinkKey, MemoryId
from aimem.ports import Connection
from aimem.store import rows
from aimem.store.filters import Clause, live_at

_FROM_SHOWN = (
    "FROM links l "
    "JOIN memory_view vs ON vs.id = l.source_id JOIN memory_view vt ON vt.id = l.target_id "
    "JOIN memories ms ON ms.id = vs.id JOIN memories mt ON mt.id = vt.id WHERE l.present = 1 AND l.born IS NOT NULL"
)
_SHOWN = f"SELECT {rows.LINK_COLUMNS} {_FROM_SHOWN}"
_COUNT = f"SELECT count(*) {_FROM_SHOWN}"
_OF = "(l.source_id = :id OR l.target_id = :id)"
_ONE = "l.source_id = :source_id AND l.target_id = :target_id AND l.relation = :relation"
_ORDER = " ORDER BY l.valid_from, l.created_at, l.source_id, l.target_id, l.relation"


def _both_ends(now: Instant, visible: Clause) -> Clause:
    end = live_at(now) & visible
    source = end.sql.replace("v.", "vs.").replace("m.", "ms.")
    target = end.sql.replace("v.", "vt.").replace("m.", "mt.")
    return Clause(f"{source} AND {target}", end.parameters)


def links_of(conn: Connection, memory_id: MemoryId, now: Instant, visible: Clause) -> tuple[Link, ...]:
    """Links that begin or end at a memory, in the order of their validity."""
    where = _both_ends(now, visible) & Clause(_OF, {"id": memory_id})
    return tuple(rows.link(row) for row in conn.execute(f"{_SHOWN} AND {where.sql}{_ORDER}", where.parameters))


def find_link(conn: Connection, key: LinkKey, now: Instant, visible: Clause) -> Link | None:
    """One link, if it shows."""
    one = {"source_id": key.source_id, "target_id": key.target_id, "relation": key.relation.value}
    where = _both_ends(now, visible) & Clause(_ONE, one)
    row = conn.execute(f"{_SHOWN} AND {where.sql}", where.parameters).fetchone()
    return None if row is None else rows.link(row)


def all_links(conn: Connection, now: Instant, visible: Clause) -> tuple[Link, ...]:
    """Every link that shows."""
    where = _both_ends(now, visible)
    return tuple(rows.link(row) for row in conn.execute(f"{_SHOWN} AND {where.sql}{_ORDER}", where.parameters))


def count_links(conn: Connection, now: Instant, visible: Clause) -> int:
    """How many links show."""
    where = _both_ends(now, visible)
    row = conn.execute(f"{_COUNT} AND {where.sql}", where.parameters).fetchone()
    return cast("int", row[0]) if row else 0
