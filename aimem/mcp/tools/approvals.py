"""Tools on actions that wait for approval.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.identity import is_generated
from aimem.mcp.tools.common import COUNT_MAX, documented
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.model import PendingStatus
from aimem.wire import DecisionRequest, PendingQuery

PendingId = Annotated[str, Meta(description="Id of the pending action.")]
Comment = Annotated[str | None, Meta(description="Why; kept with the vote.")]
Voter = Annotated[
    str | None, Meta(description="Who votes, where this connection was given no identity; else it is its own.")
]


class PendingListParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_pending_list."""

    status: Annotated[PendingStatus | None, Meta(description="Only those that stand so; all if not given.")] = None
    namespace: Annotated[str | None, Meta(description="Only this namespace and those below it.")] = None
    requested_by: Annotated[str | None, Meta(description="Only what this agent asked for.")] = None
    action: Annotated[
        str | None, Meta(description="Only this: store, delete, promote or policy.")
    ] = None
    limit: Annotated[Annotated[int, Meta(ge=0, le=1000, description="How many at most.")], documented(100)] = 100
    offset: Annotated[int, Meta(ge=0, le=COUNT_MAX, description="How many of the first to skip.")] = 0


class DecideParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_pending_approve and memory_pending_reject."""

    id: PendingId
    comment: Comment = None
    agent_id: Voter = None


async def list_pending(call: Call, given: PendingListParams) -> str:
    """memory_pending_list."""
    query = PendingQuery(
        status=given.status, namespace=given.namespace, requested_by=given.requested_by, action=given.action,
        limit=given.limit, offset=given.offset,
    )
    return as_json(await call.client.list_pending(query, agent_id=call.agent_id))


async def approve(call: Call, given: DecideParams) -> str:
    """memory_pending_approve."""
    request = DecisionRequest(comment=given.comment, agent_id=given.agent_id or None)
    return as_json(await call.client.approve_pending(given.id, request, agent_id=_voter(call, given)))


async def reject(call: Call, given: DecideParams) -> str:
    """memory_pending_reject."""
    request = DecisionRequest(comment=given.comment, agent_id=given.agent_id or None)
    return as_json(await call.client.reject_pending(given.id, request, agent_id=_voter(call, given)))


def _voter(call: Call, given: DecideParams) -> str | None:
    # A process's name is nobody's: such a connection may say for whom it votes. To a given identity the node says no.
    return given.agent_id if given.agent_id and call.agent_id and is_generated(call.agent_id) else call.agent_id


TOOLS: Final = (
    Tool(
        name="memory_pending_list", params=PendingListParams, handle=list_pending, effect=Effect.READS,
        description="Actions that wait for an approval, or have waited: those that you asked for or may decide on, "
        "the latest first.",
    ),
    Tool(
        name="memory_pending_approve", params=DecideParams, handle=approve, effect=Effect.ENSURES,
        description="Vote for a pending action. Where that decides it, it is done at once. Nobody approves its own.",
    ),
    Tool(
        name="memory_pending_reject", params=DecideParams, handle=reject, effect=Effect.ENSURES,
        description="Vote against a pending action, which ends it; your own is withdrawn.",
    ),
)
