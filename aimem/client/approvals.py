"""Actions that wait for approval."""

from __future__ import annotations

from typing import TypeVar

from aimem.client.calls import Caller, decided, segment
from aimem.model import rules
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
)

T = TypeVar("T")


class ApprovalCalls(Caller):
    """Actions that wait for approval. An answer that is not the last word yet (202) is an answer like others."""

    async def list_pending(self, query: PendingQuery | None = None, *, agent_id: str | None = None) -> PendingPage:
        """Actions that the caller asked for or may decide on, the latest first."""
        return await self.read("/pending", PendingPage, query=query or PendingQuery(), agent_id=agent_id)

    async def get_pending(self, pending_id: str, *, agent_id: str | None = None) -> PendingDetail:
        """One action, with votes, comments, and what would change now."""
        return await self.read(f"/pending/{segment(pending_id)}", PendingDetail, agent_id=agent_id)

    async def approve_pending(
        self, pending_id: str, request: DecisionRequest | None = None, *, agent_id: str | None = None,
        key: str | None = None,
    ) -> Approved:
        """Vote for an action."""
        return await self._decide(pending_id, "approve", Approved, request or DecisionRequest(), agent_id, key)

    async def reject_pending(
        self, pending_id: str, request: DecisionRequest | None = None, *, agent_id: str | None = None,
        key: str | None = None,
    ) -> Rejected:
        """Vote against an action, or withdraw one's own."""
        return await self._decide(pending_id, "reject", Rejected, request or DecisionRequest(), agent_id, key)

    async def comment_pending(
        self, pending_id: str, request: CommentRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> Commented:
        """Say something about an action."""
        path = f"/pending/{segment(pending_id)}/comment"
        return await self.write("POST", path, Commented, body=request, agent_id=agent_id, key=key)

    async def ask_again(
        self, pending_id: str, *, agent_id: str | None = None, key: str | None = None
    ) -> AskedAgainOut:
        """Ask again for an action that expired, failed or has nobody left to decide."""
        return await self._decide(pending_id, "again", AskedAgainOut, None, agent_id, key)

    async def _decide(
        self, pending_id: str, act: str, kind: type[T], body: DecisionRequest | None, agent_id: str | None,
        key: str | None,
    ) -> T:
        path = f"/pending/{segment(pending_id)}/{act}"
        key = rules.idempotency_key(self._new_key() if key is None else key)
        return decided(await self.send("POST", path, body=body, agent_id=agent_id, key=key), kind)
