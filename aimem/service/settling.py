"""The home's part in approvals: the node that queued an action decides it, and writes outcome and effect in one op.

Nothing else writes outcomes; which node that is, `homes` says.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec
import trio
from msgspec import Struct
from msgspec.structs import replace

from aimem.errors import Bug, Conflict, InvalidRequest, Unavailable
from aimem.governance import Question, Standing, approver_of, stand
from aimem.model import (
    SYSTEM,
    SYSTEM_AGENT,
    AgentId,
    Approver,
    Entry,
    FieldValue,
    Instant,
    MemoryId,
    PendingStatus,
    Vector,
    Vote,
)
from aimem.ports import Connection
from aimem.service.effects import Detail, Effect, dump_detail, effect_of, load_detail
from aimem.service.gate import ALLOWED, Gate
from aimem.service.homes import Home, home_of, mandate_of
from aimem.service.node import Node
from aimem.service.waiting import ACTIONS
from aimem.service.writing import load_payload, write_as
from aimem.store import AGENT, PENDING, STREAM, VOTE, Transaction, agents, approvals

log = logging.getLogger(__name__)

BATCH: Final = 100
_VERBS: Final = {name: verb for verb, name in ACTIONS.items()}
RETRY_S: Final = 30.0
REPORTS_S: Final = 1.0


class Case(Struct, frozen=True, kw_only=True):
    """An action with all that its approval goes by.

    Attributes:
      standing: as of the moment of reading.
      registered: of the voters, those that are registered agents.
    """

    pending: approvals.Pending
    approver: Approver | str | None
    votes: tuple[Vote, ...]
    registered: frozenset[AgentId]
    standing: Standing

    @property
    def detail(self) -> Detail:
        """What its outcome says further; nothing while it has none."""
        return Detail() if self.pending.outcome is None else load_detail(self.pending.outcome.detail)


class Outlook(Struct, frozen=True, kw_only=True):
    """When to look again for what is to be decided.

    Attributes:
      due_at: when the next action expires; None if none waits.
      is_partial: whether there may be more to decide once peers have answered.
    """

    due_at: Instant | None
    is_partial: bool


def case_of(conn: Connection, pending: approvals.Pending, now: Instant) -> Case:
    """Read what an action's approval goes by, and judge it."""
    votes, approver = approvals.votes_on(conn, pending.pending_id), approver_of(pending.policy)
    needs_names = isinstance(approver, Approver) and approver.consensus is not None
    names = {vote.voter for vote in votes} if needs_names else set()
    registered = frozenset(name for name in names if agents.find(conn, name) is not None)
    question = Question(
        requested_by=pending.requested_by, approver=approver, expires_at=pending.expires_at,
        outcome=None if pending.outcome is None else pending.outcome.status,
    )
    return Case(
        pending=pending, approver=approver, votes=votes, registered=registered,
        standing=stand(question, votes, registered, now),
    )


def settle(transaction: Transaction, node: Node, gate: Gate, case: Case) -> str | None:
    """Write what is to be decided, if anything is: outcome and effect, in one op.

    Returns: the op's version; None if there is nothing to decide.
    """
    decision = case.standing.decision
    if decision is None:
        return None
    pending, now = case.pending, transaction.now
    effect, error = Effect(entries=(), memory_id=pending.memory_id), None
    if decision is PendingStatus.APPROVED:
        try:
            if pending.asked_again_as is not None:
                raise Conflict(f"it was asked for again as {pending.asked_again_as}, which took its place")
            effect = _effect(transaction, node, pending)
        except (Conflict, InvalidRequest) as failure:
            decision, error = PendingStatus.FAILED, failure.message
    detail = Detail(
        is_executed=bool(effect.entries), memory_id=effect.memory_id, error=error,
        counted=tuple(vote.stamp for vote in (*case.standing.approvals, *case.standing.rejections)),
    )
    decided_by = _decider(case)
    outcome: FieldValue = (decision.value, decided_by, now, dump_detail(detail))
    entries: list[Entry] = [transaction.change(PENDING, pending.pending_id, {"outcome": outcome}), *effect.entries]
    try:
        dot = gate.write_own(transaction, "pending_decision", entries)
    except InvalidRequest as too_much:
        decision, detail = PendingStatus.FAILED, Detail(error=too_much.message, counted=detail.counted)
        outcome = (decision.value, decided_by, now, dump_detail(detail))
        change = transaction.change(PENDING, pending.pending_id, {"outcome": outcome})
        dot = gate.write_own(transaction, "pending_decision", [change])
    _tell(gate, now, pending, decided_by, decision, str(dot), len(effect.entries) if detail.is_executed else 0)
    return str(dot)


def _tell(
    gate: Gate, now: Instant, pending: approvals.Pending, decided_by: AgentId, decision: PendingStatus, version: str,
    count: int,
) -> None:
    """Say in the audit what was decided, who asked for it and what was done."""
    gate.tell(
        now, "pending_decision", ALLOWED, pending.namespace, pending.pending_id,
        f"{pending.policy_namespace}: {_VERBS.get(pending.action, pending.action)}=approve", version=version,
        detail=f"{decision}: {pending.label} asked for by {pending.requested_by}, decided by {decided_by}, "
               f"objects written: {count}",
    )


def _effect(transaction: Transaction, node: Node, pending: approvals.Pending) -> Effect:
    try:
        ops = load_payload(pending.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"what was asked for cannot be read: {error}") from None
    try:
        return effect_of(transaction, node, ops, pending.requested_at, pending.memory_id)
    except (Bug, ValueError) as error:
        raise InvalidRequest(f"what was asked for cannot be done by this version: {error}") from None


def _decider(case: Case) -> AgentId:
    """Whose vote decided: the first that rejected, else the last approval that it took."""
    standing = case.standing
    if standing.decision is PendingStatus.EXPIRED:
        return SYSTEM_AGENT
    if standing.rejections:
        return standing.rejections[0].voter
    return standing.approvals[: standing.quorum][-1].voter


async def settle_due(node: Node) -> Outlook:
    """Decide all that this node is to decide now: what has expired, and what votes from elsewhere have settled.

    For whoever takes in ops of other nodes, and for the clock.
    Returns: when to look again.
    Raises: Unavailable.
    """
    has_waiting = False
    while due := await node.store.read(_due, node, node.clock.now()):
        decided = [(await write_as(node, SYSTEM, _settle_one, node, pending_id)).value for pending_id in due]
        if not any(decided):
            has_waiting = True
            break       # peers knew more by then; when that has come, it is looked at again
    outlook = await node.store.read(_outlook, node, node.clock.now())
    return replace(outlook, is_partial=True) if has_waiting else outlook


def _due(conn: Connection, node: Node, now: Instant) -> tuple[MemoryId, ...]:
    found: list[MemoryId] = []
    for pending in approvals.undecided_of(conn, mandate_of(conn, node).streams, now):
        if case_of(conn, pending, now).standing.decision is not None:
            found.append(pending.pending_id)
        if len(found) == BATCH:
            break
    return tuple(found)


def _outlook(conn: Connection, node: Node, now: Instant) -> Outlook:
    mandate = mandate_of(conn, node)
    return Outlook(due_at=approvals.next_expiry(conn, mandate.streams, now), is_partial=mandate.is_partial)


def _settle_one(transaction: Transaction, node: Node, pending_id: MemoryId) -> str | None:
    pending = approvals.find(transaction.conn, pending_id)
    if pending is None or not isinstance(transaction.gate, Gate):
        return None
    if home_of(transaction.conn, node, pending) is not Home.HERE:
        return None
    return settle(transaction, node, transaction.gate, case_of(transaction.conn, pending, transaction.now))


async def run_approvals(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Write the outcome of what expires, when it does, and of what votes from other nodes decide, until cancelled.

    What is queued while this waits expires no sooner than a whole term from now, so no wait is longer than that term.
    """
    task_status.started()
    while True:
        # Counted before it is read: what arrives meanwhile is looked at in the next round.
        voted, known, report = _voted(node), _of_others(node), None if node.mesh is None else node.mesh.next_report
        try:
            outlook = await settle_due(node)
        except Unavailable as error:
            log.warning("approvals.delayed", extra={"reason": error.code.value})
            await trio.sleep(RETRY_S)
            continue
        term_s, due_at = node.policy.pending_expiry_s, outlook.due_at
        wait_s = term_s if due_at is None else min(term_s, (due_at - node.clock.now()) / 1_000_000)
        with trio.move_on_after(max(0.0, wait_s)):
            if not outlook.is_partial:
                await _wait_votes(node, voted)
            elif report is None:
                await _wait_news(node, known)
            else:
                await _wait_either(node, known, report)


def _of_others(node: Node) -> Vector:
    """What is known of other nodes' streams; a vote that was cast here was counted when it was cast."""
    return {stream: seq for stream, seq in node.store.log.vector.items() if stream != node.store.stream}


def _voted(node: Node) -> tuple[int, ...]:
    """Rises with all that an action's outcome can hang on; most commits touch nothing of it."""
    return tuple(node.store.revision(kind) for kind in (PENDING, VOTE, AGENT, STREAM))


async def _wait_votes(node: Node, voted: tuple[int, ...]) -> None:
    """Wait until something came that an outcome can hang on."""
    feed = node.store.log
    while _voted(node) == voted:
        await feed.wait_change(feed.change_count)


async def _wait_news(node: Node, known: Vector) -> None:
    """Wait until more is known than that."""
    feed = node.store.log
    while _of_others(node) == known:
        await feed.wait_change(feed.change_count)


async def _wait_either(node: Node, known: Vector, report: trio.Event) -> None:
    """The same, or until a peer has answered, and those that do soon after: each exchange tells something."""

    async def watch(scope: trio.CancelScope) -> None:
        await report.wait()
        await trio.sleep(REPORTS_S)
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, nursery.cancel_scope)
        await _wait_news(node, known)
        nursery.cancel_scope.cancel()
