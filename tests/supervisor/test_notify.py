"""The service manager hears what happens, on a socket of its own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from aimem.errors import Code, InvalidRequest
from aimem.supervisor.notify import END_GRACE_S, STILL_MAX_S, Notifier


class Manager:
    """A socket as the service manager has it."""

    def __init__(self, inbox: socket.socket, address: str) -> None:
        self._inbox = inbox
        self.notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"})

    def heard(self) -> list[str]:
        """What has come since the last time."""
        found = []
        while True:
            try:
                found.append(os.fsdecode(self._inbox.recv(4096)))
            except BlockingIOError:
                return found


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(address.replace("@", "\0"))
        inbox.setblocking(False)
        yield Manager(inbox, address)


async def test_the_manager_hears_of_each_step_and_beats_in_between(manager: Manager, autojump_clock: MockClock) -> None:
    manager.notifier.starting("opening \udcff.db")     # a name that is no UTF-8
    manager.notifier.ready("serving")
    with trio.move_on_after(25):
        await manager.notifier.run_watchdog(lambda: 0.0)
    manager.notifier.stopping(grace_s=30)
    first, ready, *beats, last = manager.heard()
    assert first == "STATUS=opening \udcff.db"
    assert ready.startswith("READY=1\nSTATUS=serving\nMAINPID=")
    assert beats == ["WATCHDOG=1"] * 3
    assert last == f"STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={30_000_000 + END_GRACE_S * 1e6:.0f}"


async def test_nobody_beats_for_a_writer_that_hangs(manager: Manager, autojump_clock: MockClock) -> None:
    with trio.move_on_after(55):
        await manager.notifier.run_watchdog(lambda: STILL_MAX_S - 30 + trio.current_time())
    heard = manager.heard()
    assert heard[:3] == ["WATCHDOG=1"] * 3
    assert heard[3:] == [f"STATUS=the writer has hung for {seconds} s" for seconds in (300, 310, 320)]


async def test_a_reload_is_told_from_its_beginning_to_its_end(manager: Manager) -> None:
    manager.notifier.ready("serving on a port")
    before_us = time.monotonic_ns() // 1_000
    with manager.notifier.reloading():
        begun = manager.heard()[1]
    [ended] = manager.heard()
    sign, at, status = begun.split("\n")
    assert sign == "RELOADING=1" and status == "STATUS=reading the configuration anew"
    assert before_us <= int(at.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1_000
    assert ended == "READY=1\nSTATUS=serving on a port"


async def test_a_reload_that_failed_is_told_in_one_line_and_the_next_one_clears_it(manager: Manager) -> None:
    manager.notifier.ready("serving")
    with pytest.raises(InvalidRequest), manager.notifier.reloading():
        raise InvalidRequest("config.toml, line 3:\nno such key", code=Code.CONFIG_INVALID)
    assert manager.heard()[-1] == "READY=1\nSTATUS=serving; nothing was read anew: config.toml, line 3: no such key"
    with pytest.raises(OSError, match="gone"), manager.notifier.reloading():
        raise OSError("gone")
    assert manager.heard()[-1] == "READY=1\nSTATUS=serving"


async def test_who_does_not_serve_yet_or_any_more_never_says_ready_for_a_reload(manager: Manager) -> None:
    with manager.notifier.reloading():
        pass
    assert manager.heard() == []
    manager.notifier.ready("serving")
    with manager.notifier.reloading():
        manager.notifier.stopping(grace_s=1)
    with manager.notifier.reloading():
        pass
    assert manager.heard()[-1].startswith("STOPPING=1")


async def test_nothing_is_said_where_nobody_asked() -> None:
    for environ in ({}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}):
        notifier = Notifier(environ)
        notifier.ready("serving")
        await notifier.run_watchdog(lambda: 0.0)
        notifier.stopping(grace_s=1)
