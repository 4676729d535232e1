"""Agents.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import AgentRequest, AgentsOut, AgentsQuery, Deleted, Registered


async def list_agents(call: Call[AgentsQuery, None]) -> AgentsOut:
    """Who is registered."""
    return await service.list_agents(call.node, call.who, call.query)


async def register_agent(call: Call[None, AgentRequest]) -> Registered:
    """Register an agent."""
    return await service.register_agent(call.node, call.who, call.body, call.once)


async def remove_agent(call: Call[None, None]) -> Deleted:
    """Take a registration back."""
    return await service.remove_agent(call.node, call.who, call.path["agent_id"], call.once)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/agents", name="list_agents", handler=list_agents, query=AgentsQuery,
        answer=AgentsOut, summary="Registered agents, by id.",
    ),
    Route(
        method="POST", path="/api/v1/agents", name="register_agent", handler=register_agent, body=AgentRequest,
        answer=Registered, status=201, summary="Register an agent, or bring its registration up to date.",
        effect=Effect.WRITE_ONCE,
    ),
    Route(
        method="DELETE", path="/api/v1/agents/{agent_id}", name="remove_agent", handler=remove_agent, answer=Deleted,
        summary="Take a registration back.", effect=Effect.WRITE_ONCE, errors=(Code.NOT_FOUND,),
    ),
)
