"""A node of a mesh whose database is a backup again: nothing is lost, nothing deleted comes back, and nothing forks."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.errors import Code
from aimem.operations import Keeper
from aimem.ports import system_chance, system_files
from aimem.store import inbound
from aimem.wire.keeping import Trust
from tests.meshes import World, open_world
from tests.nodes import FakeClock
from tests.service.steps import ALICE, put, shown
from tests.service.test_mesh import digests, mesh_of, missing, settled

pytestmark = pytest.mark.usefixtures("autojump_clock")


def keeper_of(world: World, name: str) -> Keeper:
    return Keeper(world.folder / f"{name}.db", system_files(), FakeClock(), system_chance())


async def restore(world: World, name: str, folder: Path) -> None:
    """End a node, restore its newest backup, and start it."""
    settings = mesh_of(world.nodes[name]).settings
    await world.stop(name)
    keeper_of(world, name).restore(folder, Trust.MANIFEST)
    await world.start(name, settings)


async def test_a_restored_node_loses_nothing_and_brings_nothing_back(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        n0 = world.nodes["n0"]
        first = await put(n0, "first", "text")
        backed = keeper_of(world, "n0").back_up(tmp_path / "backups", 1)
        assert backed.memories == 1
        later = await put(n0, "later", "text")
        await service.delete(n0, ALICE, first.id)
        await settled(world)
        old = n0.store.stream
        await restore(world, "n0", tmp_path / "backups")
        n0 = world.nodes["n0"]
        assert n0.store.stream != old
        await settled(world)
        third = await put(n0, "third", "text")
        await settled(world)
        assert len(await digests(world)) == 1
        for node in world.nodes.values():
            assert {(await shown(node, one.id)).id for one in (later, third)} == {later.id, third.id}
            assert (await missing(lambda node=node: shown(node, first.id))).code is Code.NOT_FOUND  # type: ignore[misc]
            assert await node.store.read(inbound.closed_streams) == ()


async def test_a_restored_node_that_writes_alone_forks_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await put(world.nodes["n0"], "first", "text")
        keeper_of(world, "n0").back_up(tmp_path / "backups", 1)
        later = await put(world.nodes["n0"], "later", "text")
        await settled(world)
        world.isolate("n0")
        await restore(world, "n0", tmp_path / "backups")
        n0 = world.nodes["n0"]
        lonely = await put(n0, "lonely", "text")
        world.heal()
        await trio.sleep(20)
        await settled(world)
        assert len(await digests(world)) == 1
        for node in world.nodes.values():
            assert {(await shown(node, one.id)).id for one in (later, lonely)} == {later.id, lonely.id}
            assert await node.store.read(inbound.closed_streams) == ()
