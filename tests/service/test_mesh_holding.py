"""What one node sets, ends or does, as all nodes have it: policies, keys, consensus, events and webhooks."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from aimem import service
from aimem.errors import ApprovalRequired, Code, Conflict, Unauthenticated
from aimem.model import Principal, Role, parse_dot
from aimem.service import Follower, Node, Policy
from aimem.wire import AgentRequest, CreateMemory, DecisionRequest, EventOut, EventsQuery, KeyRequest, StandardRequest
from tests.meshes import OPERATOR, open_world
from tests.nodes import principal
from tests.service.steps import ALICE, BOB, put, refused, shown
from tests.service.test_agentkeys import caller_of
from tests.service.test_delivering import Receivers, delivered, subscribed
from tests.service.test_mesh import settled
from tests.service.test_mesh_governance import governed_world
from tests.service.test_writing import govern

pytestmark = pytest.mark.usefixtures("autojump_clock")

CAROL = principal("carol")
NOTHING = DecisionRequest()


async def known_by(node: Node, version: object) -> None:
    await node.store.log.wait_covered([parse_dot(str(version), field="version")])


async def test_a_policy_that_one_node_sets_denies_on_another_as_soon_as_its_op_is_there(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        world.isolate("n1")
        policy = StandardRequest(namespace="acme", governance={"write": "registered"})
        made = await service.set_standard(n0, ALICE, policy)
        await refused(Code.DENIED_BY_POLICY, put(n0, "t", by=BOB, namespace="acme/x"))
        early = await put(n1, "t", by=BOB, namespace="acme/x")     # judged by what its origin knew, and stays
        world.heal()
        await known_by(n1, made.version)
        await refused(Code.DENIED_BY_POLICY, put(n1, "u", by=BOB, namespace="acme/x"))
        await settled(world)
        assert (await shown(n0, early.id)).title == "t"


async def test_a_key_that_one_node_revokes_is_refused_by_another_as_soon_as_its_op_is_there(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        made = await service.add_key(n0, OPERATOR, KeyRequest(agent_id="bot", force=True))
        await settled(world)
        found = await caller_of(n1, made)
        assert not isinstance(found, str)
        agent = Principal(agent_id=ALICE.agent_id, credential=found.credential, role=found.role, key_id=found.key_id)
        ended = await service.revoke_key(n0, OPERATOR, made.key_id)
        await known_by(n1, ended.version)
        assert await caller_of(n1, made) == Code.KEY_REVOKED
        # Its request had got in before.
        with pytest.raises(Unauthenticated):
            await service.remember(n1, agent, CreateMemory(title="t", content="x"))


async def test_the_first_key_is_refused_where_it_would_cut_the_mesh_apart(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0 = world.nodes["n0"]
        with pytest.raises(Conflict, match="Set api_key on all nodes") as caught:
            await service.add_key(n0, OPERATOR, KeyRequest(agent_id="bot"))
        assert caught.value.code is Code.LOCKS_OUT
        assert not (await service.keyring(n0)).is_closed
        assert (await service.add_key(n0, OPERATOR, KeyRequest(agent_id="bot", force=True))).is_first
        # The mesh is as it is then: the second key changes nothing about it.
        operator = Principal(agent_id=OPERATOR.agent_id, credential=OPERATOR.credential, role=Role.OPERATOR)
        assert not (await service.add_key(n0, operator, KeyRequest(agent_id="dan"))).is_first


async def test_with_an_api_key_the_first_key_of_a_mesh_is_made(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, policy=Policy(open_access=False)) as world:
        assert (await service.add_key(world.nodes["n0"], OPERATOR, KeyRequest(agent_id="bot"))).is_first


async def test_a_consensus_counts_votes_from_several_nodes(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        n0, n1, n2 = (world.nodes[name] for name in ("n0", "n1", "n2"))
        for who in (ALICE, CAROL):
            await service.register_agent(n0, who, AgentRequest(agent_id=who.agent_id, agent_type="human"))
        await govern(n0, "acme", '{"write": "approve", "approver": {"consensus": 2}}')
        with pytest.raises(ApprovalRequired) as waits:
            await service.remember(n0, BOB, CreateMemory(title="t", content="x", namespace="acme"))
        pending_id = str(waits.value.details["pending_id"])
        await settled(world)
        began = trio.current_time()
        first = await service.approve_pending(n1, ALICE, pending_id, NOTHING)
        assert (first.approved, first.votes, first.quorum) == (False, 1, 2)
        assert trio.current_time() - began < 1     # nobody waits for an outcome that is not due
        await settled(world)
        await trio.sleep(0.01)      # their clocks are some microseconds apart, by which votes are put in order
        second = await service.approve_pending(n2, CAROL, pending_id, NOTHING)
        assert (second.approved, second.votes, second.decided_by) == (True, 2, "carol")


async def test_a_write_is_told_to_subscribers_by_its_own_node_alone(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2) as world:
        nodes = list(world.nodes.values())
        told = [Receivers() for _ in nodes]
        await subscribed(nodes[0])
        await settled(world)
        async with delivered(nodes[0], told[0]), delivered(nodes[1], told[1]), delivered(nodes[2], told[2]):
            for number, node in enumerate(nodes):
                await put(node, f"of n{number}")
            await settled(world)
            await trio.sleep(60)
        assert [receivers.names() for receivers in told] == [["memory_store"]] * 3


async def test_an_approved_action_is_told_to_subscribers_by_its_home_alone(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        await govern(n0, "acme", '{"write": "approve"}')
        with pytest.raises(ApprovalRequired) as waits:
            await service.remember(n0, BOB, CreateMemory(title="t", content="x", namespace="acme"))
        await subscribed(n0, events="memory_store")
        await settled(world)
        at_home, at_voter = Receivers(), Receivers()
        async with delivered(n0, at_home), delivered(n1, at_voter):
            await service.approve_pending(n1, ALICE, str(waits.value.details["pending_id"]), NOTHING)
            await trio.sleep(60)
        assert (at_home.names(), at_voter.names()) == (["memory_store"], [])


async def test_what_other_nodes_write_is_seen_by_those_who_follow_events_here(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        await world.nursery.start(service.run_events, n1, trio.Event())
        await settled(world)
        with Follower(n1, ALICE, EventsQuery(kind="memory")) as follower:
            told: list[object] = []

            async def follow() -> None:
                while not told:
                    told.extend(await follower.take() or ())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow)
                await trio.testing.wait_all_tasks_blocked()
                stored = await put(n0, "t", "text")
                await service.delete(n0, ALICE, stored.id)
        first = told[0]
        assert isinstance(first, EventOut)
        assert (first.event, first.key, first.version) == ("store", stored.id, stored.version)
