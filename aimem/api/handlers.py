"""Handlers: each calls one service function with what the request decoded to, and decides nothing of its own."""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from aimem import service
from aimem.api.metrics import TEXT_TYPE
from aimem.api.refusals import Reply
from aimem.api.route import Call
from aimem.errors import Code
from aimem.wire import (
    ArchivedPage,
    ArchiveRequest,
    ArchiveResult,
    ArchiveStats,
    Capabilities,
    CreateMemory,
    Deleted,
    ExportDocument,
    GcQuery,
    GcResult,
    GetArchivedQuery,
    Health,
    ImportRequest,
    ImportResult,
    IndexQuery,
    IndexStatus,
    Linked,
    LinkRequest,
    LinksOut,
    ListQuery,
    MemoryPage,
    MemoryWithLinks,
    NamespacesOut,
    Promoted,
    PromoteRequest,
    Purged,
    PurgeQuery,
    RecallQuery,
    RecallRequest,
    RecallResult,
    ReindexRequest,
    Restored,
    RestoreQuery,
    SearchQuery,
    SearchResult,
    Stats,
    Stored,
    UpdatedMemory,
    UpdateMemory,
    encode,
    to_builtins,
)

INDEX_WAIT_S: Final = 10.0


async def remember(call: Call[None, CreateMemory]) -> Stored:
    """Store."""
    return await service.remember(call.node, call.who, call.body, call.once)


async def list_memories(call: Call[ListQuery, None]) -> MemoryPage:
    """List."""
    return await service.list_memories(call.node, call.who, call.query)


async def get(call: Call[None, None]) -> MemoryWithLinks:
    """Get one."""
    return await service.get(call.node, call.who, call.path["memory_id"])


async def update(call: Call[None, UpdateMemory]) -> UpdatedMemory:
    """Update one."""
    return await service.update(call.node, call.who, call.path["memory_id"], call.body, call.once)


async def delete(call: Call[None, None]) -> Deleted:
    """Delete one."""
    return await service.delete(call.node, call.who, call.path["memory_id"], call.once)


async def promote(call: Call[None, PromoteRequest | None]) -> Promoted:
    """Promote the tier, or into an ancestor namespace."""
    to_namespace = None if call.body is None else call.body.to_namespace
    return await service.promote(call.node, call.who, call.path["memory_id"], to_namespace, call.once)


async def search(call: Call[SearchQuery, None]) -> SearchResult:
    """Search by words."""
    return await service.search(call.node, call.who, call.query)


async def recall_safely(call: Call[RecallQuery, None]) -> RecallResult:
    """Recall by GET, which touches nothing unless told to."""
    request = msgspec.convert(call.query, RecallRequest, from_attributes=True)
    return await service.recall(call.node, call.who, request)


async def recall(call: Call[None, RecallRequest]) -> RecallResult:
    """Recall by POST."""
    return await service.recall(call.node, call.who, call.body)


async def link(call: Call[None, LinkRequest]) -> Linked:
    """Link two memories."""
    return await service.link(call.node, call.who, call.body, call.once)


async def unlink(call: Call[None, LinkRequest]) -> Deleted:
    """Remove a link."""
    return await service.unlink(call.node, call.who, call.body, call.once)


async def links_of(call: Call[None, None]) -> LinksOut:
    """Links of one memory."""
    return await service.links_of(call.node, call.who, call.path["memory_id"])


async def namespaces(call: Call[None, None]) -> NamespacesOut:
    """Namespaces with their counts."""
    return await service.namespaces(call.node, call.who)


async def stats(call: Call[None, None]) -> Stats:
    """Counts."""
    return await service.stats(call.node, call.who)


async def collect(call: Call[GcQuery, None]) -> GcResult:
    """Collect what expired."""
    return await service.collect(call.node, call.who, call.query)


async def export(call: Call[None, None]) -> ExportDocument:
    """Everything live."""
    return await service.export(call.node, call.who)


async def import_memories(call: Call[None, ImportRequest]) -> ImportResult:
    """Take in an export."""
    return await service.import_memories(call.node, call.who, call.body, call.once)


async def list_archive(call: Call[GetArchivedQuery, None]) -> ArchivedPage:
    """List the archive."""
    return await service.list_archive(call.node, call.who, call.query)


async def archive(call: Call[None, ArchiveRequest]) -> ArchiveResult:
    """Archive by ids."""
    return await service.archive(call.node, call.who, call.body, call.once)


async def purge_archive(call: Call[PurgeQuery, None]) -> Purged:
    """Delete from the archive for ever."""
    return await service.purge_archive(call.node, call.who, call.query)


async def restore(call: Call[RestoreQuery, None]) -> Restored:
    """Take out of the archive."""
    return await service.restore(call.node, call.who, call.path["memory_id"], call.query, call.once)


async def archive_stats(call: Call[None, None]) -> ArchiveStats:
    """Counts of the archive."""
    return await service.archive_stats(call.node, call.who)


async def health(call: Call[None, None]) -> Health | Reply:
    """Liveness; 503 tells a load balancer, which reads no bodies, to go elsewhere."""
    answer = await service.health(call.node)
    if answer.status != "error":
        return answer
    refused = {"error": "the node cannot serve; its warnings say why", "code": Code.UNAVAILABLE}
    return Reply(status=503, content=encode({**to_builtins(answer), **refused}))


async def capabilities(call: Call[None, None]) -> Capabilities:
    """What this node can do."""
    return await service.capabilities(call.node)


async def index_status(call: Call[IndexQuery, None]) -> IndexStatus:
    """State of the index; the wait for `wait_below` ends before the request's own deadline would."""
    if call.query.wait_below is not None:
        with trio.move_on_after(min(INDEX_WAIT_S, call.surface.settings.request_deadline_s / 2)):
            return await service.index_status(call.node, call.query.wait_below)
    return await service.index_status(call.node, None)


async def reindex(call: Call[None, ReindexRequest]) -> IndexStatus:
    """Make the index anew."""
    return await service.reindex(call.node, call.who, call.body)


async def metrics(call: Call[None, None]) -> Reply:
    """The page that Prometheus reads."""
    status = await service.status(call.node)
    return Reply(status=200, content=call.surface.metrics.render(status.samples), media_type=TEXT_TYPE)


async def openapi(call: Call[None, None]) -> Reply:
    """The description of this surface."""
    return Reply(status=200, content=call.surface.openapi())
