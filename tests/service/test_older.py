"""A node one version older among newer ones: it goes on working, loses nothing, and can be brought up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.errors import Code, InvalidRequest
from aimem.model import parse_dot
from aimem.replication import Consistency, consistently
from aimem.service import Node
from aimem.store import digest, trimming
from aimem.wire import PROTOCOL, PROTOCOL_OLDEST, AgentRequest, InvalidateRequest, LinkRequest, MeshQuery
from tests.meshes import OPERATOR, SPEAKER, World, open_world, wait_settled
from tests.older import older_nodes
from tests.service.steps import ALICE, put, refused, shown
from tests.service.test_mesh import mesh_of

pytestmark = pytest.mark.usefixtures("autojump_clock")

SETTLING_S = 10.0


@asynccontextmanager
async def open_mixed(folder: Path, older: set[str]) -> AsyncIterator[World]:
    """Three nodes, of which some are older; emptying the set makes none older from its next start on."""
    with older_nodes(lambda: SPEAKER.get() in older):
        async with open_world(folder, 3, writes=2, interval_s=1) as world:
            await trio.sleep(SETTLING_S)
            yield world


async def protocols(node: Node) -> list[int]:
    return [peer.protocol for peer in (await service.mesh_status(node, OPERATOR, MeshQuery())).peers]


async def upgrade(world: World, name: str, older: set[str]) -> None:
    settings = mesh_of(world.nodes[name]).settings
    await world.stop(name)
    older.discard(name)
    await world.start(name, settings)


async def test_writes_of_all_reach_all_and_count_in_the_language_of_the_older(tmp_path: Path) -> None:
    async with open_mixed(tmp_path, {"n2"}) as world:
        assert await protocols(world.nodes["n0"]) == [PROTOCOL, PROTOCOL_OLDEST]
        with consistently(Consistency.ALL):
            first = await put(world.nodes["n0"], "t", "of a newer node")
            SPEAKER.set("n2")
            second = await put(world.nodes["n2"], "u", "of the older one")
            SPEAKER.set("")
        for node in world.nodes.values():
            assert {(await shown(node, one.id)).id for one in (first, second)} == {first.id, second.id}
        assert len({await node.store.read(digest) for node in world.nodes.values()}) == 1
        assert {node.store.cluster for node in world.nodes.values()} == {""}


async def test_what_an_older_node_does_not_know_is_held_there_and_applied_once_it_is_newer(tmp_path: Path) -> None:
    older = {"n2"}
    async with open_mixed(tmp_path, older) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        one, other = await put(n0, "t", "text"), await put(n0, "u", "other")
        await service.link(n0, ALICE, LinkRequest(source_id=one.id, target_id=other.id))
        await service.register_agent(n1, ALICE, AgentRequest(agent_id="alice", agent_type="human"))
        await trio.sleep(1)
        await service.kg_invalidate(n1, ALICE, InvalidateRequest(
            source_id=one.id, target_id=other.id, relation="related_to",
        ))
        last = await put(n1, "v", "behind both")
        await wait_settled(world)
        n2 = world.nodes["n2"]
        assert (await shown(n2, last.id)).content == "behind both"
        assert (await n2.store.held(10)).count == 2
        assert len({await node.store.read(digest) for node in (n0, n1)}) == 1
        await refused(Code.QUORUM_NOT_MET, _registered_by_all(n1))

        await upgrade(world, "n2", older)
        n2 = world.nodes["n2"]
        assert (await n2.store.held(10)).count == 0
        await trio.sleep(SETTLING_S)
        await wait_settled(world)
        assert len({await node.store.read(digest) for node in world.nodes.values()}) == 1
        assert await protocols(n0) == [PROTOCOL, PROTOCOL]
        (cluster,) = {node.store.cluster for node in world.nodes.values()}
        assert cluster
        await put(n2, "w", "new")


async def _registered_by_all(node: Node) -> None:
    with consistently(Consistency.ALL):
        await service.register_agent(node, ALICE, AgentRequest(agent_id="bob", agent_type="human"))


async def test_nodes_are_brought_up_to_date_one_after_the_other_while_all_write(tmp_path: Path) -> None:
    older = {"n0", "n1", "n2"}
    async with open_mixed(tmp_path, older) as world:
        written = []
        for name in ("n1", "n2", "n0"):
            await upgrade(world, name, older)
            await trio.sleep(SETTLING_S)
            for speaker, node in world.nodes.items():
                SPEAKER.set(speaker)
                written.append(await put(node, f"{name} is newer, says {speaker}", "text"))
                SPEAKER.set("")
        await wait_settled(world)
        for node in world.nodes.values():
            assert node.store.log.covers([parse_dot(str(stored.version), field="version") for stored in written])
            assert await protocols(node) == [PROTOCOL, PROTOCOL]
        assert len({await node.store.read(digest) for node in world.nodes.values()}) == 1
        assert len({node.store.cluster for node in world.nodes.values()} - {""}) == 1


async def test_an_older_node_gets_the_whole_state_in_its_language_and_what_it_does_not_know_later(
    tmp_path: Path
) -> None:
    older = {"n2"}
    async with open_mixed(tmp_path, older) as world:
        settings = mesh_of(world.nodes["n2"]).settings
        await world.stop("n2")
        first = await put(world.nodes["n0"], "t", "text")
        await _forget_log(world)
        await world.start("n2", settings)
        await trio.sleep(SETTLING_S)
        assert (await shown(world.nodes["n2"], first.id)).content == "text"
        await world.stop("n2")
        n0 = world.nodes["n0"]
        await service.register_agent(n0, ALICE, AgentRequest(agent_id="alice", agent_type="human"))
        second = await put(n0, "u", "text")
        await _forget_log(world)
        await world.start("n2", settings)
        await trio.sleep(SETTLING_S)
        assert not world.nodes["n2"].store.log.covers([parse_dot(str(second.version), field="version")])
        await put(world.nodes["n0"], "v", "the others go on")

        await upgrade(world, "n2", older)
        await trio.sleep(SETTLING_S)
        await wait_settled(world)
        assert len({await node.store.read(digest) for node in world.nodes.values()}) == 1


async def _forget_log(world: World) -> None:
    """Have the nodes that are there keep nothing of what was written, on disk or at hand."""
    for name, node in list(world.nodes.items()):
        await trio.sleep(1)
        size = await node.store.read(trimming.log_size)
        await node.store.write(trimming.trim, node.store.log.vector, size, trimming.LogBounds(kept_count=0))
        settings = mesh_of(node).settings
        await world.stop(name)
        await world.start(name, settings)


async def test_a_node_of_no_common_version_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_protocol(spoken: int) -> None:
        if SPEAKER.get() == "n1":
            raise InvalidRequest("far ahead", code=Code.PROTOCOL_MISMATCH, protocols=[PROTOCOL + 1, PROTOCOL + 2])

    monkeypatch.setattr("aimem.service.mesh.refuse_protocol", refuse_protocol)
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await trio.sleep(SETTLING_S)
        [peer] = (await service.mesh_status(world.nodes["n0"], OPERATOR, MeshQuery())).peers
        assert (peer.state, peer.protocol) == ("unreachable", 0)
        assert peer.last_error.endswith("install a newer version on this node")
        assert mesh_of(world.nodes["n0"]).peers[0].failed.keys() == {"protocol"}
