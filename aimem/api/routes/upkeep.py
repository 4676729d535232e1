"""Namespaces, and what is collected.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.wire import GcQuery, GcResult, NamespacesOut, NamespacesQuery, NamespaceStandard, NamespaceStandards


async def namespaces(call: Call[NamespacesQuery, None]) -> NamespacesOut | NamespaceStandard | NamespaceStandards:
    """Namespaces with their counts, or what is set for one."""
    if not call.query.namespace:
        return await service.namespaces(call.node, call.who)
    if call.query.inherit:
        return await service.standards_for(call.node, call.who, call.query.namespace)
    return await service.standard_of(call.node, call.who, call.query.namespace)


async def collect(call: Call[GcQuery, None]) -> GcResult:
    """Collect what expired."""
    return await service.collect(call.node, call.who, call.query)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/namespaces", name="namespaces", handler=namespaces, query=NamespacesQuery,
        answer=NamespacesOut, other_answers=(NamespaceStandard, NamespaceStandards),
        summary="Namespaces that hold live memories, the largest first; or the standard of one.",
    ),
    Route(
        method="POST", path="/api/v1/gc", name="collect", handler=collect, query=GcQuery, answer=GcResult,
        summary="Collect expired memories.", effect=Effect.WRITE,
    ),
)
