"""The audit for those who may read it: whose rows they find, whether it is whole, and what goes when it is old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import AimemError, Code, Denied, InvalidRequest
from aimem.model import AgentId, Credential, Principal, Role, format_instant
from aimem.service import Node, Policy, note_refusal
from aimem.service import auditing as audits
from aimem.store import Transaction
from aimem.wire import AuditPage, AuditPruneQuery, AuditQuery, AuditVerified, AuditVerifyQuery, CreateMemory
from tests.nodes import FakeClock, InlineThreads, open_node, principal, seeded_chance

DAY_S = 86_400
ALICE = principal("alice")
BOB = Principal(agent_id=AgentId("bob"), credential=Credential.AGENT_KEY, role=Role.AGENT)
SECRET = "the password is sunflower"


@pytest.fixture
async def audited(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    """Four rows by two agents, a day apart, the last of them a refusal."""
    async with open_node(
        tmp_path / "node.db", clock=clock, chance=seeded_chance(1), threads=InlineThreads(),
        policy=Policy(audit_keep_days=2),
    ) as node:
        for agent, namespace in ((ALICE, "a"), (ALICE, "a/b"), (BOB, "ab")):
            await service.remember(node, agent, CreateMemory(title=SECRET, content=SECRET, namespace=namespace))
            clock.advance(DAY_S)
        note_refusal(node, BOB, action="list_audit", rule=Code.OPERATOR_REQUIRED)
        yield node


async def page(node: Node, who: Principal = ALICE, **query: object) -> AuditPage:
    return await service.list_audit(node, who, msgspec.convert(query, AuditQuery))


async def verified(node: Node, after: str | None = None) -> AuditVerified:
    return await service.verify_audit(node, ALICE, AuditVerifyQuery(after=after))


def seqs(found: AuditPage) -> list[int]:
    return [row.seq for row in found.rows]


async def test_rows_tell_who_did_what_and_never_a_text(audited: Node) -> None:
    found = await page(audited)
    assert [(row.seq, row.agent_id, row.action, row.decision, row.namespace, row.rule) for row in found.rows] == [
        (4, "bob", "list_audit", "denied", None, "operator_required"), (3, "bob", "store", "allowed", "ab", None),
        (2, "alice", "store", "allowed", "a/b", None), (1, "alice", "store", "allowed", "a", None)]
    assert found.head == f"4:{found.rows[0].hash}"
    assert b"sunflower" not in msgspec.json.encode(found)


@pytest.mark.parametrize(("query", "wanted"), [
    ({"agent": "alice"}, [2, 1]), ({"action": "store"}, [3, 2, 1]), ({"decision": "denied"}, [4]),
    ({"namespace": "a"}, [2, 1]), ({"before": 3}, [2, 1]), ({"limit": 1}, [4]), ({"agent": "nobody"}, []),
])
async def test_a_page_is_narrowed(audited: Node, query: dict[str, object], wanted: list[int]) -> None:
    assert seqs(await page(audited, **query)) == wanted


async def test_bounds_of_time_are_inclusive(audited: Node) -> None:
    at = (await page(audited)).rows[2].at
    assert seqs(await page(audited, since=at)) == [4, 3, 2]
    assert seqs(await page(audited, until=at)) == [2, 1]


async def test_an_agent_finds_its_own_rows_and_no_others(audited: Node) -> None:
    assert seqs(await page(audited, BOB)) == [4, 3]
    assert seqs(await page(audited, BOB, agent="bob", action="store")) == [3]
    assert seqs(await page(audited, BOB, agent="alice")) == []


@pytest.mark.parametrize("query", [
    {"limit": 0}, {"limit": 1001}, {"before": 0}, {"decision": "maybe"}, {"since": "yesterday"}, {"until": "\0"}])
async def test_bad_questions_name_their_field(audited: Node, query: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await page(audited, **query)
    assert caught.value.field == next(iter(query))


async def test_checking_and_cutting_are_for_operators(audited: Node) -> None:
    for act in (
        service.verify_audit(audited, BOB, AuditVerifyQuery()),
        service.prune_audit(audited, BOB, AuditPruneQuery(before_seq=3)),
    ):
        with pytest.raises(Denied) as caught:
            await act
        assert caught.value.code is Code.OPERATOR_REQUIRED


async def test_an_untouched_audit_is_whole_from_its_beginning_and_from_a_noted_end(audited: Node) -> None:
    found = await verified(audited)
    assert (found.ok, found.checked, found.first_seq, found.more) == (True, 4, 1, False)
    assert (await verified(audited, found.head)).checked == 0
    await service.remember(audited, ALICE, CreateMemory(title="five", content="five"))
    again = await verified(audited, found.head)
    assert (again.ok, again.checked, again.first_seq) == (True, 1, 5)


@pytest.mark.parametrize("after", ["", "4", "x:00", f"4:{'0' * 63}", f"-1:{'0' * 64}"])
async def test_a_place_of_another_form_is_refused(audited: Node, after: str) -> None:
    with pytest.raises(InvalidRequest):
        await verified(audited, after)


async def test_a_long_audit_is_checked_in_portions(audited: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "CHECK_BATCH", 1)
    monkeypatch.setattr(audits, "CHECK_MAX_ROWS", 3)
    found = await verified(audited)
    assert (found.checked, found.more, found.ok) == (3, True, True)
    rest = await verified(audited, found.head)
    assert (rest.checked, rest.more, rest.first_seq) == (1, False, 4)


async def tamper(node: Node, sql: str) -> None:
    def job(transaction: Transaction) -> None:
        transaction.conn.execute(sql)

    await node.store.write(job)


async def test_a_row_that_was_changed_is_named_and_not_signed_away(audited: Node) -> None:
    await tamper(audited, "UPDATE audit SET agent_id = 'mallory' WHERE seq = 1")
    found = await verified(audited)
    assert not found.ok
    assert (found.problem.seq, found.problem.damage) == (1, "changed")  # type: ignore[union-attr]
    with pytest.raises(AimemError) as caught:
        await service.prune_audit(audited, ALICE, AuditPruneQuery(before_seq=4))
    assert caught.value.code is Code.AUDIT_DAMAGED
    assert len((await page(audited)).rows) == 4


async def test_a_cut_leaves_a_checkpoint_and_tells_who_made_it(audited: Node) -> None:
    answer = await service.prune_audit(audited, ALICE, AuditPruneQuery(before_seq=3))
    assert answer.pruned == 2
    assert answer.checkpoint.row_count == 2  # type: ignore[union-attr]
    found = await page(audited)
    assert [(row.seq, row.agent_id, row.action, row.count) for row in found.rows] == [
        (5, "alice", "audit_prune", 2), (4, "bob", "list_audit", 1), (3, "bob", "store", 1)]
    whole = await verified(audited)
    assert (whole.ok, whole.checked, whole.first_seq) == (True, 3, 3)


@pytest.mark.parametrize("query", [{}, {"before": "2027-01-01T00:00:00Z", "before_seq": 2}, {"before_seq": 0}])
async def test_a_cut_says_where_by_one_bound(audited: Node, query: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await service.prune_audit(audited, ALICE, msgspec.convert(query, AuditPruneQuery))


async def test_a_cut_in_many_portions_does_not_cut_what_tells_of_it(
    audited: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "PRUNE_BATCH", 1)
    late = format_instant(clock.now())
    clock.advance(DAY_S)
    answer = await service.prune_audit(audited, ALICE, AuditPruneQuery(before=late))
    assert answer.pruned == 4
    assert {row.action for row in (await page(audited)).rows} == {"audit_prune"}
    assert (await verified(audited)).ok


async def test_the_node_lets_rows_go_that_are_older_than_it_keeps_them(audited: Node) -> None:
    await service.expire_audit(audited)
    found = await page(audited)
    assert [(row.seq, row.agent_id) for row in found.rows][-1] == (3, "bob")
    assert "audit_prune" in {row.action for row in found.rows}
    assert (await verified(audited)).ok
    await service.expire_audit(audited)
    assert len((await page(audited)).rows) == len(found.rows)


async def test_what_is_damaged_does_not_expire_and_the_log_says_so(
    audited: Node, caplog: pytest.LogCaptureFixture
) -> None:
    await tamper(audited, "DELETE FROM audit WHERE seq = 1")
    await service.expire_audit(audited)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["audit.damaged"]
    assert len((await page(audited)).rows) == 3


async def test_of_more_rows_than_are_kept_the_first_expire(tmp_path: Path, clock: FakeClock) -> None:
    policy = Policy(audit_keep_count=100, audit_keep_days=None)
    async with open_node(
        tmp_path / "n.db", clock=clock, chance=seeded_chance(1), threads=InlineThreads(), policy=policy
    ) as node:
        for number in range(101):
            await service.remember(node, ALICE, CreateMemory(title=f"t{number}", content="c"))
        await service.expire_audit(node)
        assert len((await page(node, limit=1000)).rows) == 101      # one in a hundred more does no harm
        await service.remember(node, ALICE, CreateMemory(title="one more", content="c"))
        await service.expire_audit(node)
        found = await page(node, limit=1000)
        assert (found.rows[-1].seq, found.rows[0].action) == (3, "audit_prune")
        await service.expire_audit(node)
        assert (await verified(node)).ok and len((await page(node, limit=1000)).rows) == len(found.rows)
