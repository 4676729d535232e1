"""Tools that ask a language model.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import Id
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.wire import ContradictionRequest, ExpandRequest


class ExpandQueryParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_expand_query."""

    query: Annotated[str, Meta(description="What you are looking for.")]


class AutoTagParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_auto_tag."""

    id: Id


class DetectContradictionParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_detect_contradiction."""

    id_a: Annotated[str, Meta(description="Id of one memory.")]
    id_b: Annotated[str, Meta(description="Id of the other.")]


async def expand_query(call: Call, given: ExpandQueryParams) -> str:
    """memory_expand_query."""
    return as_json(await call.client.expand_query(ExpandRequest(query=given.query), agent_id=call.agent_id))


async def auto_tag(call: Call, given: AutoTagParams) -> str:
    """memory_auto_tag."""
    return as_json(await call.client.auto_tag(given.id, agent_id=call.agent_id))


async def detect_contradiction(call: Call, given: DetectContradictionParams) -> str:
    """memory_detect_contradiction."""
    request = ContradictionRequest(id_a=given.id_a, id_b=given.id_b)
    return as_json(await call.client.detect_contradiction(request, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_expand_query", params=ExpandQueryParams, handle=expand_query, effect=Effect.READS,
        description="Other words for what you are looking for, when a search found too little. Needs a language model.",
    ),
    Tool(
        name="memory_auto_tag", params=AutoTagParams, handle=auto_tag, effect=Effect.ADDS,
        description="Have a language model add tags to a memory; those that it has stay. Needs a language model.",
    ),
    Tool(
        name="memory_detect_contradiction", params=DetectContradictionParams, handle=detect_contradiction,
        effect=Effect.READS,
        description="Whether two memories contradict each other: judged by a language model if there is one (method "
        "model), else by comparing numbers, dates and negations (method deterministic).",
    ),
)
