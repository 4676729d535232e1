"""The archive.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    ArchivedPage,
    ArchiveRequest,
    ArchiveResult,
    ArchiveStats,
    GetArchivedQuery,
    Purged,
    PurgeQuery,
    Restored,
    RestoreQuery,
)


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


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/archive", name="list_archive", handler=list_archive,
        query=GetArchivedQuery, answer=ArchivedPage, summary="List archived memories, the newest first.",
    ),
    Route(
        method="POST", path="/api/v1/archive", name="archive", handler=archive, body=ArchiveRequest,
        answer=ArchiveResult, summary="Archive memories by their ids.", effect=Effect.WRITE_ONCE,
        errors=(Code.RESERVED_NAMESPACE,),
    ),
    Route(
        method="DELETE", path="/api/v1/archive", name="purge_archive", handler=purge_archive, query=PurgeQuery,
        answer=Purged, summary="Delete archived memories for ever.", effect=Effect.WRITE,
    ),
    Route(
        method="POST", path="/api/v1/archive/{memory_id}/restore", name="restore", handler=restore,
        query=RestoreQuery, answer=Restored, summary="Take a memory out of the archive.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.NAME_TAKEN),
    ),
    Route(
        method="GET", path="/api/v1/archive/stats", name="archive_stats", handler=archive_stats,
        answer=ArchiveStats, summary="Counts of the archive by namespace.",
    ),
)
