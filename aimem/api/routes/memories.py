"""Memories one at a time, and their list.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    BulkAnswer,
    BulkRequest,
    CreateMemory,
    DeletedMemory,
    ListQuery,
    MemoryPage,
    MemoryWithLinks,
    Promoted,
    PromoteRequest,
    Stored,
    UpdatedMemory,
    UpdateMemory,
)


async def remember(call: Call[None, CreateMemory]) -> Stored:
    """Store."""
    return await service.remember(call.node, call.who, call.body, call.once)


async def remember_many(call: Call[None, BulkRequest]) -> BulkAnswer:
    """Store many."""
    return await service.remember_many(call.node, call.who, call.body, call.once)


async def list_memories(call: Call[ListQuery, None]) -> MemoryPage:
    """List."""
    return await service.list_memories(call.node, call.who, call.query)


async def get(call: Call[None, None]) -> MemoryWithLinks:
    """Get one."""
    return await service.get(call.node, call.who, call.path["memory_id"])


async def update(call: Call[None, UpdateMemory]) -> UpdatedMemory:
    """Update one."""
    return await service.update(call.node, call.who, call.path["memory_id"], call.body, call.once)


async def delete(call: Call[None, None]) -> DeletedMemory:
    """Delete one."""
    return await service.delete(call.node, call.who, call.path["memory_id"], call.once)


async def promote(call: Call[None, PromoteRequest | None]) -> Promoted:
    """Promote the tier, or into an ancestor namespace."""
    to_namespace = None if call.body is None else call.body.to_namespace
    return await service.promote(call.node, call.who, call.path["memory_id"], to_namespace, call.once)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/memories", name="remember", handler=remember, body=CreateMemory,
        answer=Stored, status=201,
        summary="Store a memory, or update the author's own of the same namespace and title.", effect=Effect.WRITE_ONCE,
        errors=(Code.UNKNOWN_SCOPE, Code.RESERVED_NAMESPACE, Code.ID_TAKEN),
    ),
    Route(
        method="POST", path="/api/v1/memories/bulk", name="remember_many", handler=remember_many, body=BulkRequest,
        answer=BulkAnswer, summary="Store up to 1,000 memories in one transaction, each as if it came alone.",
        effect=Effect.WRITE_ONCE,
    ),
    Route(
        method="GET", path="/api/v1/memories", name="list_memories", handler=list_memories, query=ListQuery,
        answer=MemoryPage, summary="List memories by priority, then by last change.",
    ),
    Route(
        method="GET", path="/api/v1/memories/{memory_id}", name="get", handler=get, answer=MemoryWithLinks,
        summary="One memory with its links.",
        errors=(Code.NOT_FOUND, Code.AMBIGUOUS_ID),
    ),
    Route(
        method="PUT", path="/api/v1/memories/{memory_id}", name="update", handler=update, body=UpdateMemory,
        answer=UpdatedMemory, summary="Change the fields that are present.", effect=Effect.WRITE_ONCE,
        errors=(
            Code.NOT_FOUND, Code.AMBIGUOUS_ID, Code.UNKNOWN_SCOPE, Code.RESERVED_NAMESPACE, Code.NAME_TAKEN,
        ),
    ),
    Route(
        method="DELETE", path="/api/v1/memories/{memory_id}", name="delete", handler=delete, answer=DeletedMemory,
        summary="Delete a memory for ever, by its whole id.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.RESERVED_NAMESPACE),
    ),
    Route(
        method="POST", path="/api/v1/memories/{memory_id}/promote", name="promote", handler=promote,
        body=PromoteRequest, body_required=False, answer=Promoted,
        summary="Make a memory long-lived, or clone it into an ancestor namespace.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.RESERVED_NAMESPACE, Code.NAME_TAKEN, Code.ID_TAKEN),
    ),
)
