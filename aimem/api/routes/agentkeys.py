"""Keys of agents.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import IssuedKey, KeyRequest, KeysOut, KeysQuery, RevokedKeys, RevokeQuery, RotateRequest


async def list_keys(call: Call[KeysQuery, None]) -> KeysOut:
    """Which keys there are."""
    return await service.list_keys(call.node, call.who, call.query)


async def add_key(call: Call[None, KeyRequest]) -> IssuedKey:
    """Make a key."""
    return await service.add_key(call.node, call.who, call.body)


async def rotate_key(call: Call[None, RotateRequest | None]) -> IssuedKey:
    """Replace a key."""
    return await service.rotate_key(call.node, call.who, call.path["key_id"], call.body or RotateRequest())


async def revoke_key(call: Call[None, None]) -> RevokedKeys:
    """End a key."""
    return await service.revoke_key(call.node, call.who, call.path["key_id"], call.once)


async def revoke_keys(call: Call[RevokeQuery, None]) -> RevokedKeys:
    """End all keys of an agent."""
    return await service.revoke_keys(call.node, call.who, call.query.agent_id, call.once)


_FOR_OPERATORS: Final = (Code.OPERATOR_REQUIRED,)
ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/agents/keys", name="list_keys", handler=list_keys, query=KeysQuery, answer=KeysOut,
        summary="Keys of agents, by agent and age, without their secrets.", errors=_FOR_OPERATORS,
    ),
    Route(
        method="POST", path="/api/v1/agents/keys", name="add_key", handler=add_key, body=KeyRequest, answer=IssuedKey,
        status=201, summary="Make a key for an agent; its secret is in this answer only.", effect=Effect.WRITE,
        errors=(*_FOR_OPERATORS, Code.LOCKS_OUT, Code.QUOTA_EXCEEDED),
    ),
    Route(
        method="POST", path="/api/v1/agents/keys/{key_id}/rotate", name="rotate_key", handler=rotate_key,
        body=RotateRequest, body_required=False, answer=IssuedKey, status=201,
        summary="Replace a key by a new one of the same agent.", effect=Effect.WRITE,
        errors=(*_FOR_OPERATORS, Code.NOT_FOUND, Code.KEY_ENDED),
    ),
    Route(
        method="DELETE", path="/api/v1/agents/keys/{key_id}", name="revoke_key", handler=revoke_key,
        answer=RevokedKeys, summary="End a key, for the very next request.", effect=Effect.WRITE_ONCE,
        errors=(*_FOR_OPERATORS, Code.NOT_FOUND),
    ),
    Route(
        method="DELETE", path="/api/v1/agents/keys", name="revoke_keys", handler=revoke_keys, query=RevokeQuery,
        answer=RevokedKeys, summary="End all keys of an agent.", effect=Effect.WRITE_ONCE,
        errors=(*_FOR_OPERATORS, Code.NOT_FOUND),
    ),
)
