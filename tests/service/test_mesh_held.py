"""Ops of a version that no node has yet: one member's stop nobody else's writes, logs or snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.replication import known_to_all
from aimem.store import heldops, trimming
from aimem.wire import PROTOCOL, ExchangeRequest, MeshQuery, op_out
from tests.meshes import OPERATOR, World, join, open_world
from tests.proofs import exchanged
from tests.service.steps import put
from tests.service.test_mesh import digests, mesh_of, settled
from tests.store.test_heldops import dream
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")


async def handed_over(world: World, name: str, newer: Author) -> None:
    """Have a node take all ops of an author."""
    request = ExchangeRequest(
        protocol=PROTOCOL, node="x", stream=newer.stream, ops=tuple(map(op_out, newer.ops)), wants=0,
    )
    await exchanged(world.nodes[name], newer, request)


async def test_a_stream_that_a_node_can_hold_no_more_of_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = Author(5)
    for key in "abcdef":
        dream(newer, key)
    async with open_world(tmp_path, 3, writes=3, interval_s=1) as world:
        await settled(world)
        world.isolate("n0")
        await handed_over(world, "n0", newer)
        monkeypatch.setattr(heldops, "HELD_MAX_COUNT", 0)
        world.heal()
        await trio.sleep(10)
        for number in range(3):
            await put(world.nodes["n0"], f"t{number}", "text")      # all three acknowledge
            await put(world.nodes["n1"], f"u{number}", "text")
        await trio.sleep(10)
        n0, n1 = mesh_of(world.nodes["n0"]), mesh_of(world.nodes["n1"])
        assert (n1.store.log.vector[newer.stream], n1.store.log.full) == (1, frozenset({newer.stream}))
        assert n0.store.log.vector[newer.stream] == 7
        assert known_to_all(n0)[newer.stream] == 7      # nobody waits for it
        assert [peer.state.failures for mesh in (n0, n1) for peer in mesh.peers] == [0, 0, 0, 0]
        alarms = (await service.mesh_status(world.nodes["n1"], OPERATOR, MeshQuery())).alarms
        assert any(newer.stream in alarm for alarm in alarms)
        assert n1.counts.stopped["full"] > 0
        assert len(await digests(world)) == 1


async def test_a_version_that_can_take_more_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = Author(5)
    dream(newer)
    async with open_world(tmp_path, 2, writes=2, interval_s=1) as world:
        await settled(world)
        settings = mesh_of(world.nodes["n1"]).settings
        with monkeypatch.context() as small:
            small.setattr(heldops, "HELD_MAX_COUNT", 0)
            world.isolate("n0")
            small.setattr(heldops, "HELD_MAX_COUNT", 10)
            await handed_over(world, "n0", newer)
            small.setattr(heldops, "HELD_MAX_COUNT", 0)
            world.heal()
            await trio.sleep(10)
            assert newer.stream in world.nodes["n1"].store.log.full
        await world.stop("n1")
        await world.start("n1", settings)
        await settled(world)
        assert world.nodes["n1"].store.log.vector[newer.stream] == 2


async def test_a_log_with_held_ops_in_it_is_trimmed(tmp_path: Path) -> None:
    newer = Author(5)
    dream(newer)
    async with open_world(tmp_path, 2, writes=2, interval_s=1) as world:
        log = trimming.LogBounds(kept_count=0)
        for name in ("n0", "n1"):
            settings = mesh_of(world.nodes[name]).settings
            await join(world, name, type(settings)(peers=settings.peers, writes=2, interval_s=1, log=log))
        await handed_over(world, "n0", newer)
        await put(world.nodes["n0"], "t", "text")
        await trio.sleep(200)
        for node in world.nodes.values():
            assert (await node.store.read(trimming.log_size)).count == 0
            assert (await node.store.held(10)).count == 1
