"""A failing service is started again, with pauses, until it fails too often; corruption is never played down."""

from __future__ import annotations

import logging
import random

import pytest
import trio
from trio.testing import MockClock

from aimem.errors import Corrupt, Unavailable
from aimem.supervisor.children import Child, OnFailure, RestartBounds, TaskTally, pause_s, run_child


class Flaky:
    """Fails so often after it has started, then runs for ever."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures_left = failures
        self.error = error or Unavailable("no room")
        self.starts: list[float] = []

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.starts.append(trio.current_time())
        task_status.started()
        if self.failures_left:
            self.failures_left -= 1
            raise self.error
        await trio.sleep_forever()


async def start(flaky: Flaky, on_failure: OnFailure, for_s: float, bounds: RestartBounds | None = None) -> TaskTally:
    tally, child = TaskTally(), Child(name="flaky", run=flaky, on_failure=on_failure)
    with trio.move_on_after(for_s):
        await run_child(child, tally=tally, rng=random.Random(1), bounds=bounds)
    return tally


async def test_restartable_child_comes_back_after_growing_pauses(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    flaky = Flaky(4)
    tally = await start(flaky, OnFailure.RESTART, 100)
    pauses = [after - before for before, after in zip(flaky.starts, flaky.starts[1:], strict=False)]
    assert tally.restarts == (("flaky", 4),)
    assert pauses == sorted(pauses) and pauses[0] >= 0.25 and pauses[-1] <= 4
    assert [record.getMessage() for record in caplog.records] == ["task.restarting"] * 4


async def test_child_that_fails_too_often_ends_the_node(autojump_clock: MockClock) -> None:
    flaky = Flaky(99)
    with pytest.raises(Unavailable):
        await start(flaky, OnFailure.RESTART, 1000, RestartBounds(restarts_max=3))
    assert len(flaky.starts) == 4


async def test_failures_long_ago_do_not_count(autojump_clock: MockClock) -> None:
    class Slow(Flaky):
        async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            self.starts.append(trio.current_time())
            await trio.sleep(200)
            raise self.error

    slow = Slow(0)
    await start(slow, OnFailure.RESTART, 5000, RestartBounds(restarts_max=2, window_s=300))
    assert len(slow.starts) > 20


@pytest.mark.parametrize(("on_failure", "error"), [
    (OnFailure.END_NODE, Unavailable("no room")), (OnFailure.RESTART, Corrupt("torn page")),
    (OnFailure.RESTART, ExceptionGroup("", [Corrupt("torn page")])),
])
async def test_critical_child_and_corruption_end_the_node_at_once(on_failure: OnFailure, error: Exception) -> None:
    flaky = Flaky(1, error)
    with pytest.raises(type(error)):
        await start(flaky, on_failure, 1)
    assert len(flaky.starts) == 1


async def test_child_that_cannot_start_is_not_started_again() -> None:
    starts = []

    async def broken(*, task_status: trio.TaskStatus[None]) -> None:
        starts.append(1)
        raise Unavailable("no such file")

    with pytest.raises(Unavailable, match="no such file"):
        await run_child(
            Child(name="broken", run=broken, on_failure=OnFailure.RESTART), tally=TaskTally(), rng=random.Random(1)
        )
    assert starts == [1]


def test_pauses_stay_below_their_ceiling() -> None:
    rng = random.Random(1)
    assert all(0.25 <= pause_s(1, rng, first_s=0.5, longest_s=30) <= 0.5 for _ in range(100))
    assert all(15 <= pause_s(50, rng, first_s=0.5, longest_s=30) <= 30 for _ in range(100))


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
