"""Approvals: seeing what waits, voting on it, talking about it, and asking again.

A vote is data of its own, from whatever node; what it leads to is written by the node that queued the action
(`settling`). Whoever may neither ask for nor decide on an action does not see it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
import trio
from msgspec import UNSET, Struct, UnsetType

from aimem.errors import AimemError, Bug, Code, Conflict, Denied, InvalidRequest, NotFound, QuotaExceeded
from aimem.governance import APPROVE, REJECT, is_entitled, vote_key, voter_key
from aimem.model import (
    Approver,
    FieldValue,
    Instant,
    MemoryId,
    PendingStatus,
    Principal,
    derived_memory_id,
    format_instant,
    new_memory_id,
    rules,
)
from aimem.ports import Connection
from aimem.service.callers import speaker
from aimem.service.gate import Gate
from aimem.service.homes import Home, home_of
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.proposals import is_in_sight
from aimem.service.refusals import note_refusal
from aimem.service.settling import Case, case_of, settle
from aimem.service.verdicts import Verdict, approved, rejected, wait_verdict
from aimem.service.writing import write_as
from aimem.store import REMARK, VOTE, Transaction, agents, approvals, audit, pair_key_text
from aimem.wire import Approved, Commented, CommentRequest, DecisionRequest, Rejected

T = TypeVar("T")

COMMENT_MAX_CHARS: Final = 2_000
COMMENTS_MAX: Final = 200
"""On one action."""


class Decision(StrEnum):
    """What a vote says."""

    APPROVE = APPROVE
    REJECT = REJECT


class Ballot(Struct, frozen=True):
    """A vote that is to be cast."""

    decision: Decision
    comment: str | None


class Voted(Struct, frozen=True, kw_only=True):
    """That a vote was cast, for a retry under its key: what came of it is looked up anew.

    Attributes:
      version: of the last op that it led to at once; none if it said nothing new.
    """

    id: str
    version: str | UnsetType = UNSET


def caller_of(who: Principal, named: str | None) -> Principal:
    """On whose behalf a request acts that may name its agent. Raises: InvalidRequest, Denied."""
    return msgspec.structs.replace(who, agent_id=speaker(who, named))


def may_see(conn: Connection, who: Principal, case: Case) -> bool:
    """Whether an action exists for a caller: who asked for it, who is entitled to decide, and operators."""
    if who.may_administer or case.pending.requested_by == who.agent_id:
        return True
    return _is_entitled(conn, who, case)


def _is_entitled(conn: Connection, who: Principal, case: Case) -> bool:
    needs_name = isinstance(case.approver, Approver) and case.approver.consensus is not None
    # A policy names no agents here, so none is shown what its home hides from it.
    is_registered = (
        needs_name and agents.find(conn, who.agent_id) is not None and is_in_sight(conn, who, case.pending)
    )
    registered = {who.agent_id} if is_registered else set()
    return is_entitled(case.approver, who.agent_id, is_operator=who.may_administer, registered=registered)


def known(conn: Connection, who: Principal, text: str, now: Instant) -> Case:
    """An action that this caller may see. Raises: NotFound, InvalidRequest."""
    pending_id = rules.memory_id(text)
    pending = approvals.find(conn, pending_id)
    case = None if pending is None else case_of(conn, pending, now)
    if case is None or not may_see(conn, who, case):
        raise NotFound(f"not found: no pending action has the id {pending_id!r}", field="id")
    return case


async def approve_pending(
    node: Node, who: Principal, pending_id: str, request: DecisionRequest, once: Once | None = None
) -> Approved:
    """Vote for an action; where that decides it, it is done before the answer.

    Where another node decides, its outcome is waited for, and everywhere that more than half of the nodes have it;
    after the time that a write may take, the answer is that it waits.

    Raises: NotFound; Denied(not_entitled, own_action); Conflict(already_decided, pending_expired); InvalidRequest;
      Unavailable. Each leaves a row in the audit, and nothing else.
    """
    who, comment = caller_of(who, request.agent_id), comment_of(request.comment)
    return approved(await _cast(node, who, pending_id, Ballot(Decision.APPROVE, comment), once))


async def reject_pending(
    node: Node, who: Principal, pending_id: str, request: DecisionRequest, once: Once | None = None
) -> Rejected:
    """Vote against an action, which ends it; whoever asked for it withdraws it so. Raises: as approve_pending."""
    who, comment = caller_of(who, request.agent_id), comment_of(request.comment)
    return rejected(await _cast(node, who, pending_id, Ballot(Decision.REJECT, comment), once))


async def _cast(node: Node, who: Principal, pending_id: str, ballot: Ballot, once: Once | None) -> Verdict:
    """Write a vote, and wait for what comes of it."""
    began = trio.current_time()
    voted = await cast(node, who, pending_id, ballot, once)
    return await wait_verdict(node, MemoryId(voted.id), voted.version, began)


async def cast(node: Node, who: Principal, pending_id: str, ballot: Ballot, once: Once | None = None) -> Voted:
    """Write a vote, and at the action's home what it leads to. Raises: as approve_pending."""
    wrote = write_as(node, who, _vote_once, node, who, pending_id, ballot, once)
    voted: Voted = (await audited(node, who, f"pending_{ballot.decision}", pending_id, wrote)).value
    return voted


def _vote_once(
    transaction: Transaction, node: Node, who: Principal, pending_id: str, ballot: Ballot, once: Once | None
) -> Voted:
    return answer_once(
        transaction, node, who, once, Voted, lambda: _vote(transaction, node, who, pending_id, ballot)
    )


async def audited(node: Node, who: Principal, action: str, pending_id: str, act: Awaitable[T]) -> T:
    """Do something to an action, and leave a row in the audit where that is refused. Raises: what `act` raises."""
    try:
        return await act
    except (Conflict, NotFound, QuotaExceeded) as error:
        # What is denied has its row from the gate.
        note_refusal(
            node, who, action=action, rule=error.code.value, target=pending_id[: rules.ID_MAX_BYTES],
            namespace=_text(error, "namespace"),
        )
        raise


def _text(error: AimemError, name: str) -> str | None:
    value = error.details.get(name)
    return None if value is None else str(value)


def comment_of(text: str | None) -> str | None:
    """A comment, checked; None if there is none. Raises: InvalidRequest."""
    return checked_comment(text, field="comment") if text and text.strip() else None


def checked_comment(text: str, *, field: str) -> str:
    """The text of a comment. Raises: InvalidRequest."""
    checked = rules.content(text, field=field)
    if len(checked) > COMMENT_MAX_CHARS:
        raise InvalidRequest(
            f"{field} has {len(checked)} characters; at most {COMMENT_MAX_CHARS} are allowed", field=field
        )
    return checked


def _vote(transaction: Transaction, node: Node, who: Principal, pending_id: str, ballot: Ballot) -> Voted:
    """Write a vote, and at the action's home what it leads to."""
    gate = gate_of(transaction)
    gate.begin(f"pending_{ballot.decision}")
    case = known(transaction.conn, who, pending_id, transaction.now)
    _refuse(transaction.conn, who, case, ballot.decision)
    version = _write_vote(transaction, gate, case, ballot)
    case = case_of(transaction.conn, case.pending, transaction.now)
    if home_of(transaction.conn, node, case.pending) is Home.HERE:
        version = settle(transaction, node, gate, case) or version
    return Voted(id=case.pending.pending_id, version=version or UNSET)


def gate_of(transaction: Transaction) -> Gate:
    """The gate of a job of `write_as`."""
    if not isinstance(transaction.gate, Gate):
        raise Bug("an approval outside of a governed write")
    return transaction.gate


def _refuse(conn: Connection, who: Principal, case: Case, decision: Decision) -> None:
    """Refuse a vote that could not count. Raises: Conflict, Denied."""
    pending = case.pending
    refuse_decided(case)
    is_own = voter_key(pending.requested_by) == voter_key(who.agent_id)
    if is_own and decision is Decision.APPROVE:
        raise Denied(
            "nobody approves what it asked for itself; another one has to", code=Code.OWN_ACTION,
            namespace=pending.namespace, rule="own_action", pending_id=pending.pending_id,
        )
    if not is_own and not _is_entitled(conn, who, case):
        raise Denied(
            f"{who.agent_id} is not entitled to decide on this: {_entitled_text(case.approver)}",
            code=Code.NOT_ENTITLED, namespace=pending.namespace, rule="not_entitled", pending_id=pending.pending_id,
        )


def refuse_decided(case: Case) -> None:
    """Refuse what comes too late. Raises: Conflict(already_decided, pending_expired) with the outcome."""
    pending, outcome, status = case.pending, case.pending.outcome, case.standing.status
    if status is PendingStatus.PENDING and pending.asked_again_as is None:
        return
    details: dict[str, str] = {"namespace": pending.namespace, "pending_id": pending.pending_id, "status": status.value}
    if outcome is not None:
        details |= {"decided_by": outcome.decided_by, "decided_at": format_instant(outcome.decided_at)}
    if pending.asked_again_as is not None:
        details["asked_again_as"] = pending.asked_again_as
    if pending.asked_again_as is not None and status in (PendingStatus.EXPIRED, PendingStatus.FAILED):
        # What was done at once when it was asked for again has no successor, and names itself.
        became = "and done" if pending.asked_again_as == pending.pending_id else (
            f"as {pending.asked_again_as}; go on with that"
        )
        raise Conflict(
            f"the action {status.value} and was asked for again {became}", code=Code.ALREADY_DECIDED, **details
        )
    if status is PendingStatus.EXPIRED:
        raise Conflict(
            f"the action expired at {format_instant(pending.expires_at)} undecided; ask for it again "
            f"(ai-memory pending again {pending.pending_id})",
            code=Code.PENDING_EXPIRED, **details,
        )
    if status is PendingStatus.PENDING:
        raise Conflict(
            f"it was asked for again as {pending.asked_again_as}; vote on that", code=Code.ALREADY_DECIDED, **details
        )
    by = "" if outcome is None else f" by {outcome.decided_by}"
    raise Conflict(f"the action is already decided: {status}{by}", code=Code.ALREADY_DECIDED, **details)


def approver_name(approver: Approver | str | None) -> str:
    """Who decides, in a word or two."""
    match approver:
        case None:
            return "unreadable"
        case Approver(agent=str(agent)):
            return f"agent {agent}"
        case Approver(consensus=int(count)):
            return f"consensus {count}"
    return "human"


def _entitled_text(approver: Approver | str | None) -> str:
    match approver:
        case None:
            return "its policy cannot be read, so nobody is"
        case Approver(agent=str(agent)):
            return f"only {agent} is"
        case Approver(consensus=int(count)):
            return f"{count} registered agents have to agree; register first (ai-memory agents register)"
    return "operators are"


def _write_vote(transaction: Transaction, gate: Gate, case: Case, ballot: Ballot) -> str | None:
    """Write a vote, unless it says what is said already. Returns: its version."""
    pending, voter, now = case.pending, gate.who.agent_id, transaction.now
    decision, comment = ballot.decision, ballot.comment
    key = pair_key_text(pending.pending_id, vote_key(decision.value, voter))
    fields: dict[str, FieldValue] = {
        "voter": voter, "vote": decision.value, "is_operator": gate.who.may_administer, "voted_at": now,
        "comment": comment,
    }
    state = transaction.load(VOTE, key)
    if state.born is None:
        entry = transaction.create(VOTE, key, voter, fields)
    else:
        said = {name: cell.value for name, cell in state.fields.items()}
        if comment is None and (said["voter"], said["is_operator"]) == (voter, fields["is_operator"]):
            return None
        entry = transaction.change(VOTE, key, fields)
    dot = gate.write_own(transaction, "vote", [entry])
    gate.tell(
        now, f"pending_{decision}", audit.ALLOWED, pending.namespace, pending.pending_id,
        f"{pending.policy_namespace}: approver {approver_name(case.approver)}", version=str(dot),
    )
    return str(dot)


async def comment_pending(
    node: Node, who: Principal, pending_id: str, request: CommentRequest, once: Once | None = None
) -> Commented:
    """Say something about an action. Raises: NotFound, InvalidRequest, QuotaExceeded, Unavailable."""
    who, text = caller_of(who, request.agent_id), checked_comment(request.text, field="text")
    wrote = write_as(node, who, _comment, node, who, pending_id, text, once)
    answer: Commented = (await audited(node, who, "pending_comment", pending_id, wrote)).value
    return answer


def _comment(
    transaction: Transaction, node: Node, who: Principal, pending_id: str, text: str, once: Once | None
) -> Commented:
    gate = gate_of(transaction)
    gate.begin("pending_comment")

    def run() -> Commented:
        pending: approvals.Pending = known(transaction.conn, who, pending_id, transaction.now).pending
        if approvals.count_remarks(transaction.conn, pending.pending_id) >= COMMENTS_MAX:
            raise QuotaExceeded(f"an action takes {COMMENTS_MAX} comments; this one has them", limit=COMMENTS_MAX)
        remark_id = (
            new_memory_id(node.chance.rng) if once is None
            else derived_memory_id(who.idempotency_scope, f"remark:{once.key}", 0)
        )
        key = pair_key_text(pending.pending_id, remark_id)
        if transaction.load(REMARK, key).born is not None:
            raise Conflict(
                "a comment of this Idempotency-Key is there, and its request is not known here; take a new key",
                code=Code.ID_TAKEN,
            )
        entry = transaction.create(REMARK, key, who.agent_id, {"text": text, "made_at": transaction.now})
        dot = gate.write_own(transaction, "remark", [entry])
        gate.tell(
            transaction.now, "pending_comment", audit.ALLOWED, pending.namespace, pending.pending_id, "visible",
            version=str(dot),
        )
        return Commented(commented=True, id=pending.pending_id, comment_id=MemoryId(remark_id), version=str(dot))

    return answer_once(transaction, node, who, once, Commented, run)
