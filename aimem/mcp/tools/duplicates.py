"""The tool that looks for duplicates.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import Namespace
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.wire import DuplicateCheck


class CheckParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_check_duplicate."""

    content: Annotated[str, Meta(description="The text that you are about to store.")]
    title: Annotated[str | None, Meta(description="Its title.")] = None
    namespace: Namespace = None
    threshold: Annotated[
        float, Meta(ge=0.5, le=1, description="The similarity from which on it is a duplicate; 1 is the same.")
    ] = 0.85


async def check_duplicate(call: Call, given: CheckParams) -> str:
    """memory_check_duplicate."""
    request = DuplicateCheck(
        title=given.title, content=given.content, namespace=given.namespace, threshold=given.threshold
    )
    return as_json(await call.client.check_duplicate(request, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_check_duplicate", params=CheckParams, handle=check_duplicate, effect=Effect.READS,
        description="Whether a text, or one that says nearly the same, is there already. Ask before you store.",
    ),
)
