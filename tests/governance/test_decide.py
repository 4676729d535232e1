"""The decision on one act: every level, role and owner."""

from __future__ import annotations

from itertools import product

import pytest

from aimem.governance import Act, Allow, Ask, Deny, Ruling, decide, dump_policy
from aimem.model import (
    CURATOR,
    SYSTEM,
    AgentId,
    Credential,
    GovernancePolicy,
    Instant,
    Level,
    Namespace,
    NamespaceRule,
    Principal,
    Role,
    Verb,
)

ALICE, BOB = AgentId("alice"), AgentId("bob")
HERE = Namespace("acme/team")


def caller(role: Role, home: str | None = None) -> Principal:
    return Principal(
        agent_id=ALICE, credential=Credential.AGENT_KEY, role=role, home=None if home is None else Namespace(home)
    )


def ruling(level: Level | None, owner: AgentId | None = BOB) -> Ruling:
    """A policy with one level for all; None for one that cannot be read."""
    text = "{" if level is None else dump_policy(
        GovernancePolicy(write=level, promote=level, delete=level, policy=level))
    return Ruling.of(NamespaceRule(
        namespace=Namespace("acme"), governance=text, owner=owner, changed_by=BOB, changed_at=Instant(0), stamp="s"))


def outcome(role: Role, level: Level, verb: Verb, *, owns: bool, registered: bool) -> type:
    """What the manual says."""
    if role is Role.LIFETIMES or level is Level.ANY:
        return Allow
    if role is Role.CURATOR:
        return Deny
    if level is Level.APPROVE:
        return Ask
    if role is Role.OPERATOR:
        return Allow
    return Allow if (registered if level is Level.REGISTERED else owns) else Deny


@pytest.mark.parametrize(
    ("role", "level", "verb", "owns", "registered"),
    list(product(Role, Level, Verb, (True, False), (True, False))), ids=str,
)
def test_a_policy_decides_as_the_manual_says(
    role: Role, level: Level, verb: Verb, owns: bool, registered: bool
) -> None:
    owner = ALICE if owns else BOB
    of_the_row = verb in (Verb.DELETE, Verb.PROMOTE)
    # The owner that does not count is the other one: the row's for write and policy, the policy's for the others.
    act = Act(verb=verb, namespace=HERE, owner=owner if of_the_row else (BOB if owns else ALICE))
    held = ruling(level, (BOB if owns else ALICE) if of_the_row else owner)
    found = decide(act, caller(role), held, registered=registered)
    assert type(found) is outcome(role, level, verb, owns=owns, registered=registered)
    if isinstance(found, Deny):
        assert (found.namespace, found.rule) == (HERE, f"acme: {verb}={level}")
    if isinstance(found, Ask):
        assert (found.rule_namespace, found.stamp, found.rule) == ("acme", "s", f"acme: {verb}=approve")


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("role", Role)
def test_a_policy_that_cannot_be_read_denies_all_but_its_repair(role: Role, verb: Verb) -> None:
    found = decide(Act(verb=verb, namespace=HERE, owner=ALICE), caller(role), ruling(None, ALICE), registered=True)
    may_repair = verb is Verb.POLICY and role in (Role.OPERATOR, Role.OPEN)
    assert type(found) is (Allow if may_repair or role is Role.LIFETIMES else Deny)


@pytest.mark.parametrize(
    ("home", "namespace", "may"),
    [("acme", "acme", True), ("acme", "acme/team", True), ("acme/team", "acme", False), ("acme", "acmee", False),
     ("acme", "*", False), (None, "acme", False)],
)
def test_without_a_policy_an_agent_rules_its_home(home: str | None, namespace: str, may: bool) -> None:
    act = Act(verb=Verb.POLICY, namespace=namespace)
    assert isinstance(decide(act, caller(Role.AGENT, home), None, registered=True), Allow) == may
    assert isinstance(decide(act, caller(Role.OPERATOR), None, registered=True), Allow)
    assert isinstance(decide(act, caller(Role.OPEN), None, registered=True), Allow)


@pytest.mark.parametrize("verb", [Verb.WRITE, Verb.PROMOTE, Verb.DELETE])
@pytest.mark.parametrize("role", Role)
def test_without_a_policy_everything_else_is_allowed(role: Role, verb: Verb) -> None:
    assert decide(Act(verb=verb, namespace=HERE, owner=BOB), caller(role), None, registered=False) == Allow()


def test_a_policy_without_an_owner_is_changed_by_anybody_while_there_are_no_operators() -> None:
    act, held = Act(verb=Verb.POLICY, namespace=HERE), ruling(Level.OWNER, None)
    assert isinstance(decide(act, caller(Role.OPEN), held, registered=False), Allow)
    assert isinstance(decide(act, caller(Role.AGENT), held, registered=False), Deny)
    assert isinstance(decide(act, caller(Role.OPERATOR), held, registered=False), Allow)
    write = decide(Act(verb=Verb.WRITE, namespace=HERE), caller(Role.OPEN), held, registered=False)
    assert isinstance(write, Deny) and "nobody" in write.reason


@pytest.mark.parametrize(("role", "may"), [(Role.AGENT, False), (Role.OPERATOR, True), (Role.OPEN, True)])
def test_who_may_see_a_memory_is_changed_by_its_author_or_an_operator(role: Role, may: bool) -> None:
    act = Act(verb=Verb.WRITE, namespace=HERE, owner=BOB, is_rescoping=True)
    assert isinstance(decide(act, caller(role), None, registered=True), Allow) == may


def test_the_node_itself_expires_but_does_not_judge_where_a_policy_is_strict() -> None:
    act, held = Act(verb=Verb.DELETE, namespace=HERE, owner=BOB), ruling(Level.APPROVE)
    assert decide(act, SYSTEM, held, registered=False) == Allow()
    assert isinstance(decide(act, CURATOR, held, registered=False), Deny)
    assert decide(act, CURATOR, None, registered=False) == Allow()
