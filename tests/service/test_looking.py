"""Who answers at an address, before it is made a peer's."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code
from aimem.model import Credential, Principal, Role
from aimem.replication import MeshSettings
from aimem.service import Node
from aimem.wire import reloading
from tests.meshes import OPERATOR, open_world
from tests.nodes import principal
from tests.service.steps import refused
from tests.service.test_cluster import open_two_meshes
from tests.service.test_mesh import mesh_of, settled

pytestmark = pytest.mark.usefixtures("autojump_clock")


async def look(node: Node, name: str) -> reloading.LookedAt:
    return await service.look_at(node, OPERATOR, reloading.LookRequest(url=f"http://{name}/"))


async def test_whoever_answers_is_told_apart_and_neither_remembers_the_other(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0 = world.nodes["n0"]
        await settled(world)
        fresh = await world.start("fresh", MeshSettings(writes=1))
        found = await look(n0, "fresh")
        assert (found.verdict, found.url, found.stream, found.cluster) == (
            "new", "http://fresh", fresh.store.stream, "",
        )
        assert [(await look(n0, name)).verdict for name in ("n0", "n1", "gone")] == ["self", "peer", "none"]
        assert "cut" in (await look(n0, "gone")).reason
        world.hung.add("fresh")
        assert (await look(n0, "fresh")).reason == "timeout"
        world.heal()
        world.garbled.add("fresh")
        assert (await look(n0, "fresh")).reason.startswith("nonsense: ")
        assert (n0.trust.pin_of("fresh"), fresh.trust.pin_of("n0")) == (None, None)
        assert n0.trust.pin_of("n1") is not None


async def test_a_node_of_the_same_mesh_is_told_from_one_of_another(tmp_path: Path) -> None:
    async with open_two_meshes(tmp_path) as world:
        n0, n2 = world.nodes["n0"], world.nodes["n2"]
        found = await look(n0, "n2")
        assert (found.verdict, found.cluster, found.node) == ("other_cluster", n2.store.cluster, "")
        mesh = mesh_of(n0)
        mesh.replace_members(replace(mesh.settings, peers=()))
        found = await look(n0, "n1")
        assert (found.verdict, found.cluster) == ("member", n0.store.cluster)


async def test_only_an_operator_has_addresses_looked_at_and_only_addresses(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        n0 = world.nodes["n0"]
        agent = Principal(agent_id=principal("a").agent_id, credential=Credential.AGENT_KEY, role=Role.AGENT)
        asked = reloading.LookRequest(url="http://n0")
        await refused(Code.OPERATOR_REQUIRED, service.look_at(n0, agent, asked))
        await refused(Code.CONFIG_INVALID, service.look_at(n0, OPERATOR, reloading.LookRequest(url="foo")))
