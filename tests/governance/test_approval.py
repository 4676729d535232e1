"""Where an action stands, as a table: votes, the policy's approver and the clock in, a status and a decision out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.governance import APPROVE, REJECT, Question, is_entitled, quorum_of, stand
from aimem.model import AgentId, Approver, Instant, PendingStatus, Vote

NOW = Instant(1_000)
REGISTERED = frozenset(map(AgentId, ("ann", "ben", "cid")))
HUMAN, JUDGE, TWO = "human", Approver(agent=AgentId("judge")), Approver(consensus=2)
P, R, E = PendingStatus.PENDING, PendingStatus.REJECTED, PendingStatus.EXPIRED
A = PendingStatus.APPROVED


def vote(text: str, at: int = 1) -> Vote:
    """`+ann` approves, `-ann` rejects; `*` marks an operator."""
    name = text.strip("+-*")
    return Vote(
        voter=AgentId(name), vote=REJECT if "-" in text else APPROVE, is_operator="*" in text, voted_at=Instant(at),
        stamp=f"{at:08}",
    )


def question(approver: Approver | str | None, **fields: object) -> Question:
    known = {"requested_by": AgentId("bob"), "expires_at": Instant(2_000), **fields}
    return Question(approver=approver, **known)    # type: ignore[arg-type]


@pytest.mark.parametrize(("approver", "votes", "status", "decision"), [
    (HUMAN, "", P, None), (HUMAN, "+*root", P, A), (HUMAN, "+ann", P, None), (HUMAN, "-ann", P, None),
    (HUMAN, "-*root", R, R), (HUMAN, "+*root -*anna", R, R), (HUMAN, "+*root -*root", R, R),
    (HUMAN, "+*bob", P, None), (HUMAN, "+*BOB", P, None), (HUMAN, "-bob", R, R), (HUMAN, "-Bob +*root", R, R),
    (JUDGE, "+judge", P, A), (JUDGE, "+*root", P, None), (JUDGE, "+JUDGE", P, None), (JUDGE, "-*root", P, None),
    (JUDGE, "-judge", R, R), (TWO, "+ann", P, None), (TWO, "+ann +ben", P, A), (TWO, "+ann +*root", P, None),
    (TWO, "+ann +ben +cid", P, A), (TWO, "+ann +ben -cid", R, R), (TWO, "+ann +ben -dan", P, A),
    (TWO, "+ann -ann +ben +cid", R, R), (None, "+*root", P, None), (None, "-bob", R, R),
])
def test_an_action_stands_by_its_votes(
    approver: Approver | str | None, votes: str, status: PendingStatus, decision: PendingStatus | None
) -> None:
    given_votes = [vote(text, at) for at, text in enumerate(votes.split())]
    found = stand(question(approver), given_votes, REGISTERED, NOW)
    assert (found.status, found.decision) == (status, decision)


def test_names_that_differ_in_case_only_are_one_voter() -> None:
    registered = frozenset(map(AgentId, ("ann", "ANN")))
    found = stand(question(TWO), [vote("+ann"), vote("+ANN", 2)], registered, NOW)
    assert ([one.voter for one in found.approvals], found.decision) == (["ann"], None)


def test_an_expired_action_is_decided_so_whatever_approvals_it_has() -> None:
    late = question(HUMAN, expires_at=NOW)
    assert stand(late, [vote("+*root")], REGISTERED, NOW).decision is E
    assert stand(late, [vote("-*root")], REGISTERED, NOW).decision is R


@pytest.mark.parametrize("outcome", PendingStatus)
def test_votes_change_nothing_after_the_outcome(outcome: PendingStatus) -> None:
    for text in ("+*root", "-*root", ""):
        found = stand(question(HUMAN, outcome=outcome), [vote(text)] if text else [], REGISTERED, Instant(9_999))
        assert (found.status, found.decision) == (outcome, None)


def test_a_vote_of_another_versions_word_counts_as_none() -> None:
    odd = Vote(voter=AgentId("root"), vote="abstain", is_operator=True, voted_at=NOW)
    assert stand(question(HUMAN), [odd], REGISTERED, NOW).status is P


@given(st.permutations([vote(text, at) for at, text in enumerate(("+ann", "-ann", "+ben", "+cid", "+*root"))]),
       st.sampled_from([HUMAN, JUDGE, TWO]), st.lists(st.integers(0, 4)))
def test_neither_order_nor_repetition_of_votes_matters(
    votes: list[Vote], approver: Approver | str, repeated: list[int]
) -> None:
    plain = sorted(votes, key=lambda one: one.stamp)
    again = votes + [votes[place] for place in repeated]
    assert stand(question(approver), again, REGISTERED, NOW) == stand(question(approver), plain, REGISTERED, NOW)


def test_a_quorum_is_of_the_policy() -> None:
    assert [quorum_of(approver) for approver in (HUMAN, JUDGE, TWO, None)] == [1, 1, 2, 1]
    for approver, is_operator in itertools.product((HUMAN, JUDGE, TWO, None), (True, False)):
        found = is_entitled(approver, AgentId("zoe"), is_operator=is_operator, registered=REGISTERED)
        assert found == (approver == HUMAN and is_operator)
