"""Entities and their names.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.refusals import Reply
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import AliasQuery, EntityFound, EntityOut, EntityRequest, encode


async def register_entity(call: Call[None, EntityRequest]) -> EntityOut | Reply:
    """Make an entity, or give one more names; the status tells which."""
    answer = await service.register_entity(call.node, call.who, call.body, call.once)
    return answer if answer.created else Reply(status=200, content=encode(answer))


async def entity_by_alias(call: Call[AliasQuery, None]) -> EntityFound:
    """Look a name up."""
    return await service.entity_by_alias(call.node, call.who, call.query)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/entities", name="register_entity", handler=register_entity, body=EntityRequest,
        answer=EntityOut, status=201, status_if_there=200,
        summary="Make an entity with its aliases, or add aliases to it.", effect=Effect.WRITE_ONCE,
        errors=(Code.RESERVED_NAMESPACE, Code.NAME_TAKEN, Code.ID_TAKEN),
    ),
    Route(
        method="GET", path="/api/v1/entities/by_alias", name="entity_by_alias", handler=entity_by_alias,
        query=AliasQuery, answer=EntityFound, summary="The entity that a name stands for.",
    ),
)
