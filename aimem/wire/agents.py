"""Agents: registration, list and removal."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.model import Agent, format_instant


class AgentRequest(Struct, kw_only=True):
    """Body of POST /agents."""

    agent_id: str
    agent_type: str
    capabilities: list[str] | None = None


class AgentsQuery(Struct, kw_only=True):
    """Query of GET /agents."""

    limit: int = 1000
    offset: int = 0


class AgentOut(Struct, kw_only=True):
    """A registered agent; `registered_by` is who registered it first."""

    agent_id: str
    agent_type: str
    capabilities: tuple[str, ...]
    registered_at: str
    last_seen_at: str
    registered_by: str


class Registered(Struct, kw_only=True):
    """Answer to a registration.

    Attributes:
      id: the agent's id again: v0.6.3 had the id of a memory here.
      action: `created`, or `updated` if the agent was registered already.
    """

    registered: bool
    id: str
    agent_id: str
    agent_type: str
    capabilities: tuple[str, ...]
    registered_at: str
    last_seen_at: str
    registered_by: str
    action: str
    version: str | UnsetType = UNSET


class AgentsOut(Struct, kw_only=True):
    """Registered agents by id.

    Attributes:
      count: of this page.
      total: of all.
      unreadable: how many rows of this page were left out because they are damaged.
    """

    count: int
    agents: tuple[AgentOut, ...]
    total: int
    unreadable: int | UnsetType = UNSET


def agent_out(agent: Agent) -> AgentOut:
    """An agent in wire form."""
    return AgentOut(
        agent_id=agent.agent_id,
        agent_type=agent.agent_type,
        capabilities=agent.capabilities,
        registered_at=format_instant(agent.registered_at),
        last_seen_at=format_instant(agent.last_seen_at),
        registered_by=agent.registered_by,
    )
