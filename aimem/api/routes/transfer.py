"""Export and import.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.wire import ExportDocument, ImportRequest, ImportResult


async def export(call: Call[None, None]) -> ExportDocument:
    """Everything live."""
    return await service.export(call.node, call.who)


async def import_memories(call: Call[None, ImportRequest]) -> ImportResult:
    """Take in an export."""
    return await service.import_memories(call.node, call.who, call.body, call.once)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/export", name="export", handler=export, answer=ExportDocument,
        summary="All live memories and their links.",
    ),
    Route(
        method="POST", path="/api/v1/import", name="import_memories", handler=import_memories,
        body=ImportRequest, answer=ImportResult,
        summary="Take in memories and links of an export, at most 1,000 memories a request.", effect=Effect.WRITE_ONCE,
    ),
)
