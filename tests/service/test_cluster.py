"""To which mesh nodes belong: how they come to one id, and that two meshes never mix."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.errors import Code
from aimem.replication import MeshSettings, Standing
from aimem.store import digest
from aimem.wire import PROTOCOL, ExchangeRequest, MeshQuery
from tests.meshes import OPERATOR, World, join, open_world, wait_settled
from tests.proofs import exchanged
from tests.service.steps import put, refused
from tests.service.test_mesh import mesh_of
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")

SETTLING_S = 10.0


def listing(*names: str, writes: int = 1) -> MeshSettings:
    return MeshSettings(peers=tuple(f"http://{name}" for name in names), writes=writes, interval_s=1.0)


def clusters(world: World, *names: str) -> set[str]:
    return {world.nodes[name].store.cluster for name in names or world.nodes}


@asynccontextmanager
async def open_two_meshes(folder: Path) -> AsyncIterator[World]:
    """Two meshes of two nodes, each with its id: n0 and n1, n2 and n3."""
    async with open_world(folder, 0, writes=1) as world:
        for name, other in (("n0", "n1"), ("n1", "n0"), ("n2", "n3"), ("n3", "n2")):
            await world.start(name, listing(other))
        await trio.sleep(SETTLING_S)
        assert len(clusters(world, "n0", "n1")) == len(clusters(world, "n2", "n3")) == 1
        assert "" not in clusters(world)
        assert len(clusters(world)) == 2
        yield world


async def test_nodes_that_meet_come_to_one_id_and_keep_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await trio.sleep(SETTLING_S)
        (cluster,) = clusters(world)
        assert len(cluster) == 32
        settings = mesh_of(world.nodes["n1"]).settings
        await world.stop("n1")
        await world.start("n1", settings)
        assert clusters(world) == {cluster}
        document = await service.mesh_status(world.nodes["n0"], OPERATOR, MeshQuery())
        assert (document.cluster, {peer.cluster for peer in document.peers}) == (cluster, {cluster})
        assert {peer.protocol for peer in document.peers} == {PROTOCOL}
        assert (await service.health(world.nodes["n0"])).cluster == cluster


async def test_while_a_member_is_away_or_the_lists_differ_no_id_is_made(tmp_path: Path) -> None:
    async with open_world(tmp_path, 0, writes=1) as world:
        await world.start("n0", listing("n1", "n2"))
        await world.start("n1", listing("n0", "n2"))
        await trio.sleep(SETTLING_S)
        assert clusters(world) == {""}
        await world.start("n2", listing("n0"))
        await trio.sleep(SETTLING_S)
        assert clusters(world) == {""}
        await join(world, "n2", listing("n0", "n1"))
        await trio.sleep(SETTLING_S)
        assert len(clusters(world) - {""}) == 1 == len(clusters(world))


async def test_a_node_without_an_id_takes_that_of_the_mesh_that_it_joins(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await trio.sleep(SETTLING_S)
        (cluster,) = clusters(world)
        await world.start("n9", listing("n0", "n1"))
        await trio.sleep(SETTLING_S)
        assert clusters(world) == {cluster}
        await world.nodes["n9"].store.forget_cluster()
        await trio.sleep(SETTLING_S)
        assert clusters(world) == {cluster}


async def test_nodes_of_two_meshes_take_nothing_from_each_other_and_say_so(tmp_path: Path) -> None:
    async with open_two_meshes(tmp_path) as world:
        await put(world.nodes["n0"], "t", "text")
        await put(world.nodes["n2"], "u", "other")
        await join(world, "n1", listing("n0", "n2"))
        await trio.sleep(SETTLING_S)
        n1, n2 = world.nodes["n1"], world.nodes["n2"]
        assert n2.store.stream not in n1.store.log.vector
        assert n1.store.stream not in n2.store.log.vector
        assert mesh_of(n1).peers[1].state.standing is Standing.OTHER_CLUSTER
        document = await service.mesh_status(n1, OPERATOR, MeshQuery())
        assert [peer.state for peer in document.peers] == ["reachable", "other_cluster"]
        assert document.peers[1].last_error.startswith(f"another mesh: it belongs to {n2.store.cluster[:8]}")
        assert "http://n2 belongs to another mesh" in " ".join(document.alarms)
        assert "another mesh" in " ".join((await service.health(n1)).warnings)
        there = await service.mesh_status(n2, OPERATOR, MeshQuery())
        assert "node 'n1' of another mesh" in " ".join(there.alarms)
        samples = (await service.status(n2, OPERATOR)).samples
        assert all(one.value > 1 for one in samples if one.name == "ai_memory_mesh_other_cluster")


async def test_a_node_of_another_mesh_counts_for_no_write(tmp_path: Path) -> None:
    async with open_two_meshes(tmp_path) as world:
        await join(world, "n1", listing("n0", "n2", writes=3))
        await trio.sleep(SETTLING_S)
        n1 = world.nodes["n1"]
        assert mesh_of(n1).reachable_count() == 2
        await refused(Code.QUORUM_NOT_MET, put(n1, "t", "text"))


async def test_an_exchange_of_another_mesh_is_refused_before_anything_of_it_counts(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        await trio.sleep(SETTLING_S)
        node, author = world.nodes["n0"], Author(5)
        before = dict(node.store.log.vector)
        request = ExchangeRequest(protocol=PROTOCOL, node=author.name, stream=author.stream, cluster="0" * 32)
        error = await refused(Code.OTHER_CLUSTER, exchanged(node, author, request))
        assert error.details["cluster"] == node.store.cluster
        nonsense = ExchangeRequest(protocol=PROTOCOL, node=author.name, stream=author.stream, cluster="x")
        await refused(Code.SCHEMA_MISMATCH, exchanged(node, author, nonsense))
        assert dict(node.store.log.vector) == before


async def test_who_is_no_peer_says_nothing_about_the_id(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        node, author = world.nodes["n0"], Author(5)
        for said in ({"cluster": "0" * 32}, {"proposed": "0" * 32}):
            await exchanged(node, author, ExchangeRequest(
                protocol=PROTOCOL, node=author.name, stream=author.stream, **said,  # type: ignore[arg-type]
            ))
        assert (node.store.cluster, node.store.belonging.proposed) == ("", "")


async def test_the_database_of_another_meshs_node_is_refused_by_all_of_this_one(tmp_path: Path) -> None:
    """Somebody restores the backup of a node of another mesh in the place of a node of this one."""
    async with open_two_meshes(tmp_path) as world:
        await put(world.nodes["n2"], "u", "of the other mesh")
        before = await world.nodes["n0"].store.read(digest)
        for name in ("n1", "n2", "n3"):
            await world.stop(name)
        for suffix in ("", ".node"):
            shutil.copy(tmp_path / f"n2.db{suffix}", tmp_path / f"n1.db{suffix}")
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"n1.db{suffix}").unlink(missing_ok=True)
        await world.start("n1", listing("n0", writes=2))
        await trio.sleep(SETTLING_S)
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        assert await n0.store.read(digest) == before
        assert {mesh_of(node).peers[0].state.standing for node in (n0, n1)} == {Standing.OTHER_CLUSTER}
        await refused(Code.QUORUM_NOT_MET, put(n1, "t", "text"))


async def test_the_database_of_another_node_of_this_mesh_loses_nothing_and_takes_no_name(tmp_path: Path) -> None:
    """Somebody restores the backup of n1 in the place of n0, whose key is still there."""
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        await put(world.nodes["n0"], "t", "text")
        await put(world.nodes["n1"], "u", "other")
        await wait_settled(world)
        await trio.sleep(SETTLING_S)
        (cluster,), settings = clusters(world), mesh_of(world.nodes["n0"]).settings
        old = {name: node.store.stream for name, node in world.nodes.items()}
        await world.stop("n0")
        await world.stop("n1")
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"n0.db{suffix}").unlink(missing_ok=True)
        shutil.copy(tmp_path / "n1.db", tmp_path / "n0.db")
        await world.start("n0", settings)
        await world.start("n1", MeshSettings(peers=("http://n0", "http://n2"), writes=2, interval_s=1))
        await trio.sleep(SETTLING_S)
        n0 = world.nodes["n0"]
        assert n0.store.node_name == "n0"
        assert world.nodes["n1"].store.stream == old["n1"] != n0.store.stream
        await put(n0, "v", "new")
        await wait_settled(world)
        assert clusters(world) == {cluster}
        assert len({await node.store.read(digest) for node in world.nodes.values()}) == 1
        alarms = (await service.mesh_status(n0, OPERATOR, MeshQuery())).alarms
        assert alarms == ()
