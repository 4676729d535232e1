"""Signals set events."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from aimem.supervisor.control import Control
from aimem.supervisor.signals import run_hangups, run_signals


async def test_first_signal_stops_and_second_hurries() -> None:
    control = Control()
    stop, hurry = control.stop, control.hurry
    async with trio.open_nursery() as nursery:
        await nursery.start(run_signals, control)
        os.kill(os.getpid(), signal.SIGHUP)
        await wait_all_tasks_blocked(0.01)
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        assert not hurry.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        await hurry.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("run", [run_signals, run_hangups])
async def test_each_hangup_asks_for_a_reload(run: Callable[..., Awaitable[None]]) -> None:
    control = Control()
    async with trio.open_nursery() as nursery:
        await nursery.start(run, control)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            with trio.fail_after(5):
                await control.wait_reload()
        assert not control.stop.is_set()
        nursery.cancel_scope.cancel()
