"""Votes, what they lead to, and asking again: on one node."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from aimem import service
from aimem.errors import AimemError, ApprovalRequired, Code, Conflict, Denied, NotFound, QuotaExceeded
from aimem.model import AgentId, Credential, Namespace, Principal, Role
from aimem.ports import Connection, Row
from aimem.service import Node, Once, approvals, writing
from aimem.store import digest
from aimem.wire import (
    AgentRequest,
    Approved,
    CommentRequest,
    CreateMemory,
    DecisionRequest,
    GcQuery,
    ListQuery,
    PendingQuery,
    UpdateMemory,
)
from tests.nodes import FakeClock, principal
from tests.service.test_writing import govern

ALICE, BOB, CAROL = principal("alice"), principal("bob"), principal("carol")
NOTHING = DecisionRequest()
WEEK_S = 7 * 24 * 3600


def keyed(agent: str, role: Role = Role.AGENT, home: str | None = None) -> Principal:
    return Principal(
        agent_id=AgentId(agent), credential=Credential.AGENT_KEY, role=role,
        home=None if home is None else Namespace(home),
    )


OPERATOR, AGENT_BOB, AGENT_CAROL = keyed("root", Role.OPERATOR), keyed("bob"), keyed("carol")


def memory(title: str = "t", **fields: object) -> CreateMemory:
    return CreateMemory(title=title, content="text", namespace="acme/team", **fields)    # type: ignore[arg-type]


async def queued(act: Awaitable[object]) -> str:
    """The pending action that an act became."""
    with pytest.raises(ApprovalRequired) as asked:
        await act
    return str(asked.value.details["pending_id"])


async def asked_for(node: Node, policy: str = '{"write": "approve"}', who: Principal = BOB, title: str = "t") -> str:
    await govern(node, "acme", policy)
    return await queued(service.remember(node, who, memory(title), None))


async def refusal(act: Awaitable[object]) -> AimemError:
    with pytest.raises(AimemError) as refused:
        await act
    return refused.value


async def titles(node: Node) -> list[str]:
    return [one.title for one in (await service.list_memories(node, OPERATOR, ListQuery())).memories]


async def audited(node: Node, *columns: str) -> list[Row]:
    await service.write_refusals(node)

    def read(conn: Connection) -> list[Row]:
        return conn.execute(f"SELECT {', '.join(columns)} FROM audit ORDER BY seq").fetchall()

    return await node.store.read(read)


async def test_an_approval_does_what_was_asked_in_one_op_with_the_ids_that_were_told(node: Node) -> None:
    pending_id = await asked_for(node)
    shown = await service.get_pending(node, ALICE, pending_id)
    done = await service.approve_pending(node, ALICE, pending_id, NOTHING)
    assert (done.approved, done.executed, done.status, done.decided_by) == (True, True, "approved", "alice")
    stored = await service.get(node, ALICE, str(done.memory_id))
    assert stored.id == shown.payload["id"] and stored.metadata["agent_id"] == "bob"
    after = await service.get_pending(node, BOB, pending_id)
    assert (after.status, after.executed, after.result_id, after.decided_by) == (
        "approved", True, stored.id, "alice"
    )
    assert after.decided_at == stored.created_at        # one moment: the effect is in the op of the decision
    assert await audited(node, "agent_id", "action", "decision", "rule") == [
        ("bob", "store", "asked", "acme: write=approve"),
        ("alice", "pending_approve", "allowed", "acme: approver human"),
        ("alice", "pending_decision", "allowed", "acme: write=approve"),
    ]


async def test_a_rejection_ends_an_action_and_nothing_is_done(node: Node) -> None:
    pending_id = await asked_for(node)
    answer = await service.reject_pending(node, ALICE, pending_id, DecisionRequest(comment="not here"))
    assert (answer.rejected, answer.status, answer.decided_by) == (True, "rejected", "alice")
    shown = await service.get_pending(node, BOB, pending_id)
    assert (shown.status, shown.executed, shown.votes[0].comment) == ("rejected", False, "not here")
    assert await titles(node) == []


@pytest.mark.parametrize(("decision", "word"), [("approve", "approved"), ("reject", "rejected")])
async def test_what_is_decided_is_told_with_its_outcome_and_stays_so(node: Node, decision: str, word: str) -> None:
    pending_id = await asked_for(node)
    act = service.approve_pending if decision == "approve" else service.reject_pending
    await act(node, ALICE, pending_id, NOTHING)
    before = await node.store.read(digest)
    for late in (service.approve_pending, service.reject_pending):
        error = await refusal(late(node, CAROL, pending_id, NOTHING))
        assert (type(error), error.code) == (Conflict, Code.ALREADY_DECIDED)
        assert (error.details["status"], error.details["decided_by"]) == (word, "alice")
    assert await node.store.read(digest) == before
    assert ("carol", "pending_approve", "denied", "already_decided") in await audited(
        node, "agent_id", "action", "decision", "rule"
    )


async def test_nobody_approves_what_it_asked_for_and_may_withdraw_it(node: Node) -> None:
    pending_id = await asked_for(node)
    before = await node.store.read(digest)
    for own in (BOB, principal("BOB")):
        error = await refusal(service.approve_pending(node, own, pending_id, NOTHING))
        assert (type(error), error.code) == (Denied, Code.OWN_ACTION)
    assert await node.store.read(digest) == before
    assert (await audited(node, "agent_id", "action", "decision", "rule", "target"))[1:] == [
        ("bob", "pending_approve", "denied", "own_action", pending_id),
        ("BOB", "pending_approve", "denied", "own_action", pending_id),
    ]
    assert (await service.reject_pending(node, BOB, pending_id, NOTHING)).rejected


async def test_only_whoever_the_policy_names_decides(node: Node) -> None:
    pending_id = await asked_for(node, '{"write": "approve", "approver": {"agent": "judge"}}')
    for act in (service.approve_pending, service.reject_pending):
        error = await refusal(act(node, CAROL, pending_id, NOTHING))
        assert (type(error), error.code) == (Denied, Code.NOT_ENTITLED)
    assert (await service.approve_pending(node, principal("judge"), pending_id, NOTHING)).approved


async def test_a_consensus_counts_registered_agents_once_whatever_the_case(node: Node) -> None:
    pending_id = await asked_for(node, '{"write": "approve", "approver": {"consensus": 2}}')
    stranger = await refusal(service.approve_pending(node, ALICE, pending_id, NOTHING))
    assert stranger.code is Code.NOT_ENTITLED
    for name in ("alice", "ALICE", "carol"):
        await service.register_agent(node, BOB, AgentRequest(agent_id=name, agent_type="human"), None)
    for name in ("alice", "alice", "ALICE"):
        answer = await service.approve_pending(node, principal(name), pending_id, NOTHING)
        assert (answer.approved, answer.status, answer.votes, answer.quorum) == (False, "pending", 1, 2)
        assert answer.reason == "consensus threshold not yet reached"
    assert await titles(node) == []
    done = await service.approve_pending(node, CAROL, pending_id, NOTHING)
    assert (done.approved, done.votes, done.decided_by) == (True, 2, "carol")
    shown = await service.get_pending(node, BOB, pending_id)
    assert [one.agent_id for one in shown.approvals] == ["ALICE", "carol"]     # one voter, by its latest word


async def test_a_voter_may_turn_from_approval_to_rejection(node: Node) -> None:
    pending_id = await asked_for(node, '{"write": "approve", "approver": {"consensus": 2}}')
    for name in ("alice", "carol"):
        await service.register_agent(node, BOB, AgentRequest(agent_id=name, agent_type="human"), None)
    await service.approve_pending(node, ALICE, pending_id, NOTHING)
    assert (await service.reject_pending(node, ALICE, pending_id, NOTHING)).status == "rejected"
    votes = (await service.get_pending(node, BOB, pending_id)).votes
    assert [(one.vote, one.counts) for one in votes] == [("approve", False), ("reject", True)]


async def test_an_action_that_does_not_show_is_not_found(node: Node) -> None:
    pending_id = await asked_for(node, who=AGENT_BOB)
    for who in (AGENT_CAROL, keyed("dave")):
        for act in (
            service.get_pending(node, who, pending_id), service.approve_pending(node, who, pending_id, NOTHING),
            service.reject_pending(node, who, pending_id, NOTHING), service.ask_again(node, who, pending_id, None),
            service.comment_pending(node, who, pending_id, CommentRequest(text="x")),
            service.get_pending(node, who, "no-such-id"),
        ):
            assert isinstance(await refusal(act), NotFound)
        assert (await service.list_pending(node, who, PendingQuery())).count == 0
    assert (await service.list_pending(node, AGENT_BOB, PendingQuery())).count == 1
    assert (await service.list_pending(node, OPERATOR, PendingQuery())).count == 1
    assert ("dave", "pending_approve", "denied", "not_found") in await audited(
        node, "agent_id", "action", "decision", "rule"
    )


async def test_an_agent_sees_what_it_may_decide_on(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve", "approver": {"agent": "carol"}}')
    pending_id = await queued(service.remember(node, AGENT_BOB, memory(), None))
    assert [one.id for one in (await service.list_pending(node, AGENT_CAROL, PendingQuery())).pending] == [pending_id]
    assert (await service.list_pending(node, keyed("dave"), PendingQuery())).count == 0
    assert (await service.approve_pending(node, AGENT_CAROL, pending_id, NOTHING)).executed


async def test_a_consensus_is_of_those_who_may_see_what_it_decides(node: Node) -> None:
    policy = '{"write": "approve", "approver": {"consensus": 1}}'
    shared, private = await asked_for(node, policy), await queued(
        service.remember(node, keyed("bob", home="acme/team/bob"), memory("own", scope="private"), None)
    )
    for agent in ("near", "far", "root"):
        await service.register_agent(node, OPERATOR, AgentRequest(agent_id=agent, agent_type="ai:x"), None)
    near, far = keyed("near", home="acme/team/near"), keyed("far", home="rival/spy")
    for agent, pending_id in ((far, shared), (far, private), (keyed("near"), shared), (near, private)):
        assert (await service.list_pending(node, agent, PendingQuery(namespace="acme/team"))).count == (agent == near)
        for act in (service.get_pending(node, agent, pending_id),
                    service.approve_pending(node, agent, pending_id, NOTHING)):
            assert (await refusal(act)).code is Code.NOT_FOUND
    assert (await service.approve_pending(node, near, shared, NOTHING)).approved
    assert (await service.approve_pending(node, OPERATOR, private, NOTHING)).approved


async def test_registered_agents_see_what_a_consensus_decides(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve", "approver": {"consensus": 1}}')
    await queued(service.remember(node, AGENT_BOB, memory(), None))
    carol = keyed("carol", home="acme/team/carol")
    await service.register_agent(node, carol, AgentRequest(agent_id="carol", agent_type="human"), None)
    assert (await service.list_pending(node, carol, PendingQuery())).count == 1
    assert (await service.list_pending(node, keyed("dave"), PendingQuery())).count == 0


async def test_what_expired_is_decided_so_and_can_be_asked_for_again(node: Node, clock: FakeClock) -> None:
    pending_id = await asked_for(node)
    clock.advance(WEEK_S + 1)
    error = await refusal(service.approve_pending(node, ALICE, pending_id, NOTHING))
    assert (type(error), error.code) == (Conflict, Code.PENDING_EXPIRED)
    assert (await service.get_pending(node, BOB, pending_id)).status == "expired"
    assert (await service.settle_due(node)).due_at is None
    shown = await service.get_pending(node, BOB, pending_id)
    assert (shown.status, shown.executed) == ("expired", False)
    assert (await refusal(service.ask_again(node, principal("dave"), "none", None))).code is Code.NOT_FOUND
    again = await service.ask_again(node, BOB, pending_id, None)
    assert (again.status, again.executed) == ("pending", False)
    assert (await service.get_pending(node, BOB, pending_id)).asked_again_as == again.pending_id
    done = await service.approve_pending(node, ALICE, str(again.pending_id), NOTHING)
    assert (done.executed, done.memory_id) == (True, shown.payload["id"])
    twice = await refusal(service.ask_again(node, BOB, pending_id, None))
    assert twice.details["asked_again_as"] == again.pending_id
    assert (twice.code, f"asked for again as {again.pending_id}" in twice.message) == (Code.ALREADY_DECIDED, True)


async def test_settling_tells_when_the_next_action_expires(node: Node, clock: FakeClock) -> None:
    assert (await service.settle_due(node)).due_at is None
    pending_id = await asked_for(node)
    due = (await service.settle_due(node)).due_at
    assert due is not None and WEEK_S - 1 < (due - clock.at) / 1_000_000 <= WEEK_S
    assert (await service.get_pending(node, BOB, pending_id)).status == "pending"


async def test_asking_again_is_for_whoever_asked_and_for_operators(node: Node, clock: FakeClock) -> None:
    await govern(node, "acme", '{"write": "approve", "approver": {"agent": "carol"}}')
    pending_id = await queued(service.remember(node, AGENT_BOB, memory(), None))
    waits = await refusal(service.ask_again(node, AGENT_BOB, pending_id, None))
    assert (type(waits), waits.code) == (Conflict, Code.CONFLICT)
    clock.advance(WEEK_S + 1)
    assert (await refusal(service.ask_again(node, AGENT_CAROL, pending_id, None))).code is Code.NOT_ENTITLED
    again = await service.ask_again(node, OPERATOR, pending_id, None)
    assert (await service.get_pending(node, OPERATOR, str(again.pending_id))).requested_by == "bob"


async def test_asking_again_does_it_at_once_where_policy_lets_the_caller_now(node: Node, clock: FakeClock) -> None:
    pending_id = await asked_for(node)
    clock.advance(WEEK_S + 1)
    await govern(node, "acme", '{"write": "any"}')
    again = await service.ask_again(node, BOB, pending_id, None)
    assert (again.status, again.executed, again.pending_id or None) == ("done", True, None)
    assert await titles(node) == ["t"]
    assert isinstance(await refusal(service.ask_again(node, BOB, pending_id, None)), Conflict)
    assert await titles(node) == ["t"]


async def test_asking_again_is_denied_by_the_policy_of_now(node: Node, clock: FakeClock) -> None:
    pending_id = await asked_for(node)
    clock.advance(WEEK_S + 1)
    await govern(node, "acme", '{"write": "owner"}')
    assert (await refusal(service.ask_again(node, BOB, pending_id, None))).code is Code.DENIED_BY_POLICY
    denied = [row for row in await audited(node, "decision", "action", "count") if row[0] == "denied"]
    assert denied == [("denied", "store", 1)]


async def test_a_name_that_was_taken_meanwhile_makes_an_approval_fail(node: Node) -> None:
    pending_id = await asked_for(node)
    await govern(node, "acme", '{"write": "any"}')
    await service.remember(node, CAROL, memory(), None)
    failed = await service.approve_pending(node, ALICE, pending_id, NOTHING)
    assert (failed.approved, failed.executed, failed.status) == (True, False, "failed")
    assert "another memory titled 't'" in str(failed.error)
    shown = await service.get_pending(node, BOB, pending_id)
    assert (shown.status, shown.error) == ("failed", failed.error)
    assert len(await titles(node)) == 1


async def test_a_memory_that_was_changed_meanwhile_is_not_overwritten(node: Node) -> None:
    stored = await service.remember(node, BOB, memory(), None)
    await govern(node, "acme", '{"write": "approve"}')
    pending_id = await queued(service.update(node, BOB, stored.id, UpdateMemory(content="asked"), None))
    await govern(node, "acme", '{"write": "any"}')
    await service.update(node, CAROL, stored.id, UpdateMemory(content="later"), None)
    failed = await service.approve_pending(node, ALICE, pending_id, NOTHING)
    assert failed.status == "failed" and "its content was changed since then" in str(failed.error)
    assert (await service.get(node, BOB, stored.id)).content == "later"
    again = await service.ask_again(node, BOB, pending_id, None)
    assert again.executed and (await service.get(node, BOB, stored.id)).content == "asked"


async def test_what_touches_other_fields_goes_together(node: Node) -> None:
    stored = await service.remember(node, BOB, memory(), None)
    await govern(node, "acme", '{"write": "approve"}')
    first = await queued(service.update(node, BOB, stored.id, UpdateMemory(content="new"), None))
    second = await queued(service.update(node, CAROL, stored.id, UpdateMemory(priority=9), None))
    for pending_id in (second, first):
        assert (await service.approve_pending(node, ALICE, pending_id, NOTHING)).executed
    now = await service.get(node, BOB, stored.id)
    assert (now.content, now.priority) == ("new", 9)


async def test_deleting_what_is_gone_is_approved_and_not_executed(node: Node) -> None:
    stored = await service.remember(node, BOB, memory(), None)
    await govern(node, "acme", '{"write": "any", "delete": "approve"}')
    first = await queued(service.delete(node, BOB, stored.id, None))
    second = await queued(service.delete(node, CAROL, stored.id, None))
    done = await service.approve_pending(node, ALICE, first, NOTHING)
    assert (done.executed, done.memory_id) == (True, stored.id)
    late = await service.approve_pending(node, ALICE, second, NOTHING)
    assert (late.approved, late.status, late.executed) == (True, "approved", False)
    assert isinstance(await refusal(service.get(node, BOB, stored.id)), NotFound)


async def test_a_lifetime_that_ran_out_while_waiting_begins_with_the_approval(node: Node, clock: FakeClock) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    short = await queued(service.remember(node, BOB, memory("short", ttl_secs=3600), None))
    long = await queued(service.remember(node, BOB, memory("long", ttl_secs=WEEK_S), None))
    clock.advance(2 * 3600)
    ids = [str((await service.approve_pending(node, ALICE, one, NOTHING)).memory_id) for one in (short, long)]
    clock.advance(3500)
    assert sorted(await titles(node)) == ["long", "short"]
    clock.advance(200)
    assert await titles(node) == ["long"]
    assert (await service.get(node, BOB, ids[1])).title == "long"


async def test_a_memory_that_expired_while_its_change_waited_stays_expired(node: Node, clock: FakeClock) -> None:
    stored = await service.remember(node, BOB, memory(ttl_secs=3600), None)
    await govern(node, "acme", '{"write": "approve"}')
    pending_id = await queued(service.update(node, BOB, stored.id, UpdateMemory(content="new"), None))
    clock.advance(7200)
    failed = await service.approve_pending(node, ALICE, pending_id, NOTHING)
    assert failed.status == "failed" and "expired" in str(failed.error)


async def test_the_name_of_an_expired_memory_is_free_for_what_is_approved(node: Node, clock: FakeClock) -> None:
    await service.remember(node, CAROL, memory(ttl_secs=7200), None)
    clock.advance(7100)
    await govern(node, "acme", '{"write": "approve"}')
    other = await queued(service.remember(node, CAROL, memory("other"), None))
    clock.advance(200)
    pending_id = await queued(service.remember(node, BOB, memory(), None))
    for one in (pending_id, other):
        assert (await service.approve_pending(node, ALICE, one, NOTHING)).executed
    assert sorted(await titles(node)) == ["other", "t"]


async def test_gc_under_approval_asks_for_nothing_that_the_clock_did(node: Node, clock: FakeClock) -> None:
    await service.remember(node, CAROL, memory(ttl_secs=10), None)
    await govern(node, "acme", '{"write": "approve", "delete": "approve"}')
    clock.advance(20)
    assert (await service.collect(node, BOB, GcQuery())).expired_deleted == 1


async def test_a_payload_has_the_shapes_of_v063(node: Node) -> None:
    stored = await service.remember(node, BOB, memory("kept"), None)
    await govern(node, "acme", '{"write": "approve", "promote": "approve", "delete": "approve"}')
    store = await queued(service.remember(node, BOB, memory("new", tags=["a"], priority=7), None))
    delete = await queued(service.delete(node, BOB, stored.id, None))
    promote = await queued(service.promote(node, BOB, stored.id, None, None))
    upward = await queued(service.promote(node, BOB, stored.id, "acme", None))
    shown = {one.id: one for one in (await service.list_pending(node, ALICE, PendingQuery())).pending}
    payload = shown[store].payload
    assert (payload["title"], payload["tags"], payload["priority"], payload["access_count"]) == ("new", ("a",), 7, 0)
    assert payload["metadata"] == {"agent_id": "bob"}
    assert (shown[delete].action_type, shown[delete].payload) == ("delete", {"id": stored.id, "title": "kept"})
    assert (shown[promote].action_type, shown[promote].payload) == ("promote", {"id": stored.id})
    assert (shown[upward].payload["id"], shown[upward].payload["to_namespace"]) == (stored.id, "acme")
    assert shown[delete].memory_id == stored.id


async def test_what_would_change_is_shown_against_the_state_of_now(node: Node) -> None:
    stored = await service.remember(node, BOB, memory(), None)
    await govern(node, "acme", '{"write": "approve"}')
    pending_id = await queued(service.update(node, BOB, stored.id, UpdateMemory(title="u", priority=9), None))
    shown = await service.get_pending(node, ALICE, pending_id)
    assert {(one.effect, one.field, one.before, one.after) for one in shown.changes} >= {
        ("change", "title", "t", "u"), ("change", "priority", 5, 9),
    }
    assert shown.changes_total == len(shown.changes)
    assert {one.field for one in shown.changes} <= {"title", "priority", "metadata"}
    await govern(node, "acme", '{"write": "any"}')
    await service.update(node, CAROL, stored.id, UpdateMemory(priority=9), None)
    assert "priority" not in {one.field for one in (await service.get_pending(node, ALICE, pending_id)).changes}


async def test_long_texts_are_cut_in_lists_and_diffs_and_whole_in_the_payload_of_one(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    request = CreateMemory(title="t", content="x" * 5_000, namespace="acme")
    pending_id = await queued(service.remember(node, BOB, request, None))
    [listed] = (await service.list_pending(node, ALICE, PendingQuery())).pending
    assert (len(str(listed.payload["content"])), listed.payload_cut) == (2_000, True)
    shown = await service.get_pending(node, ALICE, pending_id)
    assert len(str(shown.payload["content"])) == 5_000
    [content] = [one for one in shown.changes if one.field == "content"]
    assert (len(str(content.after)), content.cut) == (2_000, True)


async def test_a_list_is_narrowed_and_paged(node: Node, clock: FakeClock) -> None:
    await govern(node, "*", '{"write": "approve", "delete": "approve"}')
    for number, namespace in enumerate(("acme", "acme/team", "acmes", "other")):
        request = CreateMemory(title=f"t{number}", content="x", namespace=namespace)
        await queued(service.remember(node, BOB if number else CAROL, request, None))

    async def listed(**query: object) -> list[str]:
        found = await service.list_pending(node, ALICE, PendingQuery(**query))    # type: ignore[arg-type]
        return [str(one.payload["title"]) for one in found.pending]

    assert await listed() == ["t3", "t2", "t1", "t0"]
    assert await listed(namespace="acme") == ["t1", "t0"]
    assert await listed(requested_by="carol") == ["t0"]
    assert await listed(action="delete") == []
    assert await listed(limit=2, offset=1) == ["t2", "t1"]
    assert (await service.list_pending(node, ALICE, PendingQuery(limit=2, offset=1))).more
    [first, *_] = (await service.list_pending(node, ALICE, PendingQuery())).pending
    await service.reject_pending(node, ALICE, first.id, NOTHING)
    assert await listed(status="rejected") == ["t3"]
    assert await listed(status="pending") == ["t2", "t1", "t0"]
    clock.advance(WEEK_S + 1)
    assert await listed(status="expired") == ["t2", "t1", "t0"]
    assert await listed(status="pending") == []


async def test_comments_are_kept_in_their_order_and_bounded(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "COMMENTS_MAX", 2)
    pending_id = await asked_for(node)
    for who, text in ((BOB, "please"), (ALICE, "why?")):
        await service.comment_pending(node, who, pending_id, CommentRequest(text=text))
    shown = await service.get_pending(node, ALICE, pending_id)
    assert [(one.agent_id, one.text) for one in shown.comments] == [("bob", "please"), ("alice", "why?")]
    full = await refusal(service.comment_pending(node, ALICE, pending_id, CommentRequest(text="more")))
    assert isinstance(full, QuotaExceeded)


@pytest.mark.parametrize("text", ["", " ", "x" * 2_001, "a\x00b"])
async def test_a_bad_comment_is_refused(node: Node, text: str) -> None:
    pending_id = await asked_for(node)
    error = await refusal(service.comment_pending(node, BOB, pending_id, CommentRequest(text=text)))
    assert (error.family, error.field) == (Code.INVALID_REQUEST, "text")


async def test_open_actions_of_one_who_asks_are_bounded(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "OPEN_MAX", 2)
    await govern(node, "acme", '{"write": "approve"}')
    first = await queued(service.remember(node, BOB, memory("1"), None))
    await queued(service.remember(node, BOB, memory("2"), None))
    assert (await refusal(service.remember(node, BOB, memory("3"), None))).code is Code.QUOTA_EXCEEDED
    await queued(service.remember(node, CAROL, memory("3"), None))
    await service.reject_pending(node, BOB, first, NOTHING)
    await queued(service.remember(node, BOB, memory("4"), None))


async def test_a_retry_of_an_approval_under_its_key_has_the_same_answer(node: Node) -> None:
    pending_id = await asked_for(node)
    once = Once("key", bytes(32))
    first: Approved = await service.approve_pending(node, ALICE, pending_id, NOTHING, once)
    before = await node.store.read(digest)
    assert await service.approve_pending(node, ALICE, pending_id, NOTHING, once) == first
    assert await node.store.read(digest) == before


async def test_what_was_queued_is_decided_by_the_policy_of_its_queueing(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    pending_id = await queued(service.remember(node, BOB, memory(), None))
    await govern(node, "acme", '{"write": "approve", "approver": {"agent": "dave"}}')
    assert (await service.approve_pending(node, ALICE, pending_id, NOTHING)).executed


async def test_an_agents_claim_to_be_another_is_refused(node: Node) -> None:
    pending_id = await asked_for(node)
    error = await refusal(service.approve_pending(node, CAROL, pending_id, DecisionRequest(agent_id="alice")))
    assert isinstance(error, Denied)
