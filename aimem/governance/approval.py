"""Where a pending action stands, and what its home has to write: pure, of the votes, the policy and the clock.

Votes are data and never decide by themselves: only the node that queued an action writes its outcome. Every node that
knows the same ops says the same of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.governance.policies import parse_policy
from aimem.model import AgentId, Approver, Instant, PendingStatus, Vote

APPROVE: Final = "approve"
REJECT: Final = "reject"


class Question(Struct, frozen=True, kw_only=True):
    """What an action asks for, as far as its approval goes.

    Attributes:
      approver: of the policy as it was when the action was queued; None if that cannot be read: then nobody approves.
      outcome: what its home has written; None while it has not.
    """

    requested_by: AgentId
    approver: Approver | str | None
    expires_at: Instant
    outcome: PendingStatus | None = None


class Standing(Struct, frozen=True, kw_only=True):
    """Where an action stands.

    Attributes:
      status: as it is shown.
      decision: what its home has to write now; None if nothing is to be decided, or it was.
      approvals: the approvals that count, the earliest first.
      rejections: the rejections that count.
      quorum: how many approvals it takes.
    """

    status: PendingStatus
    decision: PendingStatus | None
    approvals: tuple[Vote, ...]
    rejections: tuple[Vote, ...]
    quorum: int


def approver_of(policy: str) -> Approver | str | None:
    """Who approves by a policy's text; None if it cannot be read."""
    try:
        return parse_policy(policy).approver
    except InvalidRequest:
        return None


def voter_key(agent_id: str) -> str:
    """What makes two voters one: their names, whatever the case."""
    return agent_id.lower()


def vote_key(vote: str, agent_id: str) -> str:
    """The second part of a vote's key.

    A rejection is an object of its own beside the same voter's approval: were they one, an approval that was given
    elsewhere at the same time could take the rejection back.
    """
    return f"{vote}:{voter_key(agent_id)}"


def quorum_of(approver: Approver | str | None) -> int:
    """How many approvals it takes."""
    match approver:
        case Approver(consensus=int(count)):
            return count
    return 1


def is_entitled(
    approver: Approver | str | None, voter: AgentId, *, is_operator: bool, registered: AbstractSet[AgentId]
) -> bool:
    """Whether this voter's word counts: a person's is an operator's, a consensus is one of registered agents."""
    match approver:
        case None:
            return False
        case Approver(agent=str(agent)):
            return voter == agent
        case Approver(consensus=int()):
            return voter in registered
    return is_operator


def stand(
    question: Question, votes: Sequence[Vote], registered: AbstractSet[AgentId], now: Instant
) -> Standing:
    """Judge an action.

    Before its outcome an entitled rejection dominates, whatever approvals there are, the same voter's too. The one who
    asked never approves, and withdraws by rejecting. Names that differ in case only are one voter's.

    Args:
      votes: all that are known, in any order.
      registered: of the voters, those that are registered agents.
    """
    own, approvals, rejections = voter_key(question.requested_by), dict[str, Vote](), dict[str, Vote]()
    for vote in sorted(votes, key=lambda one: (one.voted_at, one.stamp)):
        key = voter_key(vote.voter)
        may = is_entitled(question.approver, vote.voter, is_operator=vote.is_operator, registered=registered)
        if vote.vote == REJECT and (may or key == own):
            rejections[key] = vote
        elif vote.vote == APPROVE and may and key != own:
            approvals.setdefault(key, vote)
    counted = tuple(vote for key, vote in approvals.items() if key not in rejections)
    status, decision = _judge(question, len(counted), len(rejections), now)
    return Standing(
        status=status, decision=decision, approvals=counted, rejections=tuple(rejections.values()),
        quorum=quorum_of(question.approver),
    )


def _judge(
    question: Question, approval_count: int, rejection_count: int, now: Instant
) -> tuple[PendingStatus, PendingStatus | None]:
    if question.outcome is not None:
        return question.outcome, None
    if rejection_count:
        return PendingStatus.REJECTED, PendingStatus.REJECTED
    if question.expires_at <= now:
        return PendingStatus.EXPIRED, PendingStatus.EXPIRED
    if approval_count >= quorum_of(question.approver):
        # It is shown as approved only with its effect, which its home alone can write.
        return PendingStatus.PENDING, PendingStatus.APPROVED
    return PendingStatus.PENDING, None
