"""Tools that change many memories at once.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import Namespace, OnlyTier
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.model import Tier
from aimem.wire import ConsolidateRequest, ForgetRequest


class ForgetParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_forget."""

    namespace: Namespace = None
    pattern: Annotated[
        str | None, Meta(description="Only memories that hold at least one of these words, in any form.")
    ] = None
    tier: OnlyTier = None
    dry_run: Annotated[bool, Meta(description="Only count and name what would go. Do this first.")] = False
    undo: Annotated[
        str | None, Meta(description="Instead of the others: the forget_id of an earlier answer, to bring that back.")
    ] = None


class ConsolidateParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_consolidate."""

    ids: Annotated[list[str], Meta(description="Ids of the 2 to 100 memories to put together.")]
    title: Annotated[str, Meta(description="Title of the new memory; a title of one of them will do.")]
    summary: Annotated[
        str | None,
        Meta(description="Text of the new memory. Left out, the language model writes one, if this node has one."),
    ] = None
    namespace: Annotated[str, Meta(description="Where the new memory belongs.")] = "global"
    tier: Annotated[Tier, Meta(description="How long the new memory should live.")] = Tier.LONG


async def forget(call: Call, given: ForgetParams) -> str:
    """memory_forget."""
    request = ForgetRequest(
        namespace=given.namespace, pattern=given.pattern, tier=given.tier, dry_run=given.dry_run, undo=given.undo
    )
    return as_json(await call.client.forget(request, agent_id=call.agent_id))


async def consolidate(call: Call, given: ConsolidateParams) -> str:
    """memory_consolidate."""
    request = ConsolidateRequest(
        ids=given.ids, title=given.title, summary=given.summary, namespace=given.namespace, tier=given.tier
    )
    return as_json(await call.client.consolidate(request, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_forget", params=ForgetParams, handle=forget, effect=Effect.OVERWRITES,
        description="Put away all memories that fit every given filter; at least one is needed. They go to the "
        "archive, and undo brings exactly these back.",
    ),
    Tool(
        name="memory_consolidate", params=ConsolidateParams, handle=consolidate, effect=Effect.OVERWRITES,
        description="Put one memory in place of several that say the same or belong together. These go to the archive, "
        "linked to the new one.",
    ),
)
