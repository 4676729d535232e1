"""Signals set events; the service manager hears what happens."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from aimem.supervisor.control import Control
from aimem.supervisor.notify import Notifier
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


async def test_service_manager_hears_ready_beats_and_stop(tmp_path: Path, autojump_clock: MockClock) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000000"})
        notifier.ready("serving")
        with trio.move_on_after(25):
            await notifier.run_watchdog()
        notifier.stopping(grace_s=30)
        heard = []
        while True:
            try:
                heard.append(manager.recv(4096).decode())
            except BlockingIOError:
                break
    assert heard[0].startswith("READY=1\nSTATUS=serving\nMAINPID=")
    assert heard[1:-1] == ["WATCHDOG=1"] * 3
    assert heard[-1].startswith("STOPPING=1") and heard[-1].endswith("EXTEND_TIMEOUT_USEC=30000000")


async def test_nothing_is_said_where_nobody_asked() -> None:
    for environ in ({}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}):
        notifier = Notifier(environ)
        notifier.ready("serving")
        await notifier.run_watchdog()
