"""A node that joins its mesh anew: it gets back what it lost, loses nothing of its own, and is not ready meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code, Denied, InvalidRequest
from aimem.model import Credential, Role
from aimem.replication.renewal import RENEWALS_MAX
from aimem.wire import reloading
from tests.meshes import OPERATOR, open_world
from tests.nodes import principal
from tests.service.steps import put, refused, shown
from tests.service.test_comparing import behind_the_back
from tests.service.test_mesh import digests, mesh_of, settled

pytestmark = pytest.mark.usefixtures("autojump_clock")

REJOIN = reloading.RejoinRequest()
LOOK = reloading.RejoinRequest(look=True)


async def test_what_a_node_lost_comes_back_and_what_it_alone_has_goes_to_the_others(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        n0 = world.nodes["n0"]
        kept = [await put(n0, f"kept {number}", "text") for number in range(5)]
        lost = await put(world.nodes["n1"], "lost", "text")
        await settled(world)
        await behind_the_back(n0, "DELETE FROM memories WHERE id = ?", lost.id)
        world.isolate("n0")
        lonely = await put(n0, "lonely", "text")
        old = n0.store.stream
        world.heal()
        answer = await service.rejoin(n0, OPERATOR, REJOIN)
        assert answer.ready and answer.stream != old and answer.known == sum(n0.store.log.vector.values())
        await trio.sleep(1)
        assert (n0.store.lacks_past, mesh_of(n0).renewal.is_rejoining, mesh_of(n0).renewal.count) == (False, False, 1)
        assert (await shown(n0, lost.id)).title == "lost"
        await put(n0, "after", "text")
        await settled(world)
        assert len(await digests(world)) == 1
        for node in world.nodes.values():
            for stored in (*kept, lonely):
                assert (await shown(node, stored.id)).id == stored.id
        assert not any(node.store.log.closed for node in world.nodes.values())


async def test_until_a_peer_has_handed_its_state_over_nothing_is_written_also_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await put(world.nodes["n1"], "known", "text")
        await settled(world)
        world.isolate("n0")
        settings = mesh_of(world.nodes["n0"]).settings
        answer = await service.rejoin(world.nodes["n0"], OPERATOR, REJOIN)
        assert (answer.ready, len(answer.failing)) == (False, 1)
        await refused(Code.CATCHING_UP, put(world.nodes["n0"], "too early", "text"))
        assert not (await service.health(world.nodes["n0"])).ready
        await world.stop("n0")
        n0 = await world.start("n0", settings)
        began = n0.store.stream
        assert not (await service.rejoin(n0, OPERATOR, LOOK)).ready
        assert not (await service.rejoin(n0, OPERATOR, REJOIN)).ready     # the one that is under way goes on
        await refused(Code.CATCHING_UP, put(n0, "too early", "text"))
        world.heal()
        await trio.sleep(10)
        assert (await service.rejoin(n0, OPERATOR, LOOK)).ready
        assert n0.store.stream == began
        await put(n0, "in time", "text")


async def test_the_id_of_the_mesh_is_learned_anew_if_that_is_asked_for(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await trio.sleep(10)
        n0 = world.nodes["n0"]
        own = n0.store.cluster
        assert own
        await n0.store.forget_cluster()
        await n0.store.learn_cluster("f" * 32)
        world.isolate("n0")
        await service.rejoin(n0, OPERATOR, reloading.RejoinRequest(forget_cluster=True))
        assert n0.store.cluster == ""
        world.heal()
        await trio.sleep(10)
        assert (n0.store.cluster, mesh_of(n0).is_ready) == (own, True)


async def test_it_needs_a_peer_an_operator_and_a_stream_that_may_be_begun(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n0 = world.nodes["n0"]
        agent = replace(principal("alice"), credential=Credential.AGENT_KEY, role=Role.AGENT)
        with pytest.raises(Denied):
            await service.rejoin(n0, agent, REJOIN)
        for _ in range(RENEWALS_MAX):
            assert (await service.rejoin(n0, OPERATOR, REJOIN)).ready
        await refused(Code.STREAM_FORKED, service.rejoin(n0, OPERATOR, REJOIN))
        assert mesh_of(n0).is_ready
        mesh_of(n0).replace_members(replace(mesh_of(n0).settings, peers=()))
        with pytest.raises(InvalidRequest, match="asks no peers"):
            await service.rejoin(n0, OPERATOR, REJOIN)
