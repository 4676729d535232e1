"""Links of memories.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import Deleted, Linked, LinkRequest, LinksOut


async def link(call: Call[None, LinkRequest]) -> Linked:
    """Link two memories."""
    return await service.link(call.node, call.who, call.body, call.once)


async def unlink(call: Call[None, LinkRequest]) -> Deleted:
    """Remove a link."""
    return await service.unlink(call.node, call.who, call.body, call.once)


async def links_of(call: Call[None, None]) -> LinksOut:
    """Links of one memory."""
    return await service.links_of(call.node, call.who, call.path["memory_id"])


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/links", name="link", handler=link, body=LinkRequest, answer=Linked,
        status=201, summary="Link two memories.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND,),
    ),
    Route(
        method="DELETE", path="/api/v1/links", name="unlink", handler=unlink, body=LinkRequest, answer=Deleted,
        summary="Remove exactly this link.", effect=Effect.WRITE_ONCE,
    ),
    Route(
        method="GET", path="/api/v1/links/{memory_id}", name="links_of", handler=links_of, answer=LinksOut,
        summary="Links of a memory, in both directions.",
    ),
)
