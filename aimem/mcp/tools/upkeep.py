"""Tools that look after the whole.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from aimem.mcp.tools.common import COUNT_MAX, Id, Namespace, NoParams
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.wire import GcQuery, GetArchivedQuery, PurgeQuery, RestoreQuery, to_builtins

UNLISTED_HINT: Final = (
    "unlisted tools work when called by name; to have all listed: ai-memory mcp --profile full, "
    "AI_MEMORY_MCP_PROFILE=full, mcp_profile in the configuration, or /mcp?profile=full"
)


class GcParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_gc."""

    dry_run: Annotated[bool, Meta(description="Only count what is expired.")] = False


class ArchiveListParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_archive_list."""

    namespace: Namespace = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most.")] = 50
    offset: Annotated[int, Meta(ge=0, le=COUNT_MAX, description="How many of the newest to skip.")] = 0


class ArchiveRestoreParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_archive_restore."""

    id: Id
    mode: Annotated[
        Literal["keep", "long"],
        Meta(description="keep: with the tier and expiry that it had; long: for ever, as v0.6.3 did."),
    ] = "keep"


class ArchivePurgeParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_archive_purge."""

    older_than_days: Annotated[
        Annotated[int, Meta(ge=0, le=36_500)] | None, Meta(description="Those archived longer ago than so many days.")
    ] = None
    all: Annotated[bool, Meta(description="The whole archive; instead of older_than_days.")] = False


async def stats(call: Call, _: NoParams) -> str:
    """memory_stats."""
    return as_json(await call.client.stats(agent_id=call.agent_id))


async def collect(call: Call, given: GcParams) -> str:
    """memory_gc."""
    return as_json(await call.client.collect(GcQuery(dry_run=given.dry_run), agent_id=call.agent_id))


async def archive_list(call: Call, given: ArchiveListParams) -> str:
    """memory_archive_list."""
    query = GetArchivedQuery(namespace=given.namespace, limit=given.limit, offset=given.offset)
    return as_json(await call.client.list_archive(query, agent_id=call.agent_id))


async def archive_restore(call: Call, given: ArchiveRestoreParams) -> str:
    """memory_archive_restore."""
    return as_json(await call.client.restore(given.id, RestoreQuery(mode=given.mode), agent_id=call.agent_id))


async def archive_purge(call: Call, given: ArchivePurgeParams) -> str:
    """memory_archive_purge."""
    query = PurgeQuery(older_than_days=given.older_than_days, all=given.all)
    return as_json(await call.client.purge_archive(query, agent_id=call.agent_id))


async def archive_stats(call: Call, _: NoParams) -> str:
    """memory_archive_stats."""
    return as_json(await call.client.archive_stats(agent_id=call.agent_id))


async def capabilities(call: Call, _: NoParams) -> str:
    """memory_capabilities; besides what the node says, which tools the caller is shown and how to see the others."""
    answer: dict[str, object] = to_builtins(await call.client.capabilities(agent_id=call.agent_id))
    shown: dict[str, object] = {"profile": call.profile}
    if call.unlisted:
        shown |= {"unlisted_tools": call.unlisted, "hint": UNLISTED_HINT}
    return as_json(answer | {"mcp": shown})


TOOLS: Final = (
    Tool(
        name="memory_stats", params=NoParams, handle=stats, effect=Effect.READS,
        description="How many memories there are, by tier and namespace, and how large the database is.",
    ),
    Tool(
        name="memory_gc", params=GcParams, handle=collect, effect=Effect.OVERWRITES,
        description="Take expired memories away now instead of at the next round; dry_run only counts them.",
    ),
    Tool(
        name="memory_archive_list", params=ArchiveListParams, handle=archive_list, effect=Effect.READS,
        description="List archived memories, the newest first.",
    ),
    Tool(
        name="memory_archive_restore", params=ArchiveRestoreParams, handle=archive_restore, effect=Effect.ENSURES,
        description="Bring an archived memory back.",
    ),
    Tool(
        name="memory_archive_purge", params=ArchivePurgeParams, handle=archive_purge, effect=Effect.OVERWRITES,
        description="Delete archived memories for ever: those older than so many days, or with all=true every one.",
    ),
    Tool(
        name="memory_archive_stats", params=NoParams, handle=archive_stats, effect=Effect.READS,
        description="How many memories are archived, by namespace.",
    ),
    Tool(
        name="memory_capabilities", params=NoParams, handle=capabilities, effect=Effect.READS,
        description="What this memory can do right now: semantic recall, model, limits. Ask once.",
    ),
)
