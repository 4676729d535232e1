"""What each tool does with its arguments: one call of the node, and the answer in v0.6.3's shape.

Nothing is decided here; a handler translates parameters to a request of `wire` and the answer to text.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct

from aimem.errors import Code, InvalidRequest
from aimem.mcp import params as p
from aimem.mcp.memory_client import MemoryClient
from aimem.mcp.toon import COLUMNS, Format, to_toon
from aimem.model import rules
from aimem.wire import (
    CreateMemory,
    GcQuery,
    GetArchivedQuery,
    LinkRequest,
    ListQuery,
    RecallRequest,
    RestoreQuery,
    SearchQuery,
    UpdateMemory,
    to_builtins,
)


class Call(Struct, frozen=True, kw_only=True):
    """Where a call goes and who makes it.

    Attributes:
      agent_id: the identity of the connection.
    """

    client: MemoryClient
    agent_id: str


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


async def store(call: Call, given: p.StoreParams) -> str:
    """memory_store; the author may stand in `agent_id` or, as v0.6.3 had it, in `metadata.agent_id`."""
    named = (given.metadata or {}).get("agent_id")
    stored = await call.client.remember(
        CreateMemory(
            content=given.content, title=given.title, tier=given.tier, namespace=given.namespace, tags=given.tags,
            priority=given.priority, confidence=given.confidence, source=given.source, metadata=given.metadata,
            expires_at=given.expires_at, ttl_secs=given.ttl_secs, scope=given.scope,
            agent_id=given.agent_id or (named if isinstance(named, str) else None) or None,
        ),
        agent_id=call.agent_id,
    )
    answer: dict[str, object] = to_builtins(stored)
    if stored.action == "updated":
        answer |= {"duplicate": True, "action": "updated existing memory"}
    return _json(answer)


async def recall(call: Call, given: p.RecallParams) -> str:
    """memory_recall."""
    result = await call.client.recall(
        RecallRequest(
            context=given.context, namespace=given.namespace, limit=given.limit, tags=given.tags, since=given.since,
            until=given.until, as_agent=given.as_agent, budget_tokens=given.budget_tokens,
            context_tokens=given.context_tokens, floor=given.floor, explain=given.explain,
        ),
        agent_id=call.agent_id,
    )
    if given.format is Format.JSON:
        return _json(result)
    facts = (
        ("count", result.count), ("mode", result.mode), ("tokens_used", result.tokens_used),
        ("budget_tokens", result.budget_tokens), ("below_floor", result.below_floor or None),
        ("ranking", UNSET if result.ranking is UNSET else to_builtins(result.ranking)),
    )
    # Behind the others, and only if there is anything to say: a reader that counts columns is not disturbed.
    more = tuple(
        name for name in ("contradicted_by", "explanation")
        if any(getattr(memory, name) is not UNSET for memory in result.memories)
    )
    return to_toon(facts, result.memories, COLUMNS[given.format] + more)


async def search(call: Call, given: p.SearchParams) -> str:
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
        return _json({"results": result.results, "count": result.count})
    return to_toon((("count", result.count),), result.results, COLUMNS[given.format])


async def list_memories(call: Call, given: p.ListParams) -> str:
    """memory_list."""
    page = await call.client.list_memories(
        ListQuery(
            namespace=given.namespace, tier=given.tier, limit=given.limit, agent_id=given.agent_id or None,
            cursor=given.cursor,
        ),
        agent_id=call.agent_id,
    )
    if given.format is Format.JSON:
        return _json(page)
    return to_toon((("count", page.count), ("next_cursor", page.next_cursor)), page.memories, COLUMNS[given.format])


async def get(call: Call, given: p.GetParams) -> str:
    """memory_get; the memory is written once, flat, though the HTTP answer has it nested as well."""
    answer: dict[str, object] = to_builtins(await call.client.get(given.id, agent_id=call.agent_id))
    answer.pop("memory", None)
    return _json(answer)


async def update(call: Call, given: p.UpdateParams) -> str:
    """memory_update; both null and an empty text clear the expiry. A call without a change is a mistake."""
    if given == p.UpdateParams(id=given.id):
        names = ", ".join(name for name in given.__struct_fields__ if name != "id")
        raise InvalidRequest(f"nothing to change; give at least one of {names}", code=Code.SCHEMA_MISMATCH)
    updated = await call.client.update(
        given.id,
        UpdateMemory(
            title=given.title, content=given.content, tier=given.tier, namespace=given.namespace, tags=given.tags,
            priority=given.priority, confidence=given.confidence, metadata=given.metadata,
            expires_at=None if given.expires_at is UNSET else given.expires_at or "",
        ),
        agent_id=call.agent_id,
    )
    memory: dict[str, object] = to_builtins(updated)
    version = memory.pop("version")
    return _json({"updated": True, "memory": memory, "version": version})


async def delete(call: Call, given: p.DeleteParams) -> str:
    """memory_delete."""
    return _json(await call.client.delete(given.id, agent_id=call.agent_id))


async def promote(call: Call, given: p.PromoteParams) -> str:
    """memory_promote."""
    return _json(await call.client.promote(given.id, given.to_namespace, agent_id=call.agent_id))


async def link(call: Call, given: p.LinkParams) -> str:
    """memory_link."""
    request = LinkRequest(source_id=given.source_id, target_id=given.target_id, relation=given.relation)
    return _json(await call.client.link(request, agent_id=call.agent_id))


async def get_links(call: Call, given: p.GetLinksParams) -> str:
    """memory_get_links."""
    return _json(await call.client.links_of(given.id, agent_id=call.agent_id))


async def stats(call: Call, _: p.NoParams) -> str:
    """memory_stats."""
    return _json(await call.client.stats(agent_id=call.agent_id))


async def collect(call: Call, given: p.GcParams) -> str:
    """memory_gc."""
    return _json(await call.client.collect(GcQuery(dry_run=given.dry_run), agent_id=call.agent_id))


async def archive_list(call: Call, given: p.ArchiveListParams) -> str:
    """memory_archive_list."""
    query = GetArchivedQuery(namespace=given.namespace, limit=given.limit, offset=given.offset)
    return _json(await call.client.list_archive(query, agent_id=call.agent_id))


async def archive_restore(call: Call, given: p.ArchiveRestoreParams) -> str:
    """memory_archive_restore."""
    return _json(await call.client.restore(given.id, RestoreQuery(mode=given.mode), agent_id=call.agent_id))


async def archive_stats(call: Call, _: p.NoParams) -> str:
    """memory_archive_stats."""
    return _json(await call.client.archive_stats(agent_id=call.agent_id))


async def capabilities(call: Call, _: p.NoParams) -> str:
    """memory_capabilities."""
    return _json(await call.client.capabilities(agent_id=call.agent_id))
