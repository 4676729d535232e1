"""Peers and W that change while a node runs: who is asked, who counts, and what becomes of what was under way."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from msgspec import UNSET
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code
from aimem.replication import Agreement, MeshSettings, Standing, known_to_all
from aimem.service import Node
from aimem.wire import MeshQuery
from tests.meshes import OPERATOR, World, open_world
from tests.pendings import queue_pending
from tests.service.steps import ALICE, put, refused
from tests.service.test_lending import Model, all_embedded, with_models
from tests.service.test_mesh import digests, mesh_of, settled

pytestmark = pytest.mark.usefixtures("autojump_clock")


def tell(node: Node, *names: str, writes: int = 1) -> None:
    """Tell a running node of its peers."""
    mesh = mesh_of(node)
    mesh.replace_members(replace(mesh.settings, peers=tuple(f"http://{name}" for name in names), writes=writes))


def tell_all(world: World, *members: str, writes: int = 1) -> None:
    """Tell all members of one another."""
    for name in members:
        tell(world.nodes[name], *(other for other in members if other != name), writes=writes)


async def test_a_node_alone_becomes_one_of_two_and_is_alone_again(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        n0 = world.nodes["n0"]
        alone = await put(n0, "before", "text")
        assert alone.quorum_acks is UNSET
        n1 = await world.start("n1", MeshSettings(writes=1))
        await put(n1, "of the other", "text")
        tell_all(world, "n0", "n1", writes=2)
        assert (await put(n0, "together", "text")).quorum_acks == 2
        await settled(world)
        assert len(await digests(world)) == 1
        assert mesh_of(n0).agreement is Agreement.AGREED
        assert (await service.health(n0)).federation_enabled
        tell(n0)
        tell(n1)
        await put(n0, "apart", "text")
        await trio.sleep(60)
        assert n1.store.log.vector != n0.store.log.vector
        health = await service.health(n0)
        assert (health.federation_enabled, health.mesh_access, health.ready) == (False, "", True)


async def test_a_node_that_is_told_of_starts_empty_and_becomes_complete_while_others_write(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2) as world:
        async with trio.open_nursery() as nursery:

            async def write(name: str) -> None:
                for number in range(40):
                    await put(world.nodes[name], f"{name} {number}", "text")
                    await trio.sleep(0.1)

            for name in list(world.nodes):
                nursery.start_soon(write, name)
            await trio.sleep(1)
            await world.start("n3", MeshSettings(peers=("http://n0", "http://n1", "http://n2"), writes=3))
            for name in ("n0", "n1", "n2"):
                others = [other for other in world.nodes if other != name]
                tell(world.nodes[name], *others, writes=3)
                await trio.sleep(0.5)
        await settled(world)
        assert len(await digests(world)) == 1
        assert {mesh_of(node).agreement for node in world.nodes.values()} == {Agreement.AGREED}
        assert (await put(world.nodes["n3"], "by the new one", "text")).quorum_acks in (3, 4)


async def test_whoever_is_no_peer_any_more_is_not_asked_and_is_told_to_nobody(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await trio.sleep(3)
        tell_all(world, "n0", "n1")
        tell(world.nodes["n2"])
        await trio.sleep(0.1)
        stored = await put(world.nodes["n0"], "not for all", "text")
        await trio.sleep(60)
        assert stored.version is not None
        assert world.nodes["n2"].store.log.vector.get(world.nodes["n0"].store.stream) == 1
        document = await service.mesh_status(world.nodes["n0"], OPERATOR, MeshQuery())
        assert [peer.url for peer in document.peers] == ["http://n1"]
        assert (document.members, document.agreement) == (2, "agreed")
        labels = {label for sample in (await service.status(world.nodes["n0"], OPERATOR)).samples
                  for label in sample.labels if label[0] == "peer"}
        assert labels == {("peer", "http://n1")}


async def test_a_write_that_waits_keeps_its_w_and_counts_no_removed_peer(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=3) as world:
        n0 = world.nodes["n0"]
        await put(n0, "met", "text")
        world.hung.add("n2")
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                error = await refused(Code.QUORUM_NOT_MET, put(n0, "waits", "text"))
                assert (error.details["outcome"], error.details["got"], error.details["needed"]) == (
                    "indeterminate", 1, 3
                )
                assert list(error.details["waiting_for"]) == ["http://n2"]

            nursery.start_soon(write)
            await trio.sleep(1)
            assert mesh_of(n0).peers[0].state.acked == n0.store.log.vector
            tell(n0, "n2", writes=1)
            assert (await put(n0, "meanwhile", "text")).quorum_acks == 1


async def test_a_peer_that_comes_counts_for_the_writes_that_wait(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, timeout_s=20) as world:
        n0 = world.nodes["n0"]
        tell_all(world, "n0", "n1", writes=2)
        await put(n0, "met", "text")
        world.hung.add("n1")
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                assert (await put(n0, "waits", "text")).quorum_acks == 2

            nursery.start_soon(write)
            await trio.sleep(1)
            began = trio.current_time()
            tell_all(world, "n0", "n1", "n2", writes=2)
        assert trio.current_time() - began < 1


async def test_a_removed_peer_no_longer_holds_the_log_or_the_others_ops_back(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        n0 = world.nodes["n0"]
        await trio.sleep(2)
        world.isolate("n2")
        await put(n0, "unknown to n2", "text")
        await trio.sleep(2)
        own = n0.store.stream
        assert known_to_all(mesh_of(n0))[own] < n0.store.log.vector[own]
        mesh_of(n0).draining = mesh_of(n0).peers[1]
        tell(n0, "n1")
        assert known_to_all(mesh_of(n0))[own] == n0.store.log.vector[own]
        assert mesh_of(n0).draining is None
        await put(world.nodes["n1"], "taken", "text")
        await trio.sleep(3)
        assert n0.store.log.vector == world.nodes["n1"].store.log.vector


async def test_a_peer_that_was_removed_while_it_was_asked_is_not_drained_for_ever(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        mesh = mesh_of(world.nodes["n0"])
        await trio.sleep(1)
        gone = mesh.peers[0]
        tell(world.nodes["n0"])
        gone.state = replace(gone.state, has_more=True)
        mesh.note_reported(gone)
        assert mesh.draining is None


async def test_a_peer_that_comes_back_is_met_anew(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0 = world.nodes["n0"]
        await trio.sleep(1)
        before = mesh_of(n0).peers[0]
        for names in ((), ("n1",)):
            tell(n0, *names)    # at one moment: no task has looked between
        after = mesh_of(n0).peers[0]
        assert after is not before
        assert after.state.answered_at is None
        assert (await put(n0, "again", "text")).quorum_acks == 1
        await settled(world)
        assert after.state.answered_at is not None


async def test_who_knows_more_of_this_stream_is_remembered_although_it_is_removed(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        mesh = mesh_of(world.nodes["n0"])
        await trio.sleep(1)
        peer = mesh.peers[0]
        peer.state = replace(peer.state, standing=Standing.FORKED)
        tell(world.nodes["n0"])
        assert mesh.is_forked
        await trio.sleep(1)
        assert (mesh.is_forked, mesh.renewal.count) == (False, 1)
        # Alone it waits for nobody; what the peers of another day know it still has to learn from them.
        assert (mesh.is_ready, mesh.store.lacks_past) == (True, True)
        tell(world.nodes["n0"], "n1")
        assert not mesh.is_ready
        await trio.sleep(10)
        assert (mesh.is_ready, mesh.store.lacks_past) == (True, False)


async def test_what_a_removed_node_queued_is_nobodys_any_more(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        pending_id = await queue_pending(world.nodes["n0"], "Asked for", key="k")
        await settled(world)
        assert not (await service.get_pending(world.nodes["n2"], ALICE, pending_id)).orphaned
        tell_all(world, "n1", "n2")
        await trio.sleep(5)
        assert (await service.get_pending(world.nodes["n2"], ALICE, pending_id)).orphaned


async def test_vectors_that_were_awaited_of_a_removed_peer_are_made_here(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        models: dict[str, Model] = await with_models(world)
        models["n0"].is_away = True
        await put(world.nodes["n0"], None, "alpha")
        await trio.sleep(5)
        assert models["n1"].read == []
        tell(world.nodes["n1"])
        world.nodes.pop("n0")
        assert await all_embedded(world) < 5
        assert models["n1"].read == ["alpha"]


async def test_the_comparison_goes_round_among_those_who_are_peers(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        mesh = mesh_of(world.nodes["n0"])
        mesh.replace_members(replace(mesh.settings, compare_s=None))
        await trio.sleep(10)
        assert [peer.compared_at for peer in mesh.peers] == [None, None]
        mesh.replace_members(replace(mesh.settings, compare_s=10, peers=("http://n2",)))
        await trio.sleep(100)
        assert [peer.compared_at is not None for peer in mesh.peers] == [True]
        tell(world.nodes["n0"], "n2", "n1")
        await trio.sleep(100)
        assert [peer.compared_at is not None for peer in mesh.peers] == [True, True]


async def test_a_peer_may_be_taken_out_at_any_moment_of_a_look_at_the_mesh(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0 = world.nodes["n0"]
        await settled(world)
        for moment in range(12):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(service.mesh_status, n0, OPERATOR, MeshQuery(digest=True))
                for _ in range(moment):
                    await trio.lowlevel.checkpoint()
                tell(n0)
            tell(n0, "n1")
