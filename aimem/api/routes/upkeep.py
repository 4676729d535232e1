"""What is collected.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.wire import GcQuery, GcResult


async def collect(call: Call[GcQuery, None]) -> GcResult:
    """Collect what expired."""
    return await service.collect(call.node, call.who, call.query)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/gc", name="collect", handler=collect, query=GcQuery, answer=GcResult,
        summary="Collect expired memories.", effect=Effect.WRITE,
    ),
)
