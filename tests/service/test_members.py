"""What nodes notice of one another's lists of members, and of members that have a new stream."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.replication import Agreement, MeshSettings
from aimem.wire import MeshQuery
from tests.meshes import OPERATOR, join, open_world
from tests.service.test_mesh import mesh_of

pytestmark = pytest.mark.usefixtures("autojump_clock")


async def test_nodes_that_were_told_of_the_same_members_agree_once_all_have_met(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1) as world:
        await trio.sleep(5)
        meshes = [mesh_of(node) for node in world.nodes.values()]
        assert {mesh.agreement for mesh in meshes} == {Agreement.AGREED}
        assert len({mesh.members_hash for mesh in meshes}) == 1
        document = await service.mesh_status(world.nodes["n0"], OPERATOR, MeshQuery())
        assert (document.agreement, document.members_hash) == ("agreed", meshes[0].members_hash)
        assert {peer.members_hash for peer in document.peers} == {meshes[0].members_hash}


async def test_while_a_peer_never_answered_the_lists_are_unknown_and_not_unequal(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1) as world:
        world.isolate("n2")
        for name in world.nodes:
            await join(world, name, mesh_of(world.nodes[name]).settings)
        await trio.sleep(5)
        mesh = mesh_of(world.nodes["n0"])
        assert (mesh.agreement, mesh.members_agree, mesh.members_hash) == (Agreement.UNKNOWN, True, "")


async def test_unequal_lists_are_seen_on_both_sides_and_are_an_alarm(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await join(world, "n0", MeshSettings(peers=("http://n1",), interval_s=1))
        await trio.sleep(5)
        for name in ("n0", "n1"):
            mesh = mesh_of(world.nodes[name])
            assert (mesh.agreement, mesh.members_agree) == (Agreement.UNEQUAL, False)
            document = await service.mesh_status(world.nodes[name], OPERATOR, MeshQuery())
            other = "n0" if name == "n1" else "n1"
            said = f"not told of the same members as this one: {other} (http://{other})"
            assert said in " ".join(document.alarms)
            samples = (await service.status(world.nodes[name], OPERATOR)).samples
            assert [one.value for one in samples if one.name == "ai_memory_mesh_members_agree"] == [0]
        await join(world, "n0", MeshSettings(peers=("http://n1", "http://n2"), interval_s=1))
        await trio.sleep(5)
        assert {mesh_of(node).agreement for node in world.nodes.values()} == {Agreement.AGREED}
