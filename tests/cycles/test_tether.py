"""Nothing of a run that is broken off stays behind: no daemon, and no disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.cycles.faults import FAULTS
from tests.cycles.machine import lacks
from tests.cycles.nodes import LISTENING, SMALL_DISK
from tests.cycles.tether import tether
from tests.mesh.certified import NAMES

FAULT: Final = "disk-full"
BEGUN_S: Final = 60.0
GONE_S: Final = 30.0
LOOK_S: Final = 0.1

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_run_that_is_ended_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    if reason := lacks(FAULTS[FAULT].needs):
        pytest.skip(reason)
    with tether() as tied:
        process = begin(tmp_path, tied)
        await wait_until(BEGUN_S, lambda: serving(tmp_path) == len(NAMES))
        assert len(daemons(tmp_path)) == len(NAMES)
        assert not mounted(tmp_path)
        process.send_signal(number)
        await wait_until(GONE_S, lambda: not daemons(tmp_path))
        assert await trio.to_thread.run_sync(process.wait) != 0
    assert not mounted(tmp_path)


async def test_a_run_ends_with_whoever_started_it(tmp_path: Path) -> None:
    if reason := lacks(FAULTS[FAULT].needs):
        pytest.skip(reason)
    with tether() as tied:
        process = begin(tmp_path, tied)
        await wait_until(BEGUN_S, lambda: serving(tmp_path) == len(NAMES))
    await wait_until(GONE_S, lambda: not daemons(tmp_path))
    assert await trio.to_thread.run_sync(process.wait) != 0
    [kept] = tmp_path.glob(f"*/{NAMES[SMALL_DISK]}.kept")
    assert any(kept.iterdir())


def begin(folder: Path, tied: int) -> subprocess.Popen[bytes]:
    """A run that would not end soon."""
    words = ["--fault", FAULT, "--cycles", "1000", "--folder", str(folder), "--tethered"]
    command = [sys.executable, "-m", "tests.cycles", *words]
    return subprocess.Popen(command, stdin=tied, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def serving(folder: Path) -> int:
    """How many daemons have said that they listen."""
    return sum(LISTENING in log.read_bytes() for log in folder.glob("*/*.log"))


def daemons(folder: Path) -> list[int]:
    """The processes that serve something in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue        # it has just ended
        if b"tests.cycles.armed" in words and any(word.startswith(os.fsencode(folder)) for word in words):
            found.append(int(path.parent.name))
    return found


def mounted(folder: Path) -> bool:
    """Whether this process sees a disk in a folder."""
    return str(folder) in Path("/proc/self/mounts").read_text()


async def wait_until(patience_s: float, is_so: Callable[[], bool]) -> None:
    with trio.fail_after(patience_s):
        while True:
            if is_so():
                return
            await trio.sleep(LOOK_S)
