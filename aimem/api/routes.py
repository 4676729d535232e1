"""The route table: one row per method and path, in the order of the manual. App, OpenAPI and tests read it."""

from __future__ import annotations

from typing import Final

from aimem.api import handlers
from aimem.api.route import Access, Effect, Route
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
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/health", name="health", handler=handlers.health, answer=Health, access=Access.OPEN,
        summary="Liveness without a query over rows; 503 with the same body if the node cannot serve.",
    ),
    Route(
        method="GET", path="/metrics", name="metrics", handler=handlers.metrics, answer=None,
        summary="Metrics in Prometheus' text format.",
    ),
    Route(
        method="GET", path="/api/v1/metrics", name="metrics_v1", handler=handlers.metrics, answer=None,
        summary="The same as /metrics.",
    ),
    Route(
        method="GET", path="/api/v1/openapi.json", name="openapi", handler=handlers.openapi, answer=None,
        summary="This surface as an OpenAPI 3.1 document.",
    ),
    Route(
        method="GET", path="/api/v1/capabilities", name="capabilities", handler=handlers.capabilities,
        answer=Capabilities, summary="What this node can do, as it is now.",
    ),
    Route(
        method="GET", path="/api/v1/stats", name="stats", handler=handlers.stats, answer=Stats,
        summary="Counts of live memories, links, archive and log.",
    ),
    Route(
        method="GET", path="/api/v1/index", name="index_status", handler=handlers.index_status, query=IndexQuery,
        answer=IndexStatus, summary="State of the search index and the backlog of embeddings.",
    ),
    Route(
        method="POST", path="/api/v1/index", name="reindex", handler=handlers.reindex, body=ReindexRequest,
        answer=IndexStatus, summary="Make the search index anew; GET /api/v1/index tells how far it is.",
        effect=Effect.WRITE,
    ),
    Route(
        method="POST", path="/api/v1/memories", name="remember", handler=handlers.remember, body=CreateMemory,
        answer=Stored, status=201,
        summary="Store a memory, or update the author's own of the same namespace and title.", effect=Effect.WRITE_ONCE,
        errors=(Code.RESERVED_NAMESPACE, Code.ID_TAKEN),
    ),
    Route(
        method="GET", path="/api/v1/memories", name="list_memories", handler=handlers.list_memories, query=ListQuery,
        answer=MemoryPage, summary="List memories by priority, then by last change.",
    ),
    Route(
        method="GET", path="/api/v1/memories/{memory_id}", name="get", handler=handlers.get, answer=MemoryWithLinks,
        summary="One memory with its links.",
        errors=(Code.NOT_FOUND, Code.AMBIGUOUS_ID),
    ),
    Route(
        method="PUT", path="/api/v1/memories/{memory_id}", name="update", handler=handlers.update, body=UpdateMemory,
        answer=UpdatedMemory, summary="Change the fields that are present.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.AMBIGUOUS_ID, Code.RESERVED_NAMESPACE, Code.NAME_TAKEN),
    ),
    Route(
        method="DELETE", path="/api/v1/memories/{memory_id}", name="delete", handler=handlers.delete, answer=Deleted,
        summary="Delete a memory for ever, by its whole id.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.RESERVED_NAMESPACE),
    ),
    Route(
        method="POST", path="/api/v1/memories/{memory_id}/promote", name="promote", handler=handlers.promote,
        body=PromoteRequest, body_required=False, answer=Promoted,
        summary="Make a memory long-lived, or clone it into an ancestor namespace.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.RESERVED_NAMESPACE, Code.NAME_TAKEN, Code.ID_TAKEN),
    ),
    Route(
        method="GET", path="/api/v1/search", name="search", handler=handlers.search, query=SearchQuery,
        answer=SearchResult, summary="Memories in which all words occur.",
    ),
    Route(
        method="GET", path="/api/v1/recall", name="recall_safely", handler=handlers.recall_safely, query=RecallQuery,
        answer=RecallResult, summary="Memories by meaning and words; touches nothing unless touch=true.",
    ),
    Route(
        method="POST", path="/api/v1/recall", name="recall", handler=handlers.recall, body=RecallRequest,
        answer=RecallResult,
        summary="Memories by meaning and words; what is returned counts as accessed unless touch is false.",
    ),
    Route(
        method="POST", path="/api/v1/links", name="link", handler=handlers.link, body=LinkRequest, answer=Linked,
        status=201, summary="Link two memories.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND,),
    ),
    Route(
        method="DELETE", path="/api/v1/links", name="unlink", handler=handlers.unlink, body=LinkRequest, answer=Deleted,
        summary="Remove exactly this link.", effect=Effect.WRITE_ONCE,
    ),
    Route(
        method="GET", path="/api/v1/links/{memory_id}", name="links_of", handler=handlers.links_of, answer=LinksOut,
        summary="Links of a memory, in both directions.",
    ),
    Route(
        method="GET", path="/api/v1/namespaces", name="namespaces", handler=handlers.namespaces, answer=NamespacesOut,
        summary="Namespaces that hold live memories, the largest first.",
    ),
    Route(
        method="POST", path="/api/v1/gc", name="collect", handler=handlers.collect, query=GcQuery, answer=GcResult,
        summary="Collect expired memories.", effect=Effect.WRITE,
    ),
    Route(
        method="GET", path="/api/v1/export", name="export", handler=handlers.export, answer=ExportDocument,
        summary="All live memories and their links.",
    ),
    Route(
        method="POST", path="/api/v1/import", name="import_memories", handler=handlers.import_memories,
        body=ImportRequest, answer=ImportResult,
        summary="Take in memories and links of an export, at most 1,000 memories a request.", effect=Effect.WRITE_ONCE,
    ),
    Route(
        method="GET", path="/api/v1/archive", name="list_archive", handler=handlers.list_archive,
        query=GetArchivedQuery, answer=ArchivedPage, summary="List archived memories, the newest first.",
    ),
    Route(
        method="POST", path="/api/v1/archive", name="archive", handler=handlers.archive, body=ArchiveRequest,
        answer=ArchiveResult, summary="Archive memories by their ids.", effect=Effect.WRITE_ONCE,
        errors=(Code.RESERVED_NAMESPACE,),
    ),
    Route(
        method="DELETE", path="/api/v1/archive", name="purge_archive", handler=handlers.purge_archive, query=PurgeQuery,
        answer=Purged, summary="Delete archived memories for ever.", effect=Effect.WRITE,
    ),
    Route(
        method="GET", path="/api/v1/archive/stats", name="archive_stats", handler=handlers.archive_stats,
        answer=ArchiveStats, summary="Counts of the archive by namespace.",
    ),
    Route(
        method="POST", path="/api/v1/archive/{memory_id}/restore", name="restore", handler=handlers.restore,
        query=RestoreQuery, answer=Restored, summary="Take a memory out of the archive.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.NAME_TAKEN),
    ),
)
"""Every route of this surface; `{memory_id}` takes one segment, a slash inside an id is sent as %2F."""
