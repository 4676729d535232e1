"""The estimate of how long a write waits."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from aimem.store.pace import Pace
from tests.nodes import InlineThreads, open_store

GROUP_S = 2.0


class SlowWriter(InlineThreads):
    """Every group takes two seconds of the test's clock."""

    async def run(self, fn, *, limiter):  # type: ignore[no-untyped-def]
        await trio.sleep(GROUP_S)
        return await super().run(fn, limiter=limiter)


def test_the_cost_of_a_commit_is_shared_by_its_group() -> None:
    pace = Pace()
    pace.note(1, 0.001, 0.101)     # one job, and a disk that needs 100 ms
    assert pace.wait_s(200, 64) == pytest.approx(200 * 0.001 + 4 * 0.1)
    assert pace.wait_s(0, 64) == 0


def test_a_change_of_pace_shows_within_some_groups() -> None:
    pace = Pace()
    pace.note(10, 0.1, 0.2)
    for _ in range(20):
        pace.note(10, 1.0, 2.0)
    assert pace.job_s == pytest.approx(0.1, rel=0.02)
    assert pace.group_s == pytest.approx(1.0, rel=0.02)


async def test_the_estimate_is_what_the_writer_then_takes(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_store(tmp_path / "x.db", threads=SlowWriter(), group_count=2) as store:
        await store.write(lambda _: None)
        assert store.write_wait_s == 0
        async with trio.open_nursery() as callers:
            for _ in range(10):
                callers.start_soon(store.write, lambda _: None)
            await trio.testing.wait_all_tasks_blocked()
            began, estimate = trio.current_time(), store.write_wait_s
        assert store.waiting_count == 0
        assert trio.current_time() - began == pytest.approx(estimate, abs=GROUP_S)


async def test_a_group_that_hangs_counts_for_as_long_as_it_has_lasted(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(lambda _: None)
        gate = trio.Event()

        class Hanging(InlineThreads):
            async def run(self, fn, *, limiter):  # type: ignore[no-untyped-def]
                await gate.wait()
                return await super().run(fn, limiter=limiter)

        store._writer._threads = Hanging()
        async with trio.open_nursery() as callers:
            callers.start_soon(store.write, lambda _: None)
            await trio.sleep(20)
            assert store.write_wait_s == pytest.approx(20)
            gate.set()
        assert store.write_wait_s == 0
