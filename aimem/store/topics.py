"""Queries over memories on one topic, and over what links say between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from aimem.model import Instant, LinkKey, Memory, MemoryId, Namespace, Relation
from aimem.ports import Connection, SqlValue
from aimem.store import rows
from aimem.store.filters import Clause, Filters, live_at, matching

_FROM: Final = f"SELECT {rows.MEMORY_COLUMNS} FROM memories m JOIN memory_view v ON v.id = m.id"
_ORDER: Final = " ORDER BY m.priority DESC, m.updated_at DESC, m.id LIMIT :limit"
# instr spares the parsing of the metadata that cannot have it.
_ON_TOPIC: Final = "(m.title = :topic OR (instr(m.metadata, '\"topic\"') AND m.metadata ->> 'topic' = :topic))"
# The plus signs keep the planner from asking the index for each pair of the asked: there may be a million.
_SAID: Final = (
    "SELECT l.source_id, l.target_id, l.relation FROM json_each(:ids) AS asked CROSS JOIN links l "
    "ON l.source_id = asked.value WHERE l.present = 1 AND l.born IS NOT NULL "
    "AND +l.relation IN ('contradicts', 'supersedes') AND l.valid_from <= :now "
    "AND (l.valid_until IS NULL OR l.valid_until > :now) AND +l.target_id IN (SELECT value FROM json_each(:ids)) "
    "ORDER BY l.source_id, l.target_id, l.relation LIMIT :limit"
)


def on_topic(
    conn: Connection, topic: str | None, namespace: Namespace | None, now: Instant, visible: Clause, limit: int
) -> tuple[Memory, ...]:
    """Live memories on the topic (their title or `metadata.topic`), or all for None; by priority, then last update."""
    where = live_at(now) & visible & matching(Filters(namespaces=None if namespace is None else (namespace,)))
    if topic is not None:
        where &= Clause(_ON_TOPIC, {"topic": topic})
    found = conn.execute(f"{_FROM} WHERE {where.sql}{_ORDER}", {**where.parameters, "limit": limit})
    return tuple(rows.memory(row) for row in found)


def said_among(conn: Connection, ids: Sequence[MemoryId], now: Instant, limit: int) -> tuple[LinkKey, ...]:
    """Which of these memories, all of which show, contradict or supersede each other by links that hold now."""
    asked: dict[str, SqlValue] = {"ids": msgspec.json.encode(list(ids)).decode(), "now": now, "limit": limit}
    return tuple(
        LinkKey(MemoryId(cast("str", row[0])), MemoryId(cast("str", row[1])), Relation(cast("str", row[2])))
        for row in conn.execute(_SAID, asked)
    )
