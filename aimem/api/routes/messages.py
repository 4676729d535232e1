"""Messages between agents.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    Deleted,
    Inbox,
    InboxQuery,
    MarkedRead,
    MessageQuery,
    Notified,
    NotifyRequest,
    ReadRequest,
)


async def notify(call: Call[None, NotifyRequest]) -> Notified:
    """Send a message."""
    return await service.notify(call.node, call.who, call.body, call.once)


async def inbox(call: Call[InboxQuery, None]) -> Inbox:
    """The caller's messages."""
    return await service.inbox(call.node, call.who, call.query)


async def mark_read(call: Call[None, ReadRequest]) -> MarkedRead:
    """Mark messages as read."""
    return await service.mark_read(call.node, call.who, call.body, call.once)


async def delete_message(call: Call[MessageQuery, None]) -> Deleted:
    """Delete a message."""
    message_id = call.path["message_id"]
    return await service.delete_message(call.node, call.who, message_id, call.query.agent_id, call.once)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/notify", name="notify", handler=notify, body=NotifyRequest, answer=Notified,
        status=201, summary="Send a message to an agent.", effect=Effect.WRITE_ONCE,
        errors=(Code.DENIED, Code.ID_TAKEN, Code.QUOTA_EXCEEDED),
    ),
    Route(
        method="GET", path="/api/v1/inbox", name="inbox", handler=inbox, query=InboxQuery, answer=Inbox,
        summary="The caller's messages by priority, then the newest first; reading marks nothing.",
        errors=(Code.DENIED,),
    ),
    Route(
        method="POST", path="/api/v1/inbox/read", name="mark_read", handler=mark_read, body=ReadRequest,
        answer=MarkedRead, summary="Mark messages as read: from now on their tier's lifetime counts.",
        effect=Effect.WRITE_ONCE, errors=(Code.DENIED,),
    ),
    Route(
        method="DELETE", path="/api/v1/inbox/{message_id}", name="delete_message", handler=delete_message,
        query=MessageQuery, answer=Deleted, summary="Delete a message of the caller's inbox for ever.",
        effect=Effect.WRITE_ONCE, errors=(Code.DENIED, Code.NOT_FOUND),
    ),
)
