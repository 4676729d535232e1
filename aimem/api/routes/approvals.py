"""Actions that wait for approval.

Each handler calls one service function and decides nothing; 202 says that an answer is not the last word yet.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.refusals import Reply
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    Approved,
    AskedAgainOut,
    Commented,
    CommentRequest,
    DecisionRequest,
    PendingDetail,
    PendingPage,
    PendingQuery,
    Rejected,
    encode,
)

_VOTES: Final = (
    Code.DENIED, Code.NOT_FOUND, Code.NOT_ENTITLED, Code.OWN_ACTION, Code.ALREADY_DECIDED, Code.PENDING_EXPIRED,
)


async def list_pending(call: Call[PendingQuery, None]) -> PendingPage:
    """Actions that wait, or have waited."""
    return await service.list_pending(call.node, call.who, call.query)


async def get_pending(call: Call[None, None]) -> PendingDetail:
    """One of them."""
    return await service.get_pending(call.node, call.who, call.path["pending_id"])


async def approve_pending(call: Call[None, DecisionRequest | None]) -> Reply:
    """Vote for it."""
    request = call.body or DecisionRequest()
    answer = await service.approve_pending(call.node, call.who, call.path["pending_id"], request, call.once)
    return _reply(answer, is_final=isinstance(answer.decided_by, str))


async def reject_pending(call: Call[None, DecisionRequest | None]) -> Reply:
    """Vote against it."""
    request = call.body or DecisionRequest()
    answer = await service.reject_pending(call.node, call.who, call.path["pending_id"], request, call.once)
    return _reply(answer, is_final=isinstance(answer.decided_by, str))


async def comment_pending(call: Call[None, CommentRequest]) -> Commented:
    """Say something about it."""
    return await service.comment_pending(call.node, call.who, call.path["pending_id"], call.body, call.once)


async def ask_again(call: Call[None, None]) -> Reply:
    """Ask for it again."""
    answer = await service.ask_again(call.node, call.who, call.path["pending_id"], call.once)
    return _reply(answer, is_final=answer.executed)


def _reply(answer: Approved | Rejected | AskedAgainOut, *, is_final: bool) -> Reply:
    return Reply(status=200 if is_final else 202, content=encode(answer))


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/pending", name="list_pending", handler=list_pending, query=PendingQuery,
        answer=PendingPage,
        summary="Actions that the caller asked for or may decide on, the latest first; operators see all.",
    ),
    Route(
        method="GET", path="/api/v1/pending/{pending_id}", name="get_pending", handler=get_pending,
        answer=PendingDetail, summary="One action, with votes, comments, and what would change now.",
        errors=(Code.NOT_FOUND,),
    ),
    Route(
        method="POST", path="/api/v1/pending/{pending_id}/approve", name="approve_pending", handler=approve_pending,
        body=DecisionRequest, body_required=False, answer=Approved, status_if_waiting=202,
        summary="Vote for an action; 202 while it is not decided.", effect=Effect.WRITE_ONCE, errors=_VOTES,
    ),
    Route(
        method="POST", path="/api/v1/pending/{pending_id}/reject", name="reject_pending", handler=reject_pending,
        body=DecisionRequest, body_required=False, answer=Rejected, status_if_waiting=202,
        summary="Vote against an action, or withdraw one's own.", effect=Effect.WRITE_ONCE, errors=_VOTES,
    ),
    Route(
        method="POST", path="/api/v1/pending/{pending_id}/comment", name="comment_pending", handler=comment_pending,
        body=CommentRequest, answer=Commented, status=201, summary="Say something about an action.",
        effect=Effect.WRITE_ONCE, errors=(Code.DENIED, Code.NOT_FOUND, Code.QUOTA_EXCEEDED),
    ),
    Route(
        method="POST", path="/api/v1/pending/{pending_id}/again", name="ask_again", handler=ask_again,
        answer=AskedAgainOut, status_if_waiting=202,
        summary="Ask again for an action that expired, failed or has nobody left to decide; 202 while it waits.",
        effect=Effect.WRITE_ONCE,
        errors=(
            Code.NOT_FOUND, Code.NOT_ENTITLED, Code.DENIED_BY_POLICY, Code.ALREADY_DECIDED, Code.CONFLICT,
            Code.QUOTA_EXCEEDED,
        ),
    ),
)
