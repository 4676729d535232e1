"""Tools on one memory.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from aimem.errors import Code, InvalidRequest
from aimem.mcp.tools.common import Confidence, Id, IdOrPrefix, Metadata, Priority, Tags, documented
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.model import Scope, Tier, rules
from aimem.wire import CreateMemory, UpdateMemory, to_builtins


class StoreParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_store."""

    content: Annotated[str, Meta(description="The text to remember.")]
    title: Annotated[
        str | None,
        Meta(description="A short name, unique in its namespace; the same name again updates the memory. Left out or "
             "blank, one is made from the content."),
    ] = None
    tier: Annotated[
        Annotated[Tier, documented("mid")] | None,
        Meta(description="How long it should live: short (hours), mid (days) or long (for ever)."),
    ] = None
    namespace: Annotated[
        Annotated[str, documented("global")] | None, Meta(description="Where it belongs, like team/project.")
    ] = None
    tags: Annotated[Tags, documented([])] | None = None
    priority: Annotated[
        Annotated[Priority, documented(5)] | None, Meta(description="Weight in ranking, 10 is the most important.")
    ] = None
    confidence: Annotated[
        Annotated[Confidence, documented(1.0)] | None, Meta(description="How certain it is.")
    ] = None
    source: Annotated[
        str,
        Meta(
            description="What kind of writer it came from: user, claude, hook, api, cli, import, consolidation, "
            "system, chaos, or another word of a-z, 0-9 and _ . : -"
        ),
    ] = "claude"
    metadata: Annotated[Metadata, documented({})] | None = None
    agent_id: Annotated[str | None, Meta(description="Author; by default the identity of this connection.")] = None
    scope: Annotated[Scope | None, Meta(description="Who may see it.")] = None
    expires_at: Annotated[str | None, Meta(description="When it expires, RFC 3339; else the tier decides.")] = None
    ttl_secs: Annotated[
        Annotated[int, Meta(ge=1, le=rules.TTL_MAX_S)] | None, Meta(description="Seconds until it expires.")
    ] = None


class GetParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_get."""

    id: IdOrPrefix


class UpdateParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_update: what is given changes."""

    id: IdOrPrefix
    title: Annotated[str | None, Meta(description="New title.")] = None
    content: Annotated[str | None, Meta(description="New text.")] = None
    tier: Annotated[Tier | None, Meta(description="New tier; a lower one than it has leaves it.")] = None
    namespace: Annotated[str | None, Meta(description="Move it here.")] = None
    tags: Tags | None = None
    priority: Annotated[Priority | None, Meta(description="New weight in ranking.")] = None
    confidence: Annotated[Confidence | None, Meta(description="How certain it is now.")] = None
    expires_at: Annotated[
        str | UnsetType | None, Meta(description="New expiry, RFC 3339; null or an empty text clears it.")
    ] = UNSET
    metadata: Metadata | None = None


class DeleteParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_delete."""

    id: Id


class PromoteParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_promote."""

    id: Id
    to_namespace: Annotated[
        str | None, Meta(description="An ancestor namespace to copy it into; without it the memory becomes long-lived.")
    ] = None


async def store(call: Call, given: StoreParams) -> str:
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
    return as_json(answer)


async def get(call: Call, given: GetParams) -> str:
    """memory_get; the memory is written once, flat, though the HTTP answer has it nested as well."""
    answer: dict[str, object] = to_builtins(await call.client.get(given.id, agent_id=call.agent_id))
    answer.pop("memory", None)
    return as_json(answer)


async def update(call: Call, given: UpdateParams) -> str:
    """memory_update; both null and an empty text clear the expiry. A call without a change is a mistake."""
    if given == UpdateParams(id=given.id):
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
    return as_json({"updated": True, "memory": memory, "version": version})


async def delete(call: Call, given: DeleteParams) -> str:
    """memory_delete."""
    return as_json(await call.client.delete(given.id, agent_id=call.agent_id))


async def promote(call: Call, given: PromoteParams) -> str:
    """memory_promote."""
    return as_json(await call.client.promote(given.id, given.to_namespace, agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_store", params=StoreParams, handle=store, effect=Effect.OVERWRITES,
        description="Keep a text for later conversations. The same title in the same namespace updates what is there.",
    ),
    Tool(
        name="memory_get", params=GetParams, handle=get, effect=Effect.READS,
        description="Read one memory in full, with its links.",
    ),
    Tool(
        name="memory_update", params=UpdateParams, handle=update, effect=Effect.OVERWRITES,
        description="Change a memory: only what is given changes; its author stays.",
    ),
    Tool(
        name="memory_delete", params=DeleteParams, handle=delete, effect=Effect.OVERWRITES,
        description="Remove a memory for ever. It does not go to the archive and its id never returns.",
    ),
    Tool(
        name="memory_promote", params=PromoteParams, handle=promote, effect=Effect.ADDS,
        description="Make a memory long-lived (the whole id is needed), or copy it up into an ancestor namespace.",
    ),
)
