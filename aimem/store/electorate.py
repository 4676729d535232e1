"""Queries over who there is: registered agents, and agents that have a key."""

from __future__ import annotations

from typing import Final, cast

from msgspec import Struct

from aimem.model import AgentId, Instant, Namespace, Role
from aimem.ports import Connection

_KNOWN: Final = (
    "SELECT agent_id FROM agents WHERE present = 1 AND born IS NOT NULL UNION "
    "SELECT agent_id FROM agent_keys WHERE born IS NOT NULL AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > :now)"
)
_COUNT_REGISTERED: Final = "SELECT count(DISTINCT lower(agent_id)) FROM agents WHERE present = 1 AND born IS NOT NULL"
_IS_KNOWN: Final = f"SELECT EXISTS (SELECT 1 FROM ({_KNOWN}) WHERE agent_id = :agent_id)"
_HAS_OTHERS: Final = f"SELECT EXISTS (SELECT 1 FROM ({_KNOWN}) WHERE agent_id <> :agent_id)"
_KEYS: Final = (
    "SELECT role, home FROM agent_keys WHERE agent_id = :agent_id AND born IS NOT NULL AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > :now) ORDER BY role = 'operator' DESC, created_at DESC, key_id LIMIT 1"
)


class Standing(Struct, frozen=True, kw_only=True):
    """As what an agent's best valid key lets it in: an operator's before an agent's, then the latest."""

    role: Role
    home: Namespace | None


def count_registered(conn: Connection) -> int:
    """How many agents could vote: registered ones, upper and lower case being one."""
    return _number(conn, _COUNT_REGISTERED)


def is_known(conn: Connection, agent_id: AgentId, now: Instant) -> bool:
    """Whether an agent is registered or has a valid key."""
    return _number(conn, _IS_KNOWN, agent_id=agent_id, now=now) == 1


def has_others(conn: Connection, agent_id: AgentId, now: Instant) -> bool:
    """Whether any other agent is registered or has a valid key."""
    return _number(conn, _HAS_OTHERS, agent_id=agent_id, now=now) == 1


def standing_of(conn: Connection, agent_id: AgentId, now: Instant) -> Standing | None:
    """As what an agent gets in; None if it has no valid key."""
    row = conn.execute(_KEYS, {"agent_id": agent_id, "now": now}).fetchone()
    if row is None:
        return None
    return Standing(role=Role(str(row[0])), home=None if row[1] is None else Namespace(str(row[1])))


def _number(conn: Connection, sql: str, **parameters: str | int) -> int:
    row = conn.execute(sql, parameters).fetchone()
    return cast("int", row[0]) if row else 0
