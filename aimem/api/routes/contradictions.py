"""Contradictions, and settling them.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import Contradictions, ContradictionsQuery, Resolved, ResolveRequest


async def contradictions(call: Call[ContradictionsQuery, None]) -> Contradictions:
    """What contradicts what."""
    return await service.contradictions(call.node, call.who, call.query)


async def resolve(call: Call[None, ResolveRequest]) -> Resolved:
    """Say which of two holds."""
    return await service.resolve(call.node, call.who, call.body, call.once)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/contradictions", name="contradictions", handler=contradictions,
        query=ContradictionsQuery, answer=Contradictions,
        summary="Memories on one topic that say different things.",
    ),
    Route(
        method="POST", path="/api/v1/resolve", name="resolve", handler=resolve, body=ResolveRequest, answer=Resolved,
        summary="Say which of two memories holds.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.RESERVED_NAMESPACE),
    ),
)
