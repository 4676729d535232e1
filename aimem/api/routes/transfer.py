"""Export and import.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import ExportDocument, ExportQuery, ImportRequest, ImportResult


async def export(call: Call[ExportQuery, None]) -> ExportDocument:
    """All that there is, or a page of it."""
    return await service.export(call.node, call.who, call.query)


async def import_memories(call: Call[None, ImportRequest]) -> ImportResult:
    """Take in an export."""
    return await service.import_memories(call.node, call.who, call.body, call.once)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/export", name="export", handler=export, query=ExportQuery,
        answer=ExportDocument, errors=(Code.EXPORT_TOO_LARGE,),
        summary="All memories, the archive, links, aliases and agents, with a digest; in pages if asked for.",
    ),
    Route(
        method="POST", path="/api/v1/import", name="import_memories", handler=import_memories,
        body=ImportRequest, answer=ImportResult,
        summary="Take in the rows of an export, at most 1,000 of each kind a request.", effect=Effect.WRITE_ONCE,
    ),
)
