"""Agents: registering, listing, taking back."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem import service
from aimem.errors import Code
from aimem.service import Node, Once
from aimem.store import AGENT, Transaction
from aimem.wire import AgentRequest, AgentsQuery, Registered
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, another_node, ids_listed, ops_of, refused, tell


async def register(node: Node, agent_id: str = "alice", agent_type: str = "human", **fields: object) -> Registered:
    request = AgentRequest(agent_id=agent_id, agent_type=agent_type, **fields)  # type: ignore[arg-type]
    return await service.register_agent(node, ALICE, request)


async def listed(node: Node) -> list[str]:
    return [agent.agent_id for agent in (await service.list_agents(node, BOB, AgentsQuery())).agents]


async def test_a_registered_agent_is_listed_with_who_registered_it(node: Node) -> None:
    answer = await register(node, "ai:builder", "ai:claude-opus-4.7", capabilities=[" plan ", "build", "plan"])
    assert (answer.registered, answer.id, answer.action) == (True, "ai:builder", "created")
    [agent] = (await service.list_agents(node, BOB, AgentsQuery())).agents
    assert (agent.agent_id, agent.agent_type, agent.capabilities) == (
        "ai:builder", "ai:claude-opus-4.7", ("plan", "build"),
    )
    assert agent.registered_by == "alice"
    assert agent.registered_at == agent.last_seen_at == answer.registered_at


async def test_registering_again_keeps_since_when_and_by_whom(node: Node, clock: FakeClock) -> None:
    first = await register(node, "carol", "human", capabilities=["old"])
    clock.advance(60)
    again = await service.register_agent(node, BOB, AgentRequest(agent_id="carol", agent_type="system"))
    assert (again.action, again.registered_at, again.registered_by) == ("updated", first.registered_at, "alice")
    assert again.last_seen_at > first.last_seen_at
    assert (again.agent_type, again.capabilities) == ("system", ())
    assert await listed(node) == ["carol"]


async def test_a_registration_is_no_memory(node: Node) -> None:
    await register(node)
    assert await ids_listed(node) == set()
    assert (await service.stats(node, ALICE)).total == 0


async def test_registering_writes_only_what_changes(node: Node) -> None:
    await register(node)
    await register(node)
    entry = (await ops_of(node.store))[-1].entries[0]
    assert b'"agent_type"' not in entry
    assert b'"last_seen_at"' in entry


async def test_an_agent_may_be_taken_out_and_register_anew(node: Node, clock: FakeClock) -> None:
    first = await register(node, "carol")
    assert (await service.remove_agent(node, BOB, "carol")).deleted
    assert await listed(node) == []
    assert (await refused(Code.NOT_FOUND, service.remove_agent(node, BOB, "carol"))).field == "agent_id"
    clock.advance(60)
    again = await register(node, "carol")
    assert (again.action, again.registered_by) == ("created", "alice")
    assert again.registered_at > first.registered_at


async def test_a_damaged_row_is_counted_and_does_not_hide_the_others(node: Node) -> None:
    for name in ("a", "b", "c", "d"):
        await register(node, name)
    damage = ("UPDATE agents SET capabilities = '{' WHERE agent_id = 'a'",
              "UPDATE agents SET agent_type = NULL WHERE agent_id = 'c'")

    def spoil(transaction: Transaction) -> None:
        for statement in damage:
            transaction.conn.execute(statement)

    await node.store.write(spoil)
    found = await service.list_agents(node, ALICE, AgentsQuery())
    assert [agent.agent_id for agent in found.agents] == ["b", "d"]
    assert (found.count, found.total, found.unreadable) == (2, 4, 2)


async def test_pages_of_the_list_follow_each_other(node: Node) -> None:
    for name in ("b", "a", "c"):
        await register(node, name)
    first = await service.list_agents(node, ALICE, AgentsQuery(limit=2))
    assert ([agent.agent_id for agent in first.agents], first.total) == (["a", "b"], 3)
    second = await service.list_agents(node, ALICE, AgentsQuery(limit=2, offset=2))
    assert [agent.agent_id for agent in second.agents] == ["c"]


@pytest.mark.parametrize(
    ("agent_id", "agent_type", "capabilities", "field"),
    [
        ("a b", "human", None, "agent_id"), ("", "human", None, "agent_id"), ("x" * 129, "human", None, "agent_id"),
        ("a\x00", "human", None, "agent_id"), ("a\ud800", "human", None, "agent_id"), ("a", "", None, "agent_type"),
        ("a", "robot", None, "agent_type"), ("a", "ai:", None, "agent_type"), ("a", "ai:x y", None, "agent_type"),
        ("a", "ai:" + "x" * 62, None, "agent_type"), ("a", "human\n", None, "agent_type"),
        ("a", "ai:é", None, "agent_type"), ("a", "human", [""], "capabilities[0]"),
        ("a", "human", ["x" * 129], "capabilities[0]"), ("a", "human", ["x"] * 51, "capabilities"),
        ("a", "human", ["ok", "\ud800"], "capabilities[1]"), ("a", "human", ["\x00"], "capabilities[0]"),
    ],
)
async def test_a_bad_registration_is_refused_and_nothing_is_written(
    node: Node, agent_id: str, agent_type: str, capabilities: list[str] | None, field: str
) -> None:
    before = len(await ops_of(node.store))
    attempt = register(node, agent_id, agent_type, capabilities=capabilities)
    assert (await refused(Code.INVALID_REQUEST, attempt)).field == field
    assert len(await ops_of(node.store)) == before


@pytest.mark.parametrize(
    "agent_type", ["human", "system", "ai:claude-opus-4.6", "ai:codex-5.4", "ai:x", "ai:" + "x" * 61]
)
async def test_the_types_of_v063_are_taken(node: Node, agent_type: str) -> None:
    assert (await register(node, "a", agent_type)).agent_type == agent_type


async def test_a_repeated_registration_is_answered_once(node: Node) -> None:
    once, request = Once("key", b"hash"), AgentRequest(agent_id="a", agent_type="human")
    first = await service.register_agent(node, ALICE, request, once)
    assert await service.register_agent(node, ALICE, request, once) == first


async def test_registrations_join_on_another_node(node: Node, clock: FakeClock, tmp_path: Path) -> None:
    await register(node, "a")
    async with another_node(tmp_path, clock) as other:
        await service.register_agent(other, BOB, AgentRequest(agent_id="a", agent_type="system"))
        await tell(other, node)
        await tell(node, other)
        here = (await service.list_agents(node, ALICE, AgentsQuery())).agents
        there = (await service.list_agents(other, ALICE, AgentsQuery())).agents
    assert here == there
    assert len(here) == 1


async def test_the_fold_knows_an_agent_that_nobody_registered_as_absent(node: Node) -> None:
    def half(transaction: Transaction) -> None:
        transaction.emit("agent", [transaction.change(AGENT, "a", {"present": True})])

    await node.store.write(half)
    assert await listed(node) == []
    assert (await register(node, "a")).action == "created"
