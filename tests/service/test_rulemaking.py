"""Setting and clearing what holds in a namespace: who may, what is written, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aimem import service
from aimem.errors import Code, Conflict, Denied, InvalidRequest
from aimem.model import AgentId, Credential, Namespace, Principal, Role
from aimem.service import Node, Once
from aimem.store import NAMESPACE, Transaction, digest
from aimem.wire import (
    AgentRequest,
    ArchiveRequest,
    HistoryOut,
    HistoryQuery,
    NamespaceStandard,
    PolicyOut,
    StandardRequest,
    StandardSet,
    UpdateMemory,
)
from tests.hostile import TEXTS
from tests.nodes import FakeClock, principal
from tests.service.steps import ALICE, BOB, another_node, ids_listed, ops_of, put, refused, shown, tell

OPERATOR = Principal(agent_id=AgentId("root"), credential=Credential.SOCKET, role=Role.OPERATOR)
ANYBODY = {"write": "any", "policy": "any"}


def agent(name: str, home: str | None = None) -> Principal:
    """A proven agent."""
    return Principal(
        agent_id=AgentId(name), credential=Credential.AGENT_KEY, role=Role.AGENT,
        home=None if home is None else Namespace(home),
    )


async def rule(
    node: Node, namespace: str | None = "acme", *, by: Principal = ALICE, once: Once | None = None, **fields: Any
) -> StandardSet:
    return await service.set_standard(node, by, msgspec.convert(fields, StandardRequest), namespace, once)


async def held(node: Node, namespace: str = "acme", *, by: Principal = ALICE) -> NamespaceStandard:
    return await service.standard_of(node, by, namespace)


async def past(node: Node, namespace: str = "acme", *, by: Principal = ALICE, limit: int = 64) -> HistoryOut:
    return await service.namespace_history(node, by, namespace, HistoryQuery(limit=limit))


async def register(node: Node, *names: str) -> None:
    for name in names:
        await service.register_agent(node, principal(name), AgentRequest(agent_id=name, agent_type="human"))


async def break_policy(node: Node, namespace: str, text: str = "{") -> None:
    """Store a policy that cannot be read, as a newer version might."""

    def write(transaction: Transaction) -> None:
        transaction.emit("namespace_meta", [transaction.change(NAMESPACE, namespace, {"governance": text})])

    await node.store.write(write)


async def test_a_memory_becomes_the_standard(node: Node) -> None:
    memory = await put(node, "How we work", "Small commits.", namespace="acme", tier="long")
    answer = await rule(node, id=memory.id)
    assert (answer.set, answer.standard_id, answer.owner, answer.warnings) == (True, memory.id, "alice", ())
    assert answer.governance is msgspec.UNSET
    found = await held(node)
    assert (found.standard_id, found.title, found.content, found.priority) == (
        memory.id, "How we work", "Small commits.", 5
    )


async def test_a_policy_is_answered_complete(node: Node) -> None:
    answer = await rule(node, governance={"write": "registered", "approver": {"agent": "alice"}})
    assert answer.governance == PolicyOut(
        write="registered", promote="any", delete="owner", policy="owner", approver={"agent": "alice"}
    )
    assert (await held(node)).governance == answer.governance


async def test_standard_and_policy_are_one_op(node: Node) -> None:
    before = len(await ops_of(node.store))
    answer = await rule(node, governance={"write": "any"}, content="Be kind.")
    [op] = (await ops_of(node.store))[before:]
    assert op.kind == "namespace_meta"
    assert [msgspec.json.decode(entry)["kind"] for entry in op.entries] == ["memory", "namespace"]
    made = (await shown(node, str(answer.standard_id))).memory
    assert (made.title, made.content, made.tier, made.tags, made.priority, made.source, made.namespace) == (
        "_standard:acme", "Be kind.", "long", ("_namespace_standard",), 5, "api", "acme"
    )


async def test_what_is_not_named_stays(node: Node) -> None:
    first = await rule(node, governance=ANYBODY, content="Be kind.", parent="house")
    other = await put(node, "Other", namespace="acme")
    await rule(node, id=other.id)
    found = await held(node)
    assert (found.standard_id, found.parent) == (other.id, "house")
    assert found.governance is not None and found.governance.policy == "any"
    await rule(node, governance={"write": "owner"})
    assert (await held(node)).standard_id == other.id
    assert (await shown(node, str(first.standard_id))).memory.content == "Be kind."


async def test_without_an_id_a_tagged_memory_is_taken(node: Node) -> None:
    memory = await put(node, "Ours", namespace="acme", tags=["_namespace_standard"])
    assert (await rule(node, governance=ANYBODY)).standard_id == memory.id
    assert len(await ids_listed(node)) == 1


async def test_new_text_replaces_that_of_the_standard(node: Node) -> None:
    first = await rule(node, content="Be kind.")
    again = await rule(node, by=BOB, content="Be brief.")
    memory = (await shown(node, str(first.standard_id))).memory
    assert again.standard_id == first.standard_id
    assert (memory.content, memory.metadata["agent_id"], memory.metadata["edited_by"]) == ("Be brief.", "alice", "bob")


async def test_the_nested_form_of_v063_wins_over_what_stands_beside_it(node: Node) -> None:
    memory = await put(node, "Ours", namespace="acme")
    request = msgspec.convert(
        {"namespace": "other", "standard": {"namespace": "acme", "id": memory.id, "governance": {"write": "any"}}},
        StandardRequest,
    )
    answer = await service.set_standard(node, ALICE, request)
    assert (answer.namespace, answer.standard_id) == ("acme", memory.id)


async def test_whoever_sets_first_is_the_owner_and_stays(node: Node) -> None:
    await rule(node, governance=ANYBODY)
    assert (await rule(node, by=BOB, governance={"write": "owner", "policy": "any"})).owner == "alice"
    await refused(Code.DENIED_BY_POLICY, put(node, "t", by=BOB, namespace="acme"))
    await put(node, "t", namespace="acme")


async def test_an_id_that_a_program_made_up_owns_nothing(node: Node) -> None:
    passing = principal("ai:claude@box:pid-7")
    answer = await rule(node, by=passing, governance={"write": "any"})
    assert answer.owner is None
    assert any("no owner" in warning for warning in answer.warnings)
    assert (await rule(node, governance={"write": "owner"})).owner == "alice"


async def test_an_owner_is_named_by_operators(node: Node) -> None:
    named = await rule(node, by=OPERATOR, governance={"write": "owner"}, owner="bob")
    assert named.owner == "bob"
    await put(node, "t", by=agent("bob", "acme"), namespace="acme")
    await refused(
        Code.OPERATOR_REQUIRED, rule(node, "mine", by=agent("carol", "mine"), governance=ANYBODY, owner="bob"))


async def test_only_the_owner_sets_a_policy_anew_or_clears_it(node: Node) -> None:
    await rule(node, governance={"write": "any"})
    memory = await put(node, "Mine", by=BOB, namespace="free")
    before = await node.store.read(digest)
    for fields in ({"governance": ANYBODY}, {"id": memory.id}, {"content": "Mine."}, {"parent": "free"}):
        denied = await refused(Code.DENIED_BY_POLICY, rule(node, by=BOB, **fields))
        assert denied.details == {"namespace": "acme", "rule": "acme: policy=owner"}
    await refused(Code.DENIED_BY_POLICY, service.clear_standard(node, BOB, "acme"))
    await refused(Code.DENIED_BY_POLICY, rule(node, "acme/below", by=BOB, governance=ANYBODY))
    assert (await held(node, "acme/below")).standard_id is None
    assert await node.store.read(digest) == before
    await rule(node, governance=ANYBODY)
    assert (await service.clear_standard(node, BOB, "acme")).cleared


async def test_a_proven_agent_rules_at_and_below_its_home_only(node: Node) -> None:
    carol = agent("carol", "acme/ops")
    for namespace in ("acme", "acme/opsy", "*", "free"):
        denied = await refused(Code.DENIED_BY_POLICY, rule(node, namespace, by=carol, governance={"write": "any"}))
        assert denied.details["rule"] == "policy=home"
    for namespace in ("acme/ops", "acme/ops/x"):
        assert (await rule(node, namespace, by=carol, governance={"write": "owner"})).owner == "carol"
    await refused(Code.DENIED_BY_POLICY, rule(node, "homeless", by=agent("dave"), governance={"write": "any"}))
    await rule(node, "*", by=OPERATOR, governance={"write": "any"})


async def test_a_change_of_a_policy_may_need_approval(node: Node) -> None:
    await rule(node, governance={"write": "any", "policy": "approve"})
    before = (await held(node)).governance
    asked = await refused(Code.APPROVAL_REQUIRED, rule(node, governance=ANYBODY))
    assert (asked.details["action"], asked.details["namespace"]) == ("policy", "acme")
    await refused(Code.APPROVAL_REQUIRED, service.clear_standard(node, ALICE, "acme"))
    assert (await held(node)).governance == before


async def test_a_dry_run_writes_nothing_and_says_what_would_be(node: Node) -> None:
    before = await node.store.read(digest)
    would = await rule(node, governance={"write": "approve"}, content="Be kind.", dry_run=True)
    assert (would.set, would.dry_run, would.decision, would.standard_id) == (False, True, "allow", None)
    assert would.governance == PolicyOut(
        write="approve", promote="any", delete="owner", policy="owner", approver="human")
    assert await node.store.read(digest) == before and (await held(node)).standard_id is None
    await rule(node, governance={"write": "any", "policy": "approve"})
    before = await node.store.read(digest)
    assert (await rule(node, governance=ANYBODY, dry_run=True)).decision == "ask"
    assert await node.store.read(digest) == before


async def test_a_dry_run_is_refused_like_the_deed(node: Node) -> None:
    await rule(node, governance={"write": "any"})
    await refused(Code.DENIED_BY_POLICY, rule(node, by=BOB, governance=ANYBODY, dry_run=True))
    await refused(
        Code.LOCKS_OUT, rule(node, governance={"write": "approve", "approver": {"consensus": 2}}, dry_run=True))


LOCKING = (
    {"write": "approve", "approver": {"agent": "nobody"}},
    {"write": "approve", "approver": {"consensus": 2}},
    {"write": "any", "policy": "approve", "approver": {"consensus": 3}},
)


@pytest.mark.parametrize("policy", LOCKING)
async def test_a_policy_that_locks_everybody_out_needs_force(node: Node, policy: dict[str, object]) -> None:
    await register(node, "alice")
    before = await node.store.read(digest)
    error = await refused(Code.LOCKS_OUT, rule(node, governance=policy))
    assert isinstance(error, Conflict) and error.field == "governance" and error.details["reasons"]
    assert await node.store.read(digest) == before
    answer = await rule(node, governance=policy, force=True)
    assert answer.set and any(warning.startswith("locks everybody out") for warning in answer.warnings)


async def test_the_approver_must_be_another_than_the_only_one_there_is(node: Node) -> None:
    await register(node, "alice")
    policy = {"write": "approve", "approver": {"agent": "alice"}}
    await refused(Code.LOCKS_OUT, rule(node, governance=policy))
    await register(node, "bob")
    assert (await rule(node, governance=policy)).set


async def test_a_refused_policy_leaves_a_row_in_the_audit(node: Node) -> None:
    async def rows() -> list[tuple[object, ...]]:
        await service.write_refusals(node)
        sql = "SELECT agent_id, action, decision, rule, detail FROM audit WHERE decision = 'denied' ORDER BY seq"
        return await node.store.read(lambda conn: conn.execute(sql).fetchall())

    locking = {"write": "approve", "approver": {"consensus": 2}}
    for fields in ({"governance": locking, "dry_run": True}, {"parent": "a//b"}):
        with suppress(InvalidRequest, Conflict):
            await rule(node, **fields)
    assert await rows() == []
    await refused(Code.LOCKS_OUT, rule(node, governance=locking))
    await refused(Code.MALFORMED_POLICY, rule(node, by=BOB, governance={"write": "all"}))
    assert await rows() == [
        ("alice", "namespace_meta", "denied", "locks_out", "governance"),
        ("bob", "namespace_meta", "denied", "malformed_policy", "governance.write"),
    ]


async def test_two_spellings_of_an_agent_are_one_voter(node: Node) -> None:
    await register(node, "carol", "Carol")
    await refused(Code.LOCKS_OUT, rule(node, governance={"write": "approve", "approver": {"consensus": 2}}))
    await register(node, "dave")
    narrow = await rule(node, governance={"write": "approve", "approver": {"consensus": 2}})
    assert any("every registered agent" in warning for warning in narrow.warnings)


async def test_an_owner_who_is_nobody_locks_writes_out_while_there_are_no_operators(node: Node) -> None:
    passing = principal("host:box:pid-7-0a1b2c3d")
    await refused(Code.LOCKS_OUT, rule(node, by=passing, governance={"write": "owner"}))
    await rule(node, by=passing, governance={"write": "owner"}, force=True)
    await refused(Code.DENIED_BY_POLICY, put(node, "t", namespace="acme"))
    # What nobody owns, anybody may take over as long as there is no operator.
    assert (await rule(node, governance={"write": "owner"})).owner == "alice"


@pytest.mark.parametrize("text", ["{", "", '{"write": "everybody"}', '{"write": "any", "later": 1}'])
async def test_a_policy_that_cannot_be_read_is_shown_as_such_and_set_anew(node: Node, text: str) -> None:
    await rule(node, governance={"write": "any"}, content="Be kind.")
    await break_policy(node, "acme", text)
    for namespace in ("acme", "acme/below"):
        found = await held(node, namespace)
        assert (found.governance, found.effective, found.from_) == (None, None, "acme")
        assert "operator" in str(found.governance_error)
    await refused(Code.DENIED_BY_POLICY, put(node, "t", namespace="acme/below"))
    await refused(Code.DENIED_BY_POLICY, rule(node, by=agent("carol", "acme"), governance=ANYBODY))
    [latest, _] = (await past(node)).history
    assert latest.governance is None and latest.governance_error
    await rule(node, by=OPERATOR, governance=ANYBODY)
    assert (await held(node)).governance_error is msgspec.UNSET
    await put(node, "t", namespace="acme/below")


async def test_a_policy_that_cannot_be_read_is_repaired_where_no_standard_is(node: Node) -> None:
    await rule(node, "acme", governance={"write": "any"})
    await break_policy(node, "acme")
    # A memory for a standard has to be made, in a namespace where nothing may be written now.
    assert (await rule(node, "acme/new", by=OPERATOR, governance=ANYBODY)).set
    assert (await rule(node, "acme", governance=ANYBODY)).set      # without keys by anybody


async def test_an_unreadable_policy_is_cleared_by_an_operator(node: Node) -> None:
    await rule(node, governance={"write": "any"})
    await break_policy(node, "acme")
    await refused(Code.DENIED_BY_POLICY, service.clear_standard(node, agent("carol", "acme"), "acme"))
    assert (await service.clear_standard(node, OPERATOR, "acme")).cleared
    await put(node, "t", namespace="acme")


BAD: dict[str, tuple[dict[str, Any], Code, str]] = {
    "no level": ({"governance": {"write": "everyone"}}, Code.MALFORMED_POLICY, "governance.write"),
    "no write": ({"governance": {}}, Code.MALFORMED_POLICY, "governance.write"),
    "another field": ({"governance": {"write": "any", "x": 1}}, Code.MALFORMED_POLICY, "governance.x"),
    "an approver": ({"governance": {"write": "any", "approver": []}}, Code.MALFORMED_POLICY, "governance.approver"),
    "an unknown id": ({"id": "0" * 36}, Code.INVALID_REQUEST, "id"),
    "no id": ({"id": "a\x00b"}, Code.INVALID_REQUEST, "id"),
    "its own parent": ({"parent": "acme"}, Code.INVALID_REQUEST, "parent"),
    "no parent": ({"parent": "a//b"}, Code.INVALID_REQUEST, "parent"),
    "no owner": ({"owner": "a b"}, Code.INVALID_REQUEST, "owner"),
    "both texts": ({"id": "0" * 36, "content": "x"}, Code.INVALID_REQUEST, "content"),
    "no text": ({"content": " "}, Code.INVALID_REQUEST, "content"),
    "a zero byte": ({"content": "a\x00b"}, Code.INVALID_REQUEST, "content"),
    "too much": ({"content": "x" * 65_537}, Code.INVALID_REQUEST, "content"),
}


@pytest.mark.parametrize(("fields", "code", "field"), BAD.values(), ids=BAD)
async def test_a_bad_field_is_named_and_nothing_is_written(
    node: Node, fields: dict[str, Any], code: Code, field: str
) -> None:
    before = await node.store.read(digest)
    error = await refused(code, rule(node, governance=fields.pop("governance", ANYBODY), **fields))
    assert error.field == field
    assert await node.store.read(digest) == before


async def test_body_and_path_name_one_namespace(node: Node) -> None:
    request = StandardRequest(namespace="other", governance=dict(ANYBODY))
    error = await refused(Code.INVALID_REQUEST, service.set_standard(node, ALICE, request, "acme"))
    assert error.field == "namespace"
    assert (await service.set_standard(node, ALICE, request, "other")).namespace == "other"


@pytest.mark.parametrize("namespace", [None, "", "a//b", "/", "a\x00", "x" * 600, "a/b/c/d/e/f/g/h/i"])
async def test_a_bad_namespace_is_refused(node: Node, namespace: str | None) -> None:
    await refused(Code.INVALID_REQUEST, rule(node, namespace, governance=ANYBODY))


@pytest.mark.parametrize("namespace", ["_agents", "_messages/bob", "_curator/reports"])
async def test_the_systems_namespaces_have_no_policies(node: Node, namespace: str) -> None:
    await refused(Code.RESERVED_NAMESPACE, rule(node, namespace, governance=ANYBODY))
    await refused(Code.RESERVED_NAMESPACE, service.clear_standard(node, ALICE, namespace))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_no_text_breaks_setting(node: Node, text: str) -> None:
    for fields in ({"content": text}, {"parent": text}, {"id": text}, {"owner": text}):
        with suppress(InvalidRequest, Denied):
            await rule(node, **fields)
    await rule(node, governance=ANYBODY)


async def test_a_retry_under_the_same_key_is_the_same_answer(node: Node) -> None:
    key = Once("key", bytes(32))
    first = await rule(node, governance=ANYBODY, content="Be kind.", once=key)
    count = len(await ops_of(node.store))
    assert await rule(node, governance=ANYBODY, content="Be kind.", once=key) == first
    assert len(await ops_of(node.store)) == count
    assert await service.clear_standard(node, ALICE, "acme", Once("other", bytes(32))) == await service.clear_standard(
        node, ALICE, "acme", Once("other", bytes(32)))


async def test_clearing_takes_all_but_the_memory(node: Node) -> None:
    assert not (await service.clear_standard(node, ALICE, "acme")).cleared
    was = await rule(node, governance={"write": "owner"}, content="Be kind.", parent="house")
    answer = await service.clear_standard(node, ALICE, "acme")
    assert (answer.cleared, answer.standard_id) == (True, was.standard_id)
    found = await held(node)
    assert (found.standard_id, found.governance, found.effective, found.parent, found.owner) == (
        None, None, None, msgspec.UNSET, msgspec.UNSET)
    assert (await shown(node, str(was.standard_id))).memory.content == "Be kind."
    await put(node, "t", by=BOB, namespace="acme")
    assert not (await service.clear_standard(node, ALICE, "acme")).cleared


async def test_a_standard_that_will_not_be_there_for_all_is_warned_of(node: Node) -> None:
    brief = await put(node, "brief", namespace="acme", ttl_secs=60)
    assert any("expires" in warning for warning in (await rule(node, id=brief.id)).warnings)
    hidden = await put(node, "hidden", namespace="acme", scope="private")
    assert any("private" in warning for warning in (await rule(node, id=hidden.id)).warnings)


async def test_a_hidden_standard_stays_when_somebody_else_sets_a_policy(node: Node) -> None:
    secret = await put(node, "ours", namespace="acme", scope="private", tier="long")
    await rule(node, id=secret.id, governance=ANYBODY)
    carol = agent("carol", "free")
    assert (await rule(node, by=carol, governance={"write": "any"})).standard_id is None    # not for her to know
    assert (await held(node)).standard_id == secret.id
    await refused(Code.INVALID_REQUEST, rule(node, by=carol, id=secret.id))     # it does not exist for her


async def test_the_parent_is_found_as_v063_did(node: Node) -> None:
    await rule(node, "a", content="One.")
    await rule(node, "a-b", content="Two.")
    assert (await rule(node, "a-b-c", content="Three.")).parent == "a-b"
    assert (await rule(node, "x-y", content="Four.")).parent is msgspec.UNSET


async def test_what_was_set_is_kept_the_latest_first(node: Node, clock: FakeClock) -> None:
    await rule(node, governance={"write": "any", "policy": "any"})
    clock.advance(60)
    await rule(node, by=BOB, governance={"write": "owner", "policy": "any"})
    clock.advance(60)
    await service.clear_standard(node, BOB, "acme")
    found = await past(node)
    assert found.count == 3
    assert [(one.changed_by, one.owner, one.governance and one.governance.write) for one in found.history] == [
        ("bob", None, None), ("bob", "alice", "owner"), ("alice", "alice", "any")
    ]
    assert [one.version for one in found.history] == sorted((one.version for one in found.history), reverse=True)
    assert (await past(node, limit=1)).count == 1
    assert (await past(node, "free")).history == ()
    for limit in (0, 65, -1):
        await refused(Code.INVALID_REQUEST, past(node, limit=limit))


async def test_history_is_bounded(node: Node) -> None:
    for count in range(70):
        await rule(node, governance=ANYBODY, content=f"Rule {count}.")
    found = await past(node)
    assert found.count == 64


async def test_nodes_agree_on_what_holds_and_keep_the_lost_change(
    node: Node, clock: FakeClock, tmp_path: Path
) -> None:
    async with another_node(tmp_path, clock) as other:
        await rule(node, governance={"write": "any"})
        clock.advance(1)
        await rule(other, by=BOB, governance={"write": "registered"})
        await tell(node, other)
        await tell(other, node)
        assert (await held(node)).governance == (await held(other)).governance
        assert await node.store.read(digest) == await other.store.read(digest)
        assert {one.changed_by for one in (await past(node)).history} == {"alice", "bob"}


async def test_an_ordinary_write_changes_no_policy(node: Node) -> None:
    standard = await rule(node, governance={"write": "any"}, content="Be kind.")
    request = UpdateMemory(metadata={"governance": {"write": "owner"}})
    await service.update(node, ALICE, str(standard.standard_id), request, None)
    governance = (await held(node)).governance
    assert governance is not None and governance.write == "any"
    await service.archive(node, ALICE, ArchiveRequest(ids=[str(standard.standard_id)]), None)
    assert (await held(node)).governance == governance
