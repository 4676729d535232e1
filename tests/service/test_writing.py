"""The gate on every write: judged in the transaction, audited, and able to wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import ApprovalRequired, Code, Denied
from aimem.model import AgentId, Credential, Principal, Role
from aimem.ports import Connection, Row
from aimem.service import Node, Once
from aimem.store import NAMESPACE, PENDING, Transaction, digest
from aimem.store.kinds import all_objects
from aimem.wire import AgentRequest, AuditQuery, BulkMemories, CreateMemory, LinkRequest, UpdateMemory, encode
from tests.nodes import open_node, principal

ALICE, BOB = principal("alice"), principal("bob")
OWNER = AgentId("alice")
SOON = "2027-01-16T00:00:00Z"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "x.db") as opened:
        yield opened


def set_rule(transaction: Transaction, namespace: str, governance: str | None) -> None:
    fields = {
        "standard_id": None, "parent": None, "governance": governance, "owner": OWNER, "changed_by": OWNER,
        "changed_at": transaction.now,
    }
    transaction.emit("namespace_meta", [transaction.create(NAMESPACE, namespace, OWNER, fields)])


async def govern(node: Node, namespace: str, governance: str) -> None:
    await node.store.write(set_rule, namespace, governance)


def audit_rows(conn: Connection) -> list[Row]:
    return conn.execute("SELECT agent_id, action, decision, namespace, rule, count FROM audit ORDER BY seq").fetchall()


def pendings(conn: Connection) -> list[str]:
    return [key for key, _ in all_objects(conn, PENDING)]


def memory(title: str = "t", namespace: str = "acme/team") -> CreateMemory:
    return CreateMemory(title=title, content="text", namespace=namespace)


async def test_without_a_policy_everything_is_allowed_and_audited(node: Node) -> None:
    await service.remember(node, BOB, memory(), None)
    assert await node.store.read(audit_rows) == [("bob", "store", "allowed", "acme/team", None, 1)]


@pytest.mark.parametrize("governed", ["acme/team", "acme", "*"])
async def test_the_nearest_policy_denies_whoever_is_not_the_owner(node: Node, governed: str) -> None:
    await govern(node, governed, '{"write": "owner"}')
    before = await node.store.read(digest)
    with pytest.raises(Denied) as denied:
        await service.remember(node, BOB, memory(), None)
    assert denied.value.details == {"namespace": "acme/team", "rule": f"{governed}: write=owner"}
    assert await node.store.read(digest) == before
    await service.write_refusals(node)
    assert await node.store.read(audit_rows) == [("bob", "store", "denied", "acme/team", f"{governed}: write=owner", 1)]
    await service.remember(node, ALICE, memory(), None)


async def test_a_nearer_policy_wins_over_one_farther_up(node: Node) -> None:
    await govern(node, "acme", '{"write": "owner"}')
    await govern(node, "acme/team", '{"write": "any"}')
    await service.remember(node, BOB, memory(), None)


@pytest.mark.parametrize("text", ["", "{", '{"write": "everyone"}', '{"promote": "any"}', '{"write": "any", "x": 1}'])
async def test_a_policy_that_cannot_be_read_denies(node: Node, text: str) -> None:
    await govern(node, "acme", text)
    with pytest.raises(Denied, match="cannot be read"):
        await service.remember(node, ALICE, memory(), None)


async def test_what_needs_approval_leaves_a_pending_action_and_nothing_else(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    with pytest.raises(ApprovalRequired) as asked:
        await service.remember(node, BOB, memory(), None)
    details = asked.value.details
    assert details["action"] == "store" and details["namespace"] == "acme/team" and details["status"] == "pending"
    assert await node.store.read(pendings) == [details["pending_id"]]
    assert (await service.stats(node, BOB)).total == 0
    assert await node.store.read(audit_rows) == [("bob", "store", "asked", "acme/team", "acme: write=approve", 1)]
    (row,) = (await service.list_audit(node, BOB, AuditQuery())).rows
    assert row.detail == f"pending {details['pending_id']}"


async def test_a_retry_under_the_same_key_is_told_of_the_same_pending_action(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    told = []
    for _ in range(2):
        with pytest.raises(ApprovalRequired) as asked:
            await service.remember(node, BOB, memory(), Once("key", bytes(32)))
        told.append(asked.value.details)
    assert told[0] == told[1]
    assert len(await node.store.read(pendings)) == 1


async def test_in_bulk_each_item_is_stored_refused_or_waits_by_itself(node: Node) -> None:
    await govern(node, "asked", '{"write": "approve"}')
    await govern(node, "closed", '{"write": "owner"}')
    items = [memory("one", "free"), memory("two", "asked"), memory("three", "closed"), memory("four", "free")]
    request = BulkMemories(memories=[msgspec.Raw(encode(item)) for item in items])
    answer = await service.remember_many(node, BOB, request)
    assert [result.action or None for result in answer.results][::3] == ["created", "created"]
    assert answer.results[1].status == "pending" and answer.pending == (answer.results[1].pending_id,)
    assert answer.results[2].code == "denied_by_policy"
    assert (await service.stats(node, BOB)).total == 2


async def test_moving_a_memory_is_a_delete_where_it_was_and_a_write_where_it_comes(node: Node) -> None:
    stored = await service.remember(node, BOB, memory(namespace="free"), None)
    await govern(node, "closed", '{"write": "owner"}')
    with pytest.raises(Denied):
        await service.update(node, BOB, stored.id, UpdateMemory(namespace="closed"), None)
    await govern(node, "free", '{"write": "any", "delete": "owner"}')
    with pytest.raises(Denied, match="delete denied"):
        await service.update(node, principal("carol"), stored.id, UpdateMemory(namespace="else"), None)
    await service.update(node, BOB, stored.id, UpdateMemory(namespace="else"), None)


async def test_a_proven_agent_registers_nobody_else(node: Node) -> None:
    agent = Principal(agent_id=AgentId("bob"), credential=Credential.AGENT_KEY, role=Role.AGENT)
    request = AgentRequest(agent_id="alice", agent_type="human")
    with pytest.raises(Denied) as refused:
        await service.register_agent(node, agent, request, None)
    assert refused.value.code is Code.OPERATOR_REQUIRED


@pytest.mark.parametrize("door", ["update", "store"])
async def test_whoever_may_not_delete_a_memory_does_not_let_it_run_out_either(node: Node, door: str) -> None:
    await govern(node, "acme", '{"write": "any", "delete": "owner"}')
    stored = await service.remember(node, ALICE, memory(), None)
    before = await node.store.read(digest)

    async def end(who: Principal, expires_at: str) -> None:
        if door == "update":
            await service.update(node, who, stored.id, UpdateMemory(expires_at=expires_at), None)
        else:
            await service.remember(node, who, msgspec.structs.replace(memory(), expires_at=expires_at), None)

    with pytest.raises(Denied) as denied:
        await end(BOB, SOON)
    assert denied.value.details == {"namespace": "acme/team", "rule": "acme: delete=owner"}
    assert await node.store.read(digest) == before
    await end(BOB, "2100-01-01T00:00:00Z")      # a longer life is a write like any other
    await end(ALICE, SOON)


@pytest.mark.parametrize("relation", ["supersedes", "contradicts"])
async def test_what_judges_a_memory_is_a_write_where_the_memory_lies(node: Node, relation: str) -> None:
    await govern(node, "acme", '{"write": "owner"}')
    ruled = await service.remember(node, ALICE, memory(), None)
    free = await service.remember(node, BOB, memory(namespace="free"), None)
    before = await node.store.read(digest)
    with pytest.raises(Denied) as denied:
        await service.link(node, BOB, LinkRequest(source_id=free.id, target_id=ruled.id, relation=relation), None)
    assert denied.value.details == {"namespace": "acme/team", "rule": "acme: write=owner"}
    assert await node.store.read(digest) == before
    await service.link(node, BOB, LinkRequest(source_id=free.id, target_id=ruled.id), None)
    await service.link(node, ALICE, LinkRequest(source_id=free.id, target_id=ruled.id, relation=relation), None)
