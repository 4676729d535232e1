"""The knowledge graph.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    GraphQuery,
    GraphResult,
    Invalidated,
    InvalidateRequest,
    Timeline,
    TimelineQuery,
)


async def kg_timeline(call: Call[TimelineQuery, None]) -> Timeline:
    """What was related to a memory, and when."""
    return await service.kg_timeline(call.node, call.who, call.query)


async def kg_invalidate(call: Call[None, InvalidateRequest]) -> Invalidated:
    """Give a link its end."""
    return await service.kg_invalidate(call.node, call.who, call.body, call.once)


async def kg_query(call: Call[None, GraphQuery]) -> GraphResult:
    """Follow links."""
    return await service.kg_query(call.node, call.who, call.body)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/kg/timeline", name="kg_timeline", handler=kg_timeline, query=TimelineQuery,
        answer=Timeline, summary="Links from a memory by the time at which they began to hold.",
    ),
    Route(
        method="POST", path="/api/v1/kg/invalidate", name="kg_invalidate", handler=kg_invalidate,
        body=InvalidateRequest, answer=Invalidated, summary="Say when a link ceased to hold.",
        effect=Effect.WRITE_ONCE, errors=(Code.NOT_FOUND,),
    ),
    Route(
        method="POST", path="/api/v1/kg/query", name="kg_query", handler=kg_query, body=GraphQuery,
        answer=GraphResult, summary="Memories that links lead to from one, up to five links away.",
    ),
)
