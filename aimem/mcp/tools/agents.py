"""Tools on agents.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import NoParams, documented
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.wire import AgentRequest


class AgentRegisterParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_agent_register."""

    agent_id: Annotated[str, Meta(description="Id of the agent.")]
    agent_type: Annotated[
        str, Meta(description="human, system, or ai: with the name of a model or program, like ai:claude-opus-4.7.")
    ]
    capabilities: Annotated[
        Annotated[list[str], Meta(description="What the agent can do, in words of its own."), documented([])] | None,
        Meta(),
    ] = None


async def register(call: Call, given: AgentRegisterParams) -> str:
    """memory_agent_register."""
    request = AgentRequest(
        agent_id=given.agent_id, agent_type=given.agent_type, capabilities=given.capabilities
    )
    return as_json(await call.client.register_agent(request, agent_id=call.agent_id))


async def list_agents(call: Call, _: NoParams) -> str:
    """memory_agent_list."""
    return as_json(await call.client.list_agents(agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_agent_register", params=AgentRegisterParams, handle=register, effect=Effect.ENSURES,
        description="Make an agent known to the others, with what it is and can. Once more brings that up to date.",
    ),
    Tool(
        name="memory_agent_list", params=NoParams, handle=list_agents, effect=Effect.READS,
        description="Which agents are registered, by id, at most 1000.",
    ),
)
