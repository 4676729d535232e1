"""Tools that find memories.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct

from aimem.mcp.tools.common import AnswerFormat, AsAgent, Author, Budget, Namespace, OnlyTier, PageLimit
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.mcp.toon import Format, standards_in, to_toon
from aimem.model import rules
from aimem.wire import ListQuery, RecallRequest, SearchQuery, to_builtins


class RecallParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_recall."""

    context: Annotated[str, Meta(description="What you are about to do or want to know, in plain words.")]
    namespace: Namespace = None
    limit: Annotated[int, Meta(ge=0, le=50, description="How many at most.")] = 10
    tags: Annotated[str | None, Meta(description="Only memories with this tag (one).")] = None
    since: Annotated[str | None, Meta(description="Only memories created at or after this time, RFC 3339.")] = None
    until: Annotated[str | None, Meta(description="Only memories created at or before this time, RFC 3339.")] = None
    as_agent: AsAgent = None
    budget_tokens: Annotated[
        Budget | None, Meta(description="Stop before the texts exceed about this many tokens.")
    ] = None
    context_tokens: Annotated[
        list[str] | None, Meta(description="Recent words of the conversation that colour the query.")
    ] = None
    floor: Annotated[
        bool, Meta(description="Leave out memories that have nothing to do with the context, and count them.")
    ] = True
    explain: Annotated[bool, Meta(description="Say of each memory what its score is made of.")] = False
    format: AnswerFormat = Format.TOON_COMPACT


class SearchParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_search."""

    query: Annotated[str, Meta(description="Words that must all occur.")]
    namespace: Namespace = None
    tier: OnlyTier = None
    limit: PageLimit = 20
    agent_id: Author = None
    as_agent: AsAgent = None
    format: AnswerFormat = Format.TOON_COMPACT


class ListParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_list."""

    namespace: Namespace = None
    tier: OnlyTier = None
    limit: PageLimit = 20
    agent_id: Author = None
    cursor: Annotated[str | None, Meta(description="next_cursor of the page before.")] = None
    format: AnswerFormat = Format.TOON_COMPACT


async def recall(call: Call, given: RecallParams) -> str:
    """memory_recall."""
    result = await call.client.recall(
        RecallRequest(
            context=given.context, namespace=given.namespace, limit=given.limit, tags=given.tags, since=given.since,
            until=given.until, as_agent=given.as_agent, budget_tokens=given.budget_tokens,
            context_tokens=given.context_tokens, floor=given.floor, explain=given.explain,
            standards=True,
        ),
        agent_id=call.agent_id,
    )
    if given.format is Format.JSON:
        return as_json(result)
    facts = (
        ("count", result.count), ("mode", result.mode), ("tokens_used", result.tokens_used),
        ("budget_tokens", result.budget_tokens), ("below_floor", result.below_floor or None),
        ("standards_omitted", result.standards_omitted),
        ("ranking", UNSET if result.ranking is UNSET else to_builtins(result.ranking)),
    )
    # Behind the others, and only if there is anything to say: a reader that counts columns is not disturbed.
    more = tuple(
        name for name in ("contradicted_by", "explanation")
        if any(getattr(memory, name) is not UNSET for memory in result.memories)
    )
    return to_toon(facts, result.memories, given.format, more_columns=more, standards=standards_in(result))


async def search(call: Call, given: SearchParams) -> str:
    """memory_search; each hit is written once, though the HTTP answer has it under two names.

    A blank query is refused here already, since the node would call it `q`.
    """
    result = await call.client.search(
        SearchQuery(
            q=rules.query(given.query, field="query"), namespace=given.namespace, tier=given.tier, limit=given.limit,
            agent_id=given.agent_id or None, as_agent=given.as_agent,
        ),
        agent_id=call.agent_id,
    )
    if given.format is Format.JSON:
        return as_json({"results": result.results, "count": result.count})
    return to_toon((("count", result.count),), result.results, given.format)


async def list_memories(call: Call, given: ListParams) -> str:
    """memory_list."""
    page = await call.client.list_memories(
        ListQuery(
            namespace=given.namespace, tier=given.tier, limit=given.limit, agent_id=given.agent_id or None,
            cursor=given.cursor,
        ),
        agent_id=call.agent_id,
    )
    if given.format is Format.JSON:
        return as_json(page)
    return to_toon((("count", page.count), ("next_cursor", page.next_cursor)), page.memories, given.format)


TOOLS: Final = (
    Tool(
        name="memory_recall", params=RecallParams, handle=recall, effect=Effect.USES,
        description="Find memories by meaning, best first. What is recalled lives longer, and the fifth recall makes a "
        "mid-tier memory long-lived.",
    ),
    Tool(
        name="memory_search", params=SearchParams, handle=search, effect=Effect.READS,
        description="Find memories in which all the given words occur, in any order; there are no operators.",
    ),
    Tool(
        name="memory_list", params=ListParams, handle=list_memories, effect=Effect.READS,
        description="List memories by namespace, tier or author, a page at a time.",
    ),
)
