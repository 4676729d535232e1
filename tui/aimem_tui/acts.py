"""What the user has a node do: each act asks it, and tells what came of it. None is ever waited for by a key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from aimem.client import Client
from aimem.errors import AimemError, ApprovalRequired
from aimem.wire import CommentRequest, DecisionRequest, MeshQuery, PendingQuery
from aimem_tui.doors import Door
from aimem_tui.feed import Now, Tell
from aimem_tui.state import Deed, Look, State, Verified
from aimem_tui.steps import Decided, Did, GotDetail, GotDocket, Looked, Spread, VerifyEnded, Verifying
from aimem_tui.trouble import Trouble, trouble_of

QUEUE_MAX: Final = 1000
WATCH_S: Final = 0.3
WATCHES_MAX: Final = 40
"""How often, and how many times, a decision's way over the nodes is looked at: twelve seconds."""


class Decision(StrEnum):
    """What may be done about an action that waits."""

    APPROVE = "approve"
    REJECT = "reject"
    COMMENT = "comment"


class Acts:
    """Asks the node through which the user looks."""

    def __init__(self, doors: tuple[Door, ...], state: Callable[[], State], tell: Tell, now: Now) -> None:
        """Prepare; `state` is the one of the moment."""
        self._doors, self._state, self._tell, self._now = doors, state, tell, now

    @property
    def _door(self) -> Door:
        return self._doors[self._state().door]

    @property
    def client(self) -> Client:
        """Of the node that is asked."""
        return self._door.client

    def trouble(self, error: AimemError) -> Trouble:
        """What an error of the node that is asked means."""
        return trouble_of(error, self._door.name, is_local=self._door.is_local)

    async def verify(self) -> None:
        """Compare the digests of all copies."""
        if self._state().verified.is_running:
            return
        self._tell(Verifying())
        try:
            document = await self.client.mesh(MeshQuery(verify=True))
        except AimemError as error:
            self._tell(VerifyEnded(verified=Verified(at_s=self._now(), trouble=self.trouble(error))))
            return
        self._tell(VerifyEnded(verified=Verified(
            seen_by=document.node, digest="" if document.digest is UNSET else document.digest, at_s=self._now(),
            verdicts=() if isinstance(document.verified, UnsetType) else document.verified,
        )))

    async def look(self, name: str, of: str, fetch: Callable[[Client], Awaitable[Struct]]) -> None:
        """Ask what a screen shows; what it showed stays until the answer is there, or nothing of it if that fails."""
        self._tell(Looked(name=name, of=of, look=None))
        try:
            found = Look(of=of, value=await fetch(self.client))
        except AimemError as error:
            found = Look(of=of, trouble=self.trouble(error))
        self._tell(Looked(name=name, of=of, look=found))

    async def do(self, screen: str, said: str, act: Callable[[Client], Awaitable[object]]) -> Deed:
        """Have something done, and say what came of it."""
        try:
            await act(self.client)
        except ApprovalRequired as error:
            deed = Deed(said=f"{said}: waits for an approval (screen 3): {error.message}", is_done=False)
        except AimemError as error:
            deed = Deed(said=f"not {said}: {error.message}", is_done=False, is_refused=True)
        else:
            deed = Deed(said=said, is_done=True)
        self._tell(Did(screen=screen, deed=deed))
        return deed

    async def read_docket(self, *, shows_all: bool) -> None:
        """List what waits, or also what waited."""
        query = PendingQuery(status=None if shows_all else "pending", limit=QUEUE_MAX)
        try:
            page = await self.client.list_pending(query)
        except AimemError as error:
            self._tell(GotDocket(page=None, shows_all=shows_all, trouble=self.trouble(error)))
        else:
            self._tell(GotDocket(page=page, shows_all=shows_all))

    async def read_detail(self, id: str) -> None:
        """Read one action with what it would change."""
        try:
            self._tell(GotDetail(detail=await self.client.get_pending(id)))
        except AimemError as error:
            self._tell(GotDocket(page=None, shows_all=self._state().docket.shows_all, trouble=self.trouble(error)))

    async def decide(self, id: str, decision: Decision, text: str) -> None:
        """Approve, reject or comment; then look how far that has come, until every node has it."""
        try:
            said, version = await _decided(self.client, id, decision, text)
        except AimemError as error:
            self._tell(Decided(id=id, did=f"{decision} failed", said=error.message))
            return
        self._tell(Decided(id=id, did=f"{decision} by you", said=said, version=version))
        await self.read_detail(id)
        await self.read_docket(shows_all=self._state().docket.shows_all)
        await self._watch(id, version)

    async def _watch(self, id: str, version: str) -> None:
        for _ in range(WATCHES_MAX if version else 0):
            try:
                outcome = await self.client.write_outcome(version)
            except AimemError:
                return      # the node's row on the first screen says why
            self._tell(Spread(id=id, outcome=outcome))
            if not outcome.waiting_for:
                return
            await asyncio.sleep(WATCH_S)


async def _decided(client: Client, id: str, decision: Decision, text: str) -> tuple[str, str]:
    """Decide. Returns: the node's answer in words, and the version of the write. Raises: AimemError."""
    comment = text or None
    if decision is Decision.COMMENT:
        commented = await client.comment_pending(id, CommentRequest(text=text))
        return "said", _version(commented.version)
    if decision is Decision.APPROVE:
        approved = await client.approve_pending(id, DecisionRequest(comment=comment))
        words = "approved and done" if approved.executed is True else approved.status
        if approved.error is not UNSET:
            words = f"approved, and could not be done: {approved.error}"
        elif not approved.approved and approved.votes is not UNSET:
            words = f"{approved.status}: {approved.votes} of {approved.quorum} approvals"
        return _with_reason(words, approved.reason), _version(approved.version)
    rejected = await client.reject_pending(id, DecisionRequest(comment=comment))
    return _with_reason(rejected.status, rejected.reason), _version(rejected.version)


def _with_reason(words: str, reason: str | UnsetType) -> str:
    return words if reason is UNSET or not reason else f"{words} ({reason})"


def _version(version: str | UnsetType) -> str:
    return "" if version is UNSET else version
