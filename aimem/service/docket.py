"""The docket: actions that wait for approval, or have waited, as lists and one by one. Reads only."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from aimem.errors import InvalidRequest
from aimem.governance import APPROVE, REJECT
from aimem.model import Approver, Instant, PendingStatus, Principal, Vote, format_instant, rules
from aimem.ports import Connection
from aimem.service.approvals import COMMENTS_MAX, known, may_see
from aimem.service.homes import Home, home_of
from aimem.service.node import Node
from aimem.service.proposals import TEXT_MAX_CHARS, Difference, Shown, difference_of, payload_of, proposal_of
from aimem.service.settling import Case, case_of
from aimem.service.waiting import ACTIONS
from aimem.store import agents, approvals
from aimem.wire import (
    ApprovalOut,
    CommentOut,
    PendingDetail,
    PendingOut,
    PendingPage,
    PendingQuery,
    VoteOut,
    encode,
)

PAGE_MAX: Final = 1_000
PAGE_MAX_BYTES: Final = 2 * 1024 * 1024
"""A page ends once it is so long; `more` says so."""
WALK_MAX: Final = 20_000
"""Actions that one list looks at: their votes have to be counted to know how they stand."""

_UNDECIDED: Final = frozenset({PendingStatus.PENDING, PendingStatus.REJECTED, PendingStatus.EXPIRED})
"""How an action may stand that its home has not decided."""


async def list_pending(node: Node, who: Principal, query: PendingQuery) -> PendingPage:
    """Actions that this caller asked for or may decide on (operators: all), the latest asked for first.

    Raises: InvalidRequest naming the parameter, Unavailable.
    """
    rules.bounded(query.limit, 0, PAGE_MAX, field="limit")
    rules.bounded(query.offset, 0, 2**31, field="offset")
    status = rules.choice(PendingStatus, query.status, field="status") if query.status else None
    wanted = approvals.Wanted(
        namespace=rules.namespace(query.namespace) if query.namespace else None,
        requested_by=rules.agent_id(query.requested_by, field="requested_by") if query.requested_by else None,
        action=_action(query.action) if query.action else None,
        outcomes=None if status is None else (status,),
        is_undecided=status is None or status in _UNDECIDED,
        seen_by=None if who.may_administer else who.agent_id,
    )
    return await node.store.read(_page, node, who, query, status, wanted, node.clock.now())


def _action(text: str) -> str:
    if text not in ACTIONS.values():
        allowed = ", ".join(ACTIONS.values())
        raise InvalidRequest(f"action: {text[:64]!r} is unknown; allowed are {allowed}", field="action")
    return text


def _page(
    conn: Connection, node: Node, who: Principal, query: PendingQuery, status: PendingStatus | None,
    wanted: approvals.Wanted, now: Instant,
) -> PendingPage:
    if wanted.seen_by is not None and agents.find(conn, wanted.seen_by) is not None:
        wanted = msgspec.structs.replace(wanted, is_registered=True)
    found: list[PendingOut] = []
    size = passed = 0
    for count, pending in enumerate(approvals.newest(conn, wanted)):
        if count == WALK_MAX:
            return PendingPage(count=len(found), pending=tuple(found), more=True)
        case = case_of(conn, pending, now)
        if (status is not None and case.standing.status is not status) or not may_see(conn, who, case):
            continue
        passed += 1
        if passed <= query.offset:
            continue
        if len(found) == query.limit or size > PAGE_MAX_BYTES:
            return PendingPage(count=len(found), pending=tuple(found), more=True)
        shown = payload_of(pending, proposal_of(conn, pending), TEXT_MAX_CHARS)
        found.append(_out(conn, node, case, shown))
        size += len(encode(found[-1]))
    return PendingPage(count=len(found), pending=tuple(found))


async def get_pending(node: Node, who: Principal, pending_id: str) -> PendingDetail:
    """One action, with its votes, what would change now, and what was said about it. Raises: NotFound."""
    return await node.store.read(_detail, node, who, pending_id, node.clock.now())


def _detail(conn: Connection, node: Node, who: Principal, pending_id: str, now: Instant) -> PendingDetail:
    case = known(conn, who, pending_id, now)
    proposal = proposal_of(conn, case.pending)
    is_done = case.standing.status is PendingStatus.APPROVED
    difference = Difference(changes=(), total=0) if is_done else difference_of(proposal)
    remarks = approvals.remarks_on(conn, case.pending.pending_id, COMMENTS_MAX)
    shown = _out(conn, node, case, payload_of(case.pending, proposal))
    return PendingDetail(
        **{name: getattr(shown, name) for name in shown.__struct_fields__},
        changes=difference.changes, changes_total=difference.total, comments=tuple(map(_comment, remarks)),
    )


def _out(conn: Connection, node: Node, case: Case, shown: Shown) -> PendingOut:
    pending, standing, outcome, detail = case.pending, case.standing, case.pending.outcome, case.detail
    is_undecided = outcome is None
    return PendingOut(
        id=pending.pending_id, action_type=pending.action, namespace=pending.namespace, payload=shown.payload,
        requested_by=pending.requested_by, requested_at=format_instant(pending.requested_at),
        status=standing.status.value,
        approvals=tuple(
            ApprovalOut(agent_id=vote.voter, approved_at=format_instant(vote.voted_at))
            for vote in case.votes if vote.vote == APPROVE and _counts(case, vote)
        ),
        memory_id=pending.memory_id or UNSET,
        decided_by=UNSET if outcome is None else outcome.decided_by,
        decided_at=UNSET if outcome is None else format_instant(outcome.decided_at),
        expires_at=format_instant(pending.expires_at), quorum=standing.quorum, votes=_votes(case),
        rule=_rule(pending), label=pending.label, home=pending.home, approver=_approver(case),
        executed=UNSET if is_undecided else detail.is_executed, result_id=detail.memory_id or UNSET,
        error=detail.error or UNSET,
        orphaned=True if is_undecided and home_of(conn, node, pending) is Home.NOBODY else UNSET,
        asked_again_as=pending.asked_again_as or UNSET, payload_cut=True if shown.is_cut else UNSET,
    )


def _rule(pending: approvals.Pending) -> str:
    verb = next((verb for verb, action in ACTIONS.items() if action == pending.action), pending.action)
    return f"{pending.policy_namespace}: {verb}=approve"


def _approver(case: Case) -> object:
    match case.approver:
        case None:
            return UNSET
        case Approver(agent=str(agent)):
            return {"agent": agent}
        case Approver(consensus=count):
            return {"consensus": count}
    return case.approver


def _votes(case: Case) -> tuple[VoteOut, ...]:
    said = sorted(
        (vote for vote in case.votes if vote.vote in (APPROVE, REJECT)), key=lambda one: (one.voted_at, one.stamp)
    )
    return tuple(
        VoteOut(
            agent_id=vote.voter, vote=vote.vote, voted_at=format_instant(vote.voted_at), counts=_counts(case, vote),
            late=case.pending.outcome is not None and not _counts(case, vote),
            comment=UNSET if vote.comment is None else vote.comment,
        )
        for vote in said
    )


def _counts(case: Case, vote: Vote) -> bool:
    """Whether a vote counts, or counted when its action was decided."""
    if case.pending.outcome is not None:
        return vote.stamp in case.detail.counted
    standing = case.standing
    return vote in standing.approvals or vote in standing.rejections


def _comment(remark: approvals.Remark) -> CommentOut:
    return CommentOut(agent_id=remark.author, text=remark.text, made_at=format_instant(remark.made_at))
