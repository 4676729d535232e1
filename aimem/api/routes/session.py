"""The start of a session.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

import trio
from msgspec.structs import replace

from aimem import service
from aimem.api.route import Call, Route
from aimem.errors import Code
from aimem.wire import Session, SessionRequest

SUMMARY_WAIT_S: Final = 15.0


async def start_session(call: Call[None, SessionRequest | None]) -> Session:
    """The most important memories. A slow language model costs the summary, not the answer."""
    request = call.body or SessionRequest()
    with trio.move_on_after(min(SUMMARY_WAIT_S, call.surface.settings.request_deadline_s / 2)):
        return await service.start_session(call.node, call.who, request)
    return await service.start_session(call.node, call.who, replace(request, summary=False))


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/session/start", name="start_session", handler=start_session, body=SessionRequest,
        body_required=False, answer=Session,
        summary="The most important memories, to begin a session with; nothing counts as accessed.",
        errors=(Code.DENIED,),
    ),
)
