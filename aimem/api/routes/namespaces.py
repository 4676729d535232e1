"""Namespaces: which there are, and what is set for one.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.refusals import Reply
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    AccessOut,
    AccessQuery,
    HistoryOut,
    HistoryQuery,
    NamespaceQuery,
    NamespacesOut,
    NamespacesQuery,
    NamespaceStandard,
    NamespaceStandards,
    StandardCleared,
    StandardQuery,
    StandardRequest,
    StandardSet,
    encode,
)


async def namespaces(call: Call[NamespacesQuery, None]) -> NamespacesOut | NamespaceStandard | NamespaceStandards:
    """Namespaces with their counts, or what is set for one."""
    if not call.query.namespace:
        return await service.namespaces(call.node, call.who)
    if call.query.inherit:
        return await service.standards_for(call.node, call.who, call.query.namespace)
    return await service.standard_of(call.node, call.who, call.query.namespace)


async def standard(call: Call[StandardQuery, None]) -> NamespaceStandard | NamespaceStandards:
    """What is set for a namespace, and what it inherits."""
    if call.query.inherit:
        return await service.standards_for(call.node, call.who, call.path["namespace"])
    return await service.standard_of(call.node, call.who, call.path["namespace"])


async def set_standard(call: Call[None, StandardRequest]) -> StandardSet | Reply:
    """Set what holds in a namespace; the status tells a dry run from the deed."""
    answer = await service.set_standard(call.node, call.who, call.body, call.path.get("namespace"), call.once)
    return answer if answer.set else Reply(status=200, content=encode(answer))


async def clear_standard(call: Call[NamespaceQuery, None]) -> StandardCleared:
    """Clear what is set for a namespace that the query names."""
    return await service.clear_standard(call.node, call.who, call.query.namespace, call.once)


async def clear_standard_at(call: Call[None, None]) -> StandardCleared:
    """Clear what is set for a namespace that the path names."""
    return await service.clear_standard(call.node, call.who, call.path["namespace"], call.once)


async def access(call: Call[AccessQuery, None]) -> AccessOut:
    """Who could do what."""
    return await service.access(call.node, call.who, call.path["namespace"], call.query)


async def history(call: Call[HistoryQuery, None]) -> HistoryOut:
    """What was set before."""
    return await service.namespace_history(call.node, call.who, call.path["namespace"], call.query)


_GOVERNED: Final = (Code.RESERVED_NAMESPACE, Code.DENIED_BY_POLICY)
_SET_ERRORS: Final = (Code.MALFORMED_POLICY, *_GOVERNED, Code.OPERATOR_REQUIRED, Code.LOCKS_OUT, Code.ID_TAKEN)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/namespaces", name="namespaces", handler=namespaces, query=NamespacesQuery,
        answer=NamespacesOut, other_answers=(NamespaceStandard, NamespaceStandards),
        summary="Namespaces that hold live memories, the largest first; or what is set for one.",
    ),
    Route(
        method="POST", path="/api/v1/namespaces", name="set_standard", handler=set_standard, body=StandardRequest,
        answer=StandardSet, status=201, status_if_there=200,
        summary="Set the standard or the policy of a namespace that the body names.", effect=Effect.WRITE_ONCE,
        errors=_SET_ERRORS,
    ),
    Route(
        method="DELETE", path="/api/v1/namespaces", name="clear_standard", handler=clear_standard,
        query=NamespaceQuery, answer=StandardCleared,
        summary="Clear the standard and the policy of a namespace that the query names.", effect=Effect.WRITE_ONCE,
        errors=_GOVERNED,
    ),
    Route(
        method="GET", path="/api/v1/namespaces/{namespace}/standard", name="standard", handler=standard,
        query=StandardQuery, answer=NamespaceStandard, other_answers=(NamespaceStandards,),
        summary="What is set for a namespace, and which policy holds there.",
    ),
    Route(
        method="POST", path="/api/v1/namespaces/{namespace}/standard", name="set_standard_at", handler=set_standard,
        body=StandardRequest, answer=StandardSet, status=201, status_if_there=200,
        summary="Set the standard or the policy of a namespace.", effect=Effect.WRITE_ONCE, errors=_SET_ERRORS,
    ),
    Route(
        method="DELETE", path="/api/v1/namespaces/{namespace}/standard", name="clear_standard_at",
        handler=clear_standard_at, answer=StandardCleared, summary="Clear the standard and the policy of a namespace.",
        effect=Effect.WRITE_ONCE, errors=_GOVERNED,
    ),
    Route(
        method="GET", path="/api/v1/namespaces/{namespace}/access", name="access", handler=access, query=AccessQuery,
        answer=AccessOut, summary="What an agent may do in a namespace.", errors=(Code.OPERATOR_REQUIRED,),
    ),
    Route(
        method="GET", path="/api/v1/namespaces/{namespace}/history", name="namespace_history", handler=history,
        query=HistoryQuery, answer=HistoryOut, summary="What was set for a namespace before, the latest first.",
    ),
)
