"""Machines lose what machines lose: nothing that was acknowledged, and everything else now and then."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import apsw
import httpx
import msgspec
import pytest
import trio

from tests.sim.losses import Losses
from tests.sim.scheduler import run_seeded
from tests.sim.swarm import Fault, Swarm, roll
from tests.sim.trace import Trace
from tests.sim.world import World

ALONE = msgspec.structs.replace(
    roll(1, nodes=1), loss=0.0, breaks=0.0, lies=0.0, duplicates=0.0, leaves_late=0.0, commit_s=0.01, clock_drift=0.0,
    clock_offset_s=0.0, secured=False, faults=(Fault.POWER,),
)
Story = Callable[[World, httpx.AsyncClient, trio.Nursery], Awaitable[None]]


def tell(folder: Path, story: Story, swarm: Swarm = ALONE) -> None:
    """Run a story with one node, n0, that serves."""

    async def main() -> None:
        world = World(swarm, 10.0, folder, Trace())
        async with trio.open_nursery() as nursery:
            world.network.nursery = nursery
            await world.machines["n0"].start(nursery)
            async with httpx.AsyncClient(transport=world.network.transport("c0"), timeout=None) as http:
                await story(world, http, nursery)
            for machine in world.machines.values():
                if machine.process is not None:
                    machine.process.power.die()
            nursery.cancel_scope.cancel()
        assert not world.watcher.found

    run_seeded(swarm.seed, partial(main))


async def store(http: httpx.AsyncClient, title: str) -> int:
    body = msgspec.json.encode({"title": title, "content": f"about {title}"})
    headers = {"Content-Type": "application/json"}
    return (await http.post("http://n0/api/v1/memories", content=body, headers=headers)).status_code


async def titles(http: httpx.AsyncClient) -> set[str]:
    answer = (await http.get("http://n0/api/v1/memories", params={"limit": "200"})).json()
    return {memory["title"] for memory in answer["memories"]}


def test_a_killed_process_leaves_what_it_committed(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        machine = world.machines["n0"]
        assert await store(http, "one") == 201
        await machine.kill()
        assert machine.running is None
        await machine.start(nursery)
        assert await titles(http) == {"one"}

    tell(tmp_path, story)


def test_what_was_acknowledged_outlives_the_power(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        machine, stored = world.machines["n0"], set()

        async def write(life: int) -> None:
            for number in range(100):
                title = f"life {life} number {number}"
                try:
                    if await store(http, title) == 201:
                        stored.add(title)
                except httpx.TransportError:
                    return

        for life in range(6):
            async with trio.open_nursery() as writers:
                for _ in range(3):
                    writers.start_soon(write, life)
                await trio.sleep(0.1 + 0.037 * life)
                await machine.cut_power()
                writers.cancel_scope.cancel()
            await machine.start(nursery)
            assert stored <= await titles(http)
        assert len(stored) > 6

    tell(tmp_path, story)


def test_a_sync_that_fails_ends_the_process_and_costs_nothing(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        machine = world.machines["n0"]
        assert await store(http, "one") == 201
        process = machine.process
        assert process is not None
        assert process.disk is not None

        def fail(_: str) -> None:
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)

        process.disk.on_sync = fail
        with trio.move_on_after(5):
            assert await store(http, "two") != 201
        await process.ended.wait()
        assert process.failure is not None
        await machine.recover()
        await machine.start(nursery)
        assert "one" in await titles(http)

    tell(tmp_path, story)


def test_a_row_that_is_lost_behind_the_store_spends_no_fault_of_its_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Losses, "may_lose", lambda _: True)

    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        process, rng = world.machines["n0"].process, random.Random(1)
        assert await store(http, "one") == 201
        assert process is not None
        assert process.disk is not None
        process.disk.writes_until_full = 0
        await world.nemesis.sync_error(rng)
        await world.losses.rot(rng)
        assert await titles(http) == set()
        assert process.disk.writes_until_full == 0
        assert not world.nemesis.unsynced
        process.disk.writes_until_full = None
        with trio.move_on_after(5):
            assert await store(http, "two") != 201
        await process.ended.wait()
        assert [one.process for one in world.nemesis.unsynced] == [process]

    tell(tmp_path, story)


def test_a_clock_may_be_set_and_a_stopped_process_does_nothing(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        machine = world.machines["n0"]
        before = machine.clock.now()
        machine.clock.step(-100)
        assert machine.clock.now() < before
        machine.clock.set_right(1.0)
        assert abs(machine.clock.offset_s) <= 1.0
        assert machine.process is not None
        machine.process.power.pause()
        with trio.move_on_after(5) as scope:
            await store(http, "one")
        assert scope.cancelled_caught
        machine.process.power.resume()
        assert await store(http, "two") == 201

    tell(tmp_path, story)
