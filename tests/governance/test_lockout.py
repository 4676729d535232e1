"""Policies under which nobody could act."""

from __future__ import annotations

import pytest

from aimem.governance import Electorate, cautions, lasts, lockouts, parse_policy
from aimem.model import AgentId, Credential, Principal

ALICE = AgentId("alice")
OPEN, KEYED = Electorate(has_operators=False, registered_count=0), Electorate(has_operators=True, registered_count=0)


def there(registered: int, *, knows: bool = True, others: bool = True) -> Electorate:
    return Electorate(has_operators=False, registered_count=registered, is_approver_known=knows, has_others=others)


@pytest.mark.parametrize(
    ("policy", "owner", "found"),
    [
        ('{"write": "any"}', None, OPEN),
        ('{"write": "owner"}', ALICE, OPEN),
        ('{"write": "owner"}', None, KEYED),
        ('{"write": "approve"}', None, OPEN),
        ('{"write": "approve", "approver": {"agent": "alice"}}', ALICE, there(1)),
        ('{"write": "approve", "approver": {"consensus": 2}}', ALICE, there(2)),
        ('{"write": "any", "approver": {"consensus": 9}}', ALICE, OPEN),
        ('{"write": "any", "approver": {"agent": "x"}}', ALICE, there(0, knows=False)),
    ],
)
def test_somebody_can_act(policy: str, owner: AgentId | None, found: Electorate) -> None:
    assert lockouts(parse_policy(policy), owner, found) == ()


@pytest.mark.parametrize(
    ("policy", "owner", "found", "word"),
    [
        ('{"write": "owner"}', None, OPEN, "owner"),
        ('{"write": "approve", "approver": {"agent": "x"}}', ALICE, there(3, knows=False), "neither"),
        ('{"write": "any", "policy": "approve", "approver": {"agent": "x"}}', ALICE, there(1, others=False), "nobody"),
        ('{"write": "any", "delete": "approve", "approver": {"consensus": 3}}', ALICE, there(2), "of 2"),
    ],
)
def test_nobody_can_act(policy: str, owner: AgentId | None, found: Electorate, word: str) -> None:
    [reason] = lockouts(parse_policy(policy), owner, found)
    assert word in reason


def test_what_is_narrow_is_said() -> None:
    assert cautions(parse_policy('{"write": "any"}'), ALICE, OPEN) == ()
    [unowned] = cautions(parse_policy('{"write": "any"}'), None, KEYED)
    assert "operators" in unowned
    [all_agree] = cautions(parse_policy('{"write": "approve", "approver": {"consensus": 2}}'), ALICE, there(2))
    assert "every registered agent" in all_agree


@pytest.mark.parametrize(
    ("agent_id", "does"),
    [("alice", True), ("ai:planner", True), ("host:box", True), ("host:box:pid-7-0a1b2c3d", False),
     ("ai:claude@box:pid-7", False), ("anonymous:req-0a1b2c3d", False), ("anonymous:pid-7-0a1b2c3d", False)],
)
def test_only_a_lasting_id_can_own(agent_id: str, does: bool) -> None:
    assert lasts(Principal(agent_id=AgentId(agent_id), credential=Credential.OPEN)) == does
    assert not lasts(Principal(agent_id=AgentId(agent_id), credential=Credential.OPEN, is_anonymous=True))
