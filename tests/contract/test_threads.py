"""Where blocking calls run: production's worker threads, and the makers that simulations use."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest
import trio
from msgspec import Struct

from aimem.ports import Threads, delayed_threads, trio_threads
from tests.nodes import InlineThreads
from tests.sim.ports import Power, SimThreads


class Maker(Struct, frozen=True):
    """A maker, and how a function that it runs reaches the loop."""

    make: Callable[[], Threads]
    call_on_loop: Callable[[Callable[[], None]], None]


MAKERS = {
    "inline": Maker(InlineThreads, lambda fn: fn()),
    "simulated": Maker(lambda: SimThreads(Power(), random.Random(1), 0.0001, lambda: None), lambda fn: fn()),
    "slow": Maker(lambda: delayed_threads(0.001), trio.from_thread.run_sync),
    "trio": Maker(trio_threads, trio.from_thread.run_sync),
}


@pytest.fixture(params=sorted(MAKERS))
def maker(request: pytest.FixtureRequest) -> Maker:
    return MAKERS[request.param]


@pytest.fixture
def threads(maker: Maker) -> Threads:
    return maker.make()


def refuse() -> None:
    raise LookupError("no")


async def test_a_result_or_an_error_comes_back(threads: Threads) -> None:
    limiter = trio.CapacityLimiter(1)
    assert await threads.run(lambda: 42, limiter=limiter) == 42
    with pytest.raises(LookupError):
        await threads.run(refuse, limiter=limiter)
    assert limiter.borrowed_tokens == 0


async def test_what_is_cancelled_before_it_begins_never_runs(threads: Threads) -> None:
    ran: list[int] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await threads.run(lambda: ran.append(1), limiter=trio.CapacityLimiter(1))
    assert scope.cancelled_caught
    assert not ran


async def test_what_is_cancelled_while_it_runs_ends_and_its_result_is_known(maker: Maker) -> None:
    result = None
    with trio.CancelScope() as scope:

        def work() -> int:
            maker.call_on_loop(scope.cancel)
            return 42

        result = await maker.make().run(work, limiter=trio.CapacityLimiter(1))
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert result == 42


async def test_no_more_run_at_once_than_the_limiter_allows(threads: Threads) -> None:
    guard, limiter, most = threading.Semaphore(2), trio.CapacityLimiter(2), True

    def work() -> None:
        nonlocal most
        is_free = guard.acquire(blocking=False)
        most = most and is_free
        if is_free:
            guard.release()

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(lambda: threads.run(work, limiter=limiter))
    assert most
    assert limiter.borrowed_tokens == 0


async def test_who_has_time_left_is_not_late(threads: Threads) -> None:
    limiter = trio.CapacityLimiter(1)
    assert not await threads.run(threads.is_late(), limiter=limiter)
    with trio.fail_after(60):
        assert not await threads.run(threads.is_late(), limiter=limiter)


@pytest.mark.parametrize("name", ["slow", "trio"])  # inline, no time passes while a function runs
async def test_whose_deadline_is_past_is_late(name: str) -> None:
    with trio.move_on_at(trio.current_time() - 1):
        is_late = MAKERS[name].make().is_late()
        await trio.lowlevel.checkpoint()
    assert is_late()
