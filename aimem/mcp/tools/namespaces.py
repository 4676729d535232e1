"""Tools on what is set for namespaces: standards and policies.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Final  # Any: a JSON object's values, which msgspec's schema wants as Any

from msgspec import Meta, Struct

from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.wire import StandardRequest

Named = Annotated[str, Meta(description="The namespace, like team/project; * is above all others.")]


class SetParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_namespace_set_standard."""

    namespace: Named
    id: Annotated[
        str | None,
        Meta(description="Whole id of the memory that becomes the standard; without it the present one stays, or one "
             "is made."),
    ] = None
    parent: Annotated[str | None, Meta(description="A namespace whose standards hold here too.")] = None
    governance: Annotated[
        dict[str, Any] | None,
        Meta(description="The policy, for this namespace and those below it that have none: a level (any, registered, "
             "owner, approve) for write, promote, delete and policy, and approver: human, {\"agent\": id} or "
             "{\"consensus\": n}."),
    ] = None
    content: Annotated[
        str | None, Meta(description="Text of the standard, if it is not a memory that is there; instead of id.")
    ] = None
    dry_run: Annotated[bool, Meta(description="Only say whether it would be set.")] = False


class GetParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_namespace_get_standard."""

    namespace: Named
    inherit: Annotated[
        bool, Meta(description="Also those that it inherits, the most general first.")
    ] = False


class ClearParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_namespace_clear_standard."""

    namespace: Named


async def set_standard(call: Call, given: SetParams) -> str:
    """memory_namespace_set_standard."""
    request = StandardRequest(
        id=given.id, parent=given.parent, governance=given.governance, content=given.content, dry_run=given.dry_run,
    )
    return as_json(await call.client.set_standard(given.namespace, request, agent_id=call.agent_id))


async def get_standard(call: Call, given: GetParams) -> str:
    """memory_namespace_get_standard."""
    if given.inherit:
        return as_json(await call.client.standards(given.namespace, agent_id=call.agent_id))
    return as_json(await call.client.standard(given.namespace, agent_id=call.agent_id))


async def clear_standard(call: Call, given: ClearParams) -> str:
    """memory_namespace_clear_standard."""
    return as_json(await call.client.clear_standard(given.namespace, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_namespace_set_standard", params=SetParams, handle=set_standard, effect=Effect.OVERWRITES,
        description="Set the standard of a namespace (the memory that says how things are done there, shown with every "
        "recall in it), its policy (who may write, promote, delete there), or both. What is left out stays.",
    ),
    Tool(
        name="memory_namespace_get_standard", params=GetParams, handle=get_standard, effect=Effect.READS,
        description="The standard of a namespace, and the policy that holds there.",
    ),
    Tool(
        name="memory_namespace_clear_standard", params=ClearParams, handle=clear_standard, effect=Effect.OVERWRITES,
        description="Take standard and policy of a namespace away; what it inherits then holds. The memory stays.",
    ),
)
