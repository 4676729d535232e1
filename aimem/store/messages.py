"""Queries over messages: what lies in an inbox. The only reads that see them (see store.view)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, Instant, MemoryId, Message, Tier, inbox_of
from aimem.ports import Connection, Row

# What another version wrote into `metadata` may be no JSON here: one such message must not fail the inbox.
_READ_AT: Final = (
    "CASE WHEN json_valid(m.metadata) THEN "
    "CASE json_type(m.metadata, '$.read_at') WHEN 'integer' THEN m.metadata ->> '$.read_at' END END"
)
_COMPLETE: Final = (
    "m.born IS NOT NULL AND m.author IS NOT NULL AND m.title IS NOT NULL AND m.content IS NOT NULL "
    "AND m.priority IS NOT NULL AND m.tier IN ('short', 'mid', 'long') AND m.created_at IS NOT NULL "
    "AND m.lifecycle ->> 0 = 'live'"
)
_OF: Final = f"m.namespace = :inbox AND {_COMPLETE} AND (m.expires_at IS NULL OR m.expires_at > :now)"
_SHOWN: Final = (
    "SELECT m.id, m.author, m.title, m.content, m.priority, m.tier, m.created_at, m.expires_at, "
    f"{_READ_AT} AS read_at FROM memories m WHERE {_OF}"
)
_ORDER: Final = " ORDER BY m.priority DESC, m.created_at DESC, m.id LIMIT :limit OFFSET :offset"
_PAGES: Final = {
    False: f"{_SHOWN}{_ORDER}",
    True: f"{_SHOWN} AND {_READ_AT} IS NULL{_ORDER}",
}
_BY_IDS: Final = f"{_SHOWN} AND m.id IN (SELECT value FROM json_each(:ids)) ORDER BY m.id"
_COUNT_ROWS: Final = "SELECT count(*) FROM memories m WHERE m.namespace = :inbox"
_COUNT_UNREAD: Final = f"SELECT count(*) FROM memories m WHERE {_OF} AND {_READ_AT} IS NULL"
# From "_messages/" up to but not including "_messages0", the character after the slash.
_EXPIRED: Final = (
    "SELECT m.id FROM memories m WHERE m.namespace >= '_messages/' AND m.namespace < '_messages0' "
    "AND m.born IS NOT NULL AND m.expires_at <= :now ORDER BY m.expires_at, m.id LIMIT :limit"
)
_COUNT_EXPIRED: Final = (
    "SELECT count(*) FROM memories m WHERE m.namespace >= '_messages/' AND m.namespace < '_messages0' "
    "AND m.born IS NOT NULL AND m.expires_at <= :now"
)


class Which(Struct, frozen=True, kw_only=True):
    """Which part of an inbox is asked for."""

    unread_only: bool
    limit: int
    offset: int


def page(conn: Connection, agent_id: AgentId, which: Which, now: Instant) -> tuple[Message, ...]:
    """Messages to an agent by priority, then the newest first."""
    found = conn.execute(
        _PAGES[which.unread_only],
        {"inbox": inbox_of(agent_id), "now": now, "limit": which.limit, "offset": which.offset},
    )
    return tuple(_message(row) for row in found)


def by_ids(conn: Connection, agent_id: AgentId, ids: Sequence[MemoryId], now: Instant) -> tuple[Message, ...]:
    """Of these messages, those that are in an agent's inbox."""
    asked = msgspec.json.encode(list(ids)).decode()
    found = conn.execute(_BY_IDS, {"inbox": inbox_of(agent_id), "now": now, "ids": asked})
    return tuple(_message(row) for row in found)


def count_unread(conn: Connection, agent_id: AgentId, now: Instant) -> int:
    """How many messages an agent has not read."""
    return _count(conn, _COUNT_UNREAD, agent_id, now)


def has_unread(conn: Connection, agent_id: AgentId, count: int, now: Instant) -> bool:
    """Whether an agent has so many unread messages; cheap where its inbox does not even hold so many."""
    row = conn.execute(_COUNT_ROWS, {"inbox": inbox_of(agent_id)}).fetchone()
    return row is not None and cast("int", row[0]) >= count and count_unread(conn, agent_id, now) >= count


def expired_ids(conn: Connection, now: Instant, limit: int) -> tuple[MemoryId, ...]:
    """Messages whose expiry is past, the longest expired first."""
    return tuple(MemoryId(str(row[0])) for row in conn.execute(_EXPIRED, {"now": now, "limit": limit}))


def count_expired(conn: Connection, now: Instant) -> int:
    """How many messages a collection would take."""
    row = conn.execute(_COUNT_EXPIRED, {"now": now}).fetchone()
    return cast("int", row[0]) if row else 0


def _count(conn: Connection, sql: str, agent_id: AgentId, now: Instant) -> int:
    row = conn.execute(sql, {"inbox": inbox_of(agent_id), "now": now}).fetchone()
    return cast("int", row[0]) if row else 0


def _message(row: Row) -> Message:
    return Message(
        id=MemoryId(cast("str", row[0])),
        sender=AgentId(cast("str", row[1])),
        title=cast("str", row[2]),
        payload=cast("str", row[3]),
        priority=cast("int", row[4]),
        tier=Tier(cast("str", row[5])),
        created_at=Instant(cast("int", row[6])),
        expires_at=None if row[7] is None else Instant(cast("int", row[7])),
        read_at=None if row[8] is None else Instant(cast("int", row[8])),
    )
