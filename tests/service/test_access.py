"""Who could do what: told before anybody tries, and as the gate then decides."""

from __future__ import annotations

from itertools import product

import pytest

from aimem import service
from aimem.errors import AimemError, Code
from aimem.model import Level, Principal
from aimem.service import Node
from aimem.store import digest
from aimem.wire import AccessOut, AccessQuery
from tests.service.steps import ALICE, BOB, put, refused
from tests.service.test_rulemaking import OPERATOR, agent, break_policy, register, rule

MAKER = OPERATOR


async def access(node: Node, namespace: str = "acme", *, by: Principal = ALICE, of: str | None = None) -> AccessOut:
    return await service.access(node, by, namespace, AccessQuery(agent_id=of))


def verdicts(found: AccessOut) -> dict[str, str]:
    return {row.verb: f"{row.decision}/{row.on_others}" for row in found.access}


async def test_without_a_policy_everything_is_allowed(node: Node) -> None:
    found = await access(node)
    assert (found.namespace, found.agent_id, found.role, found.registered) == ("acme", "alice", "open", False)
    assert verdicts(found) == dict.fromkeys(("write", "promote", "delete", "policy"), "allow/allow")
    assert {(row.level, row.from_) for row in found.access} == {(None, None)}


async def test_each_act_has_its_level_its_policy_and_the_reason(node: Node) -> None:
    await rule(node, governance={"write": "owner", "promote": "approve", "delete": "owner", "policy": "registered"})
    before = await node.store.read(digest)
    found = await access(node, "acme/x", of="bob")
    assert verdicts(found) == {
        "write": "deny/deny", "promote": "ask/ask", "delete": "allow/deny", "policy": "deny/deny"
    }
    assert {row.from_ for row in found.access} == {"acme"}
    assert [row.level for row in found.access] == ["owner", "approve", "owner", "registered"]
    assert "alice" in str(found.access[0].reason) and "author" in str(found.access[2].on_others_reason)
    assert "person" in str(found.access[1].approver)
    await register(node, "bob")
    assert verdicts(await access(node, of="bob"))["policy"] == "allow/allow"
    assert verdicts(await access(node))["write"] == "allow/allow"
    assert before != await node.store.read(digest)


async def test_a_policy_that_cannot_be_read_is_told_as_such(node: Node) -> None:
    await rule(node, governance={"write": "any"})
    await break_policy(node, "acme")
    found = await access(node)
    assert verdicts(found) == {
        "write": "deny/deny", "promote": "deny/deny", "delete": "deny/deny", "policy": "allow/allow"
    }
    assert {(row.level, row.from_) for row in found.access} == {(None, "acme")}


async def test_another_agents_access_is_told_to_operators(node: Node) -> None:
    bob = agent("bob", "acme")
    own = await access(node, by=bob)
    assert (own.agent_id, own.role, own.home) == ("bob", "agent", "acme")
    assert (await access(node, by=bob, of="bob")).agent_id == "bob"
    assert (await refused(Code.OPERATOR_REQUIRED, access(node, by=bob, of="alice"))).field == "agent_id"
    found = await access(node, by=OPERATOR, of="carol")
    assert (found.role, found.warning) == ("agent", "carol has no valid key and cannot get in")


@pytest.mark.parametrize(("namespace", "of"), [("a//b", None), ("acme", "a b"), ("acme", "x" * 200), ("a\x00", None)])
async def test_bad_questions_are_refused(node: Node, namespace: str, of: str | None) -> None:
    await refused(Code.INVALID_REQUEST, access(node, namespace, of=of))


@pytest.mark.parametrize(("level", "who"), product(Level, (ALICE, BOB, agent("carol"), OPERATOR)), ids=str)
async def test_what_is_told_is_what_happens(node: Node, level: Level, who: Principal) -> None:
    mine = (await put(node, "mine", by=who, namespace="acme", scope="collective")).id
    others = (await put(node, "others", by=agent("zoe"), namespace="acme", scope="collective")).id
    await rule(node, governance={"write": level, "delete": level, "policy": "any"})
    told = {row.verb: row for row in (await access(node, by=who)).access}

    async def outcome(attempt: object) -> str:
        try:
            await attempt  # type: ignore[misc]
        except AimemError as error:
            return {Code.DENIED_BY_POLICY: "deny", Code.APPROVAL_REQUIRED: "ask"}[error.code]
        return "allow"

    assert await outcome(put(node, "new", by=who, namespace="acme")) == told["write"].decision
    assert await outcome(service.delete(node, who, mine)) == told["delete"].decision
    assert await outcome(service.delete(node, who, others)) == told["delete"].on_others
