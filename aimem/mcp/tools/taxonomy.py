"""The tool that shows namespaces as a tree.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.errors import InvalidRequest
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.wire import TaxonomyQuery


class TaxonomyParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_get_taxonomy."""

    namespace_prefix: Annotated[str | None, Meta(description="Only the tree below this namespace.")] = None
    depth: Annotated[
        int, Meta(ge=0, le=8, description="How many levels to show; what lies deeper is counted where it is cut off.")
    ] = 8
    limit: Annotated[int, Meta(ge=1, le=10_000, description="How many namespaces at most, the largest first.")] = 1000


async def get_taxonomy(call: Call, given: TaxonomyParams) -> str:
    """memory_get_taxonomy."""
    query = TaxonomyQuery(prefix=given.namespace_prefix, depth=given.depth, limit=given.limit)
    try:
        return as_json(await call.client.get_taxonomy(query, agent_id=call.agent_id))
    except InvalidRequest as error:
        if error.field != "prefix":
            raise
        raise InvalidRequest(error.message, code=error.code, field="namespace_prefix") from error


TOOLS: Final = (
    Tool(
        name="memory_get_taxonomy", params=TaxonomyParams, handle=get_taxonomy, effect=Effect.READS,
        description="Namespaces as a tree, with how many memories each has and how many lie below it.",
    ),
)
