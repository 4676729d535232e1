"""A run is decided by its seed, and takes no time."""

from __future__ import annotations

import trio

from tests.sim.scheduler import run_seeded


async def order() -> str:
    ran: list[str] = []

    async def walk(name: str) -> None:
        for _ in range(5):
            ran.append(name)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for name in "abcdef":
            nursery.start_soon(walk, name)
    return "".join(ran)


def test_the_seed_alone_decides_who_runs_first() -> None:
    # Two private names of Trio: if they come to mean something else, this says so.
    assert run_seeded(1, order) == run_seeded(1, order)
    assert len({run_seeded(seed, order) for seed in range(5)}) == 5


def test_time_leaps_when_all_wait() -> None:
    async def wait() -> float:
        await trio.sleep(86_400)
        return trio.current_time()

    assert run_seeded(1, wait) == 86_400
