"""Tools on links.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import Id
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.model import Relation
from aimem.wire import LinkRequest


class LinkParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_link."""

    source_id: Annotated[str, Meta(description="Id of the memory that the statement is about.")]
    target_id: Annotated[str, Meta(description="Id of the memory that it points to.")]
    relation: Annotated[Relation, Meta(description="What the source is to the target.")] = Relation.RELATED_TO


class GetLinksParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_get_links."""

    id: Id


async def link(call: Call, given: LinkParams) -> str:
    """memory_link."""
    request = LinkRequest(source_id=given.source_id, target_id=given.target_id, relation=given.relation)
    return as_json(await call.client.link(request, agent_id=call.agent_id))


async def get_links(call: Call, given: GetLinksParams) -> str:
    """memory_get_links."""
    return as_json(await call.client.links_of(given.id, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_link", params=LinkParams, handle=link, effect=Effect.ENSURES,
        description="State how one memory relates to another.",
    ),
    Tool(
        name="memory_get_links", params=GetLinksParams, handle=get_links, effect=Effect.READS,
        description="The links of a memory, in both directions.",
    ),
)
