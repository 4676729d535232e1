"""What happens, as server-sent events.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from aimem import service
from aimem.api.refusals import Stream
from aimem.api.route import Call, Route
from aimem.errors import AimemError, Code
from aimem.wire import EventOut, EventsQuery, ResetOut, encode

EVENT_STREAM: Final = "text/event-stream"
_RETRY: Final = b"retry: 2000\n\n"
_HEARTBEAT: Final = b": nothing happened\n\n"


async def events(call: Call[EventsQuery, None]) -> Stream:
    """Follow what happens, from now on or from a place in the buffer."""
    follower = service.Follower(call.node, call.who, call.query, call.last_event_id)
    return Stream(pieces=_pieces(follower), media_type=EVENT_STREAM)


async def _pieces(follower: service.Follower) -> AsyncGenerator[bytes, None]:
    with follower:
        yield _RETRY    # at once, for the head of an answer leaves with its first piece
        while True:
            try:
                told = await follower.take()
            except AimemError:
                return      # the reader comes back to its place, and is told then why it cannot be served
            if told is None:
                return
            yield b"".join(map(_text, told)) or _HEARTBEAT


def _text(told: EventOut | ResetOut) -> bytes:
    name = "reset" if isinstance(told, ResetOut) else told.event
    return f"id: {told.id}\nevent: {name}\ndata: {encode(told).decode()}\n\n".encode()


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/events", name="events", handler=events, query=EventsQuery, answer=None,
        media_type=EVENT_STREAM, summary="Follow what happens, as server-sent events.", errors=(Code.OVERLOADED,),
    ),
)
