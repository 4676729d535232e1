"""Rows to values: the columns of a visible memory, in one place."""

from __future__ import annotations

import json
from typing import Final, cast

import msgspec

from aimem.model import (
    AgentId,
    ArchivedMemory,
    Candidate,
    Ending,
    Instant,
    Link,
    Memory,
    MemoryId,
    Namespace,
    PastValidity,
    Relation,
    Scope,
    Tier,
)
from aimem.ports import Row, SqlValue

MEMORY_COLUMNS: Final = (
    "m.id, m.namespace, m.title, m.title_generated, m.content, m.tags, m.tier, m.priority, m.confidence, m.source, "
    "m.author, m.scope, m.metadata, m.created_at, m.updated_at, v.expires_at, v.access_count, v.last_accessed_at"
)
MEMORY_WIDTH: Final = 18
LINK_COLUMNS: Final = (
    "l.source_id, l.target_id, l.relation, l.created_at, l.valid_from, l.valid_until, l.observed_by, l.ended, l.past"
)
CANDIDATE_COLUMNS: Final = (
    "m.id, m.namespace, m.tier, m.priority, m.confidence, m.metadata ->> '$.role', m.created_at, m.updated_at, "
    "v.access_count"
)
CANDIDATE_WIDTH: Final = 9


def memory(row: Row) -> Memory:
    """A memory from MEMORY_COLUMNS. The columns of a born row are complete and typed: the fold saw to that."""
    return Memory(
        id=MemoryId(cast("str", row[0])),
        namespace=Namespace(cast("str", row[1])),
        title=cast("str", row[2]),
        title_generated=bool(row[3]),
        content=cast("str", row[4]),
        tags=tuple(msgspec.json.decode(cast("str", row[5]), type=list[str])),
        tier=Tier(cast("str", row[6])),
        priority=cast("int", row[7]),
        confidence=cast("float", row[8]),
        source=cast("str", row[9]),
        author=AgentId(cast("str", row[10])),
        scope=None if row[11] is None else Scope(cast("str", row[11])),
        metadata=msgspec.json.decode(cast("str", row[12]), type=dict[str, object]),
        created_at=_moment(row[13]),
        updated_at=_moment(row[14]),
        expires_at=None if row[15] is None else _moment(row[15]),
        access_count=cast("int", row[16]),
        last_accessed_at=None if row[17] is None else _moment(row[17]),
    )


def candidate(row: Row) -> Candidate:
    """What ranking looks at, from CANDIDATE_COLUMNS."""
    # Called for hundreds at a time, so the columns are told their types once.
    known = cast("tuple[str, str, str, int, float, object, int, int, int]", row[:CANDIDATE_WIDTH])
    memory_id, namespace, tier, priority, confidence, role, created_at, updated_at, access_count = known
    return Candidate(
        id=MemoryId(memory_id),
        namespace=Namespace(namespace),
        tier=Tier(tier),
        priority=priority,
        confidence=confidence,
        role=role if isinstance(role, str) else None,
        created_at=Instant(created_at),
        updated_at=Instant(updated_at),
        access_count=access_count,
    )


def archived(row: Row) -> ArchivedMemory:
    """An archived memory from MEMORY_COLUMNS, m.lifecycle, m.collected: put away by hand, or collected on expiry."""
    lifecycle = json.loads(cast("str", row[MEMORY_WIDTH]))
    if lifecycle[0] == "archived":
        return ArchivedMemory(memory=memory(row), reason=lifecycle[1], archived_at=Instant(lifecycle[2]))
    collected = json.loads(cast("str", row[MEMORY_WIDTH + 1]))
    return ArchivedMemory(memory=memory(row), reason="ttl_expired", archived_at=Instant(collected[2]))


def link(row: Row) -> Link:
    """A link from LINK_COLUMNS."""
    return Link(
        source_id=MemoryId(cast("str", row[0])),
        target_id=MemoryId(cast("str", row[1])),
        relation=Relation(cast("str", row[2])),
        created_at=_moment(row[3]),
        valid_from=_moment(row[4]),
        valid_until=None if row[5] is None else _moment(row[5]),
        observed_by=None if row[6] is None else AgentId(cast("str", row[6])),
        ended=_ending(row[7]),
        past=past_of(row[8]),
    )


def past_of(value: SqlValue) -> tuple[PastValidity, ...]:
    """Earlier validities from the column `past`; what another version may have written there otherwise is none."""
    if value is None:
        return ()
    try:
        return msgspec.json.decode(cast("str", value), type=tuple[PastValidity, ...])
    except msgspec.DecodeError:
        return ()


def _ending(value: SqlValue) -> Ending | None:
    if value is None:
        return None
    found = json.loads(cast("str", value))
    return Ending(by=AgentId(found[0]), reason=found[1], at=Instant(found[2])) if found else None


def _moment(value: object) -> Instant:
    return Instant(cast("int", value))
