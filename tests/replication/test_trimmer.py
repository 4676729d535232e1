"""The task that cuts the log: of a node without peers, and while a peer is away."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem.errors import Code, Unavailable
from aimem.replication import MeshSettings
from aimem.replication.catchup import TRIM_INTERVAL_S
from aimem.service import Node
from aimem.store import digest, oplog, trimming
from aimem.store.trimming import LogBounds
from tests.meshes import World, open_world, wait_settled
from tests.service.steps import put

pytestmark = pytest.mark.usefixtures("autojump_clock")


async def fill(node: Node, count: int, size: int = 1000) -> None:
    for number in range(count):
        await put(node, f"t{number} {trio.current_time()}", "x" * size)


async def test_the_log_of_a_node_without_peers_is_cut(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, tmp_path)
        node = await world.start("n0", MeshSettings(peers=(), log=LogBounds(kept_count=5)))
        await fill(node, 20)
        assert await node.store.read(oplog.count) == 21
        await trio.sleep(TRIM_INTERVAL_S + 1)
        assert await node.store.read(oplog.count) == 5
        nursery.cancel_scope.cancel()


async def test_a_disk_without_room_ends_nobody_and_the_log_is_cut_once_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[object]()

    def no_room(*told: object) -> trimming.LogSize:
        tried.append(told)
        raise Unavailable("the disk is full", code=Code.STORAGE_FULL)

    async with trio.open_nursery() as nursery:
        world = World(nursery, tmp_path)
        node = await world.start("n0", MeshSettings(peers=(), log=LogBounds(kept_count=5)))
        await fill(node, 20)
        with monkeypatch.context() as patch:
            patch.setattr(trimming, "trim", no_room)
            await trio.sleep(20 * TRIM_INTERVAL_S)
        assert len(tried) > 10
        await trio.sleep(TRIM_INTERVAL_S + 1)
        assert await node.store.read(oplog.count) == 5
        nursery.cancel_scope.cancel()


async def test_the_log_keeps_its_bound_while_a_peer_is_away_and_that_peer_joins_the_state(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2) as world:
        await wait_settled(world)
        world.isolate("n2")
        log = LogBounds(kept_count=5, kept_bytes=5_000, most_bytes=50_000)
        for name in ("n0", "n1"):
            mesh = world.nodes[name].mesh
            assert mesh is not None
            mesh.settings = MeshSettings(peers=mesh.settings.peers, writes=2, log=log)
        await fill(world.nodes["n0"], 100)
        await trio.sleep(3 * TRIM_INTERVAL_S)
        for name in ("n0", "n1"):
            size = await world.nodes[name].store.read(trimming.log_size)
            assert 30_000 < size.bytes <= 50_000, "all that the bound lets it keep for the peer, and no more"
        world.heal()
        await trio.sleep(60)
        await wait_settled(world)
        assert len({await node.store.read(digest) for node in world.nodes.values()}) == 1
        await trio.sleep(2 * TRIM_INTERVAL_S)
        assert (await world.nodes["n0"].store.read(trimming.log_size)).bytes <= 7_000    # all have it: see `fitted`
