"""Tools on the knowledge graph.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.errors import NotFound
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.model import Relation
from aimem.wire import GraphQuery, InvalidateRequest, TimelineQuery

SourceId = Annotated[str, Meta(description="Id of the memory that the links begin at.")]
RowLimit = Annotated[int, Meta(ge=1, le=1000, description="How many at most.")]


class TimelineParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_kg_timeline."""

    source_id: SourceId
    since: Annotated[str | None, Meta(description="Only what began to hold at or after this time, RFC 3339.")] = None
    until: Annotated[str | None, Meta(description="Only what began to hold at or before this time, RFC 3339.")] = None
    limit: RowLimit = 200


class InvalidateParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_kg_invalidate."""

    source_id: SourceId
    target_id: Annotated[str, Meta(description="Id of the memory that the link leads to.")]
    relation: Annotated[Relation, Meta(description="What the link says.")]
    valid_until: Annotated[str | None, Meta(description="When it ceased to hold, RFC 3339; by default now.")] = None
    reason: Annotated[str | None, Meta(description="Why, in a sentence.")] = None


class QueryParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_kg_query."""

    source_id: SourceId
    max_depth: Annotated[int, Meta(ge=1, le=5, description="How many links away at most.")] = 1
    valid_at: Annotated[
        str | None,
        Meta(description="Only links that held at this time, RFC 3339; by default now; all: whether they hold or not."),
    ] = None
    allowed_agents: Annotated[
        list[str] | None, Meta(description="Only links that one of these agents stated; an empty list allows none.")
    ] = None
    limit: RowLimit = 200


async def timeline(call: Call, given: TimelineParams) -> str:
    """memory_kg_timeline."""
    query = TimelineQuery(source_id=given.source_id, since=given.since, until=given.until, limit=given.limit)
    return as_json(await call.client.kg_timeline(query, agent_id=call.agent_id))


async def invalidate(call: Call, given: InvalidateParams) -> str:
    """memory_kg_invalidate; a link that is not there is an answer, as in v0.6.3, and no error."""
    request = InvalidateRequest(
        source_id=given.source_id, target_id=given.target_id, relation=given.relation, valid_until=given.valid_until,
        reason=given.reason,
    )
    try:
        return as_json(await call.client.kg_invalidate(request, agent_id=call.agent_id))
    except NotFound as error:
        if error.details.get("found") is not False:
            raise
        return as_json(error.details)


async def query(call: Call, given: QueryParams) -> str:
    """memory_kg_query."""
    request = GraphQuery(
        source_id=given.source_id, max_depth=given.max_depth, valid_at=given.valid_at,
        allowed_agents=given.allowed_agents, limit=given.limit,
    )
    return as_json(await call.client.kg_query(request, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_kg_timeline", params=TimelineParams, handle=timeline, effect=Effect.READS,
        description="What a memory was related to and when, in the order of time, ended links included.",
    ),
    Tool(
        name="memory_kg_invalidate", params=InvalidateParams, handle=invalidate, effect=Effect.OVERWRITES,
        description="Say that a link holds no longer. It stays in the timeline; memory_link states it anew.",
    ),
    Tool(
        name="memory_kg_query", params=QueryParams, handle=query, effect=Effect.READS,
        description="Follow links from a memory, up to five links away: one row for each path, the nearest first.",
    ),
)
