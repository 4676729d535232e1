"""Queries of exports: every kind of visible object, piece by piece, each continued behind where the last piece ended.

Memories go by their number in the view: it is never reused, so that whoever goes on behind a number misses nothing that
was there at the beginning. What came after the beginning is left out, or links would lead to memories that were passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Agent, AgentId, ArchivedMemory, Instant, Link, Memory, MemoryId
from aimem.ports import Connection, SqlValue
from aimem.store import rows
from aimem.store.filters import Clause, live_at

Key = tuple[str | int, ...]
"""Where a row stands in its order."""

_NEWEST: Final = "SELECT coalesce(max(no), 0) FROM memory_view"
_COUNT: Final = (
    "SELECT (SELECT count(*) FROM memory_view WHERE state IN ('live', 'archived')) + (SELECT count(*) FROM links) "
    "+ (SELECT count(*) FROM aliases) + (SELECT count(*) FROM agents) + (SELECT count(*) FROM namespaces)"
)
_FROM_VIEW: Final = "FROM memory_view v CROSS JOIN memories m ON m.id = v.id WHERE v.no > :after AND v.no <= :newest"
_LIVE: Final = f"SELECT {rows.MEMORY_COLUMNS}, v.no {_FROM_VIEW}"
_ARCHIVED: Final = f"SELECT {rows.MEMORY_COLUMNS}, m.lifecycle, m.collected, v.no {_FROM_VIEW} AND v.state = 'archived'"
_LINKS: Final = (
    f"SELECT {rows.LINK_COLUMNS} FROM links l "
    "CROSS JOIN memory_view vs ON vs.id = l.source_id CROSS JOIN memories ms ON ms.id = vs.id "
    "CROSS JOIN memory_view vt ON vt.id = l.target_id CROSS JOIN memories mt ON mt.id = vt.id "
    "WHERE l.present = 1 AND l.born IS NOT NULL "
    "AND (l.source_id, l.target_id, l.relation) > (:source_id, :target_id, :relation)"
)
_LINK_KEY: Final = "l.source_id, l.target_id, l.relation"
_ALIASES: Final = (
    "SELECT a.entity_id, a.alias, a.created_at, a.ordinal, a.alias_hash FROM aliases a "
    "CROSS JOIN memory_view v ON v.id = a.entity_id CROSS JOIN memories m ON m.id = v.id "
    "WHERE a.present = 1 AND a.born IS NOT NULL AND a.alias IS NOT NULL AND a.created_at IS NOT NULL "
    "AND a.ordinal IS NOT NULL AND (a.entity_id, a.alias_hash) > (:entity_id, :alias_hash)"
)
_AGENTS: Final = (
    "SELECT agent_id, agent_type, capabilities, registered_at, last_seen_at, author FROM agents "
    "WHERE present = 1 AND born IS NOT NULL AND agent_type IS NOT NULL AND capabilities IS NOT NULL "
    "AND registered_at IS NOT NULL AND last_seen_at IS NOT NULL AND agent_id > :after ORDER BY agent_id"
)


class Alias(Struct, frozen=True, kw_only=True):
    """Another name of an entity."""

    entity_id: MemoryId
    alias: str
    created_at: Instant
    ordinal: int


def newest_number(conn: Connection) -> int:
    """The number of the memory that came last; 0 if there is none."""
    return _integer(conn, _NEWEST)


def count_at_most(conn: Connection) -> int:
    """How many rows an export has at most: no reader's view is looked at."""
    return _integer(conn, _COUNT)


def _integer(conn: Connection, sql: str) -> int:
    row = conn.execute(sql).fetchone()
    return cast("int", row[0]) if row else 0


def live_behind(
    conn: Connection, visible: Clause, now: Instant, after: int, newest: int
) -> Iterator[tuple[Key, Memory]]:
    """Live memories in the order in which they came here."""
    where = live_at(now) & visible
    found = conn.execute(
        f"{_LIVE} AND {where.sql} ORDER BY v.no", {**where.parameters, "after": after, "newest": newest})
    return (((cast("int", row[rows.MEMORY_WIDTH]),), rows.memory(row)) for row in found)


def archived_behind(
    conn: Connection, visible: Clause, after: int, newest: int
) -> Iterator[tuple[Key, ArchivedMemory]]:
    """Archived memories in the order in which they came here."""
    found = conn.execute(
        f"{_ARCHIVED} AND {visible.sql} ORDER BY v.no", {**visible.parameters, "after": after, "newest": newest})
    return (((cast("int", row[rows.MEMORY_WIDTH + 2]),), rows.archived(row)) for row in found)


def _shown_or_archived(visible: Clause, now: Instant) -> Clause:
    live = live_at(now)
    return Clause(f"(({live.sql}) OR v.state = 'archived') AND v.no <= :newest AND {visible.sql}",
                  {**live.parameters, **visible.parameters})


def links_behind(
    conn: Connection, visible: Clause, now: Instant, after: tuple[str, str, str], newest: int
) -> Iterator[tuple[Key, Link]]:
    """Links whose ends may both be seen, live or archived."""
    end = _shown_or_archived(visible, now)
    both = " AND ".join(end.sql.replace("v.", f"v{side}.").replace("m.", f"m{side}.") for side in ("s", "t"))
    source_id, target_id, relation = after
    found = conn.execute(
        f"{_LINKS} AND {both} ORDER BY {_LINK_KEY}",
        {**end.parameters, "newest": newest, "source_id": source_id, "target_id": target_id, "relation": relation})
    for row in found:
        link = rows.link(row)
        yield (link.source_id, link.target_id, link.relation.value), link


def aliases_behind(
    conn: Connection, visible: Clause, now: Instant, after: tuple[str, str], newest: int
) -> Iterator[tuple[Key, Alias]]:
    """Other names of entities that may be seen, live or archived."""
    entity = _shown_or_archived(visible, now)
    parameters: dict[str, SqlValue] = {"newest": newest, "entity_id": after[0], "alias_hash": after[1]}
    found = conn.execute(
        f"{_ALIASES} AND {entity.sql} ORDER BY a.entity_id, a.alias_hash", {**entity.parameters, **parameters})
    for row in found:
        alias = Alias(
            entity_id=MemoryId(cast("str", row[0])), alias=cast("str", row[1]),
            created_at=Instant(cast("int", row[2])), ordinal=cast("int", row[3]))
        yield (alias.entity_id, cast("str", row[4])), alias


def agents_behind(conn: Connection, after: str) -> Iterator[tuple[Key, Agent]]:
    """Registered agents."""
    for row in conn.execute(_AGENTS, {"after": after}):
        agent = Agent(
            agent_id=AgentId(cast("str", row[0])), agent_type=cast("str", row[1]),
            capabilities=tuple(msgspec.json.decode(cast("str", row[2]), type=list[str])),
            registered_at=Instant(cast("int", row[3])), last_seen_at=Instant(cast("int", row[4])),
            registered_by=AgentId(cast("str", row[5])))
        yield (agent.agent_id,), agent
