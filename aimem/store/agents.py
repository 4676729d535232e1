"""Queries over agents."""

from __future__ import annotations

from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Agent, AgentId
from aimem.ports import Connection, Row

_COLUMNS: Final = "agent_id, agent_type, capabilities, registered_at, last_seen_at, author"
_REGISTERED: Final = f"SELECT {_COLUMNS} FROM agents WHERE present = 1 AND born IS NOT NULL"
_PAGE: Final = f"{_REGISTERED} ORDER BY agent_id LIMIT :limit OFFSET :offset"
_ONE: Final = f"{_REGISTERED} AND agent_id = :agent_id"
_COUNT: Final = "SELECT count(*) FROM agents WHERE present = 1 AND born IS NOT NULL"

_texts = msgspec.json.Decoder(tuple[str, ...])


class AgentPage(Struct, frozen=True, kw_only=True):
    """Some of the registered agents.

    Attributes:
      unreadable_count: rows of this page that are damaged; one of them must not hide the others.
      total: all registered agents.
    """

    agents: tuple[Agent, ...]
    unreadable_count: int
    total: int


def page(conn: Connection, limit: int, offset: int) -> AgentPage:
    """Registered agents by id."""
    found = [_agent(row) for row in conn.execute(_PAGE, {"limit": limit, "offset": offset})]
    total = conn.execute(_COUNT).fetchone()
    return AgentPage(
        agents=tuple(agent for agent in found if agent is not None),
        unreadable_count=sum(agent is None for agent in found),
        total=cast("int", total[0]) if total else 0,
    )


def find(conn: Connection, agent_id: AgentId) -> Agent | None:
    """A registered agent."""
    row = conn.execute(_ONE, {"agent_id": agent_id}).fetchone()
    return None if row is None else _agent(row)


def _agent(row: Row) -> Agent | None:
    try:
        return msgspec.convert(
            {
                "agent_id": row[0],
                "agent_type": row[1],
                "capabilities": _texts.decode(cast("str", row[2])),
                "registered_at": row[3],
                "last_seen_at": row[4],
                "registered_by": row[5],
            },
            Agent,
        )
    except (msgspec.DecodeError, TypeError):
        return None
