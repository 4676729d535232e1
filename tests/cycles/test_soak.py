"""A soak in brief: too short to tell whether anything grows, and long enough for all of its parts."""

from __future__ import annotations

import contextlib
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import pytest
import trio

from tests.cycles.tether import tether
from tests.mesh.certified import NAMES
from tests.soak.soak import Report
from tests.system.processes import END_S, START_S

pytestmark = pytest.mark.slow

MINUTES: Final = 0.08
REST_S: Final = 3.0
RATE: Final = 10.0


async def test_nodes_keep_their_promises_under_a_steady_load_of_all_sorts_and_are_looked_at_before_under_and_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "soak.json"
    command = [
        sys.executable, "-m", "tests.soak", "--minutes", str(MINUTES), "--rate", str(RATE), "--every-seconds", "0.5",
        "--rest-seconds", str(REST_S), "--json", str(file), "--folder", str(tmp_path),
    ]
    done = await trio.run_process(command, capture_stdout=True, check=False)
    with capsys.disabled():
        print(f"\n{done.stdout.decode()}")
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert (report.violations, report.grown) == ((), ())
    assert "samples are too few" in report.undecided
    assert f"a rest of {REST_S:g} s is too short" in report.undecided
    assert done.returncode == 1
    assert report.acked > RATE
    assert {"read", "follow", "operate"} <= report.visits.keys()
    for look in (report.before, report.samples, report.after):
        assert {one.node for one in look} == {*NAMES}
    assert [one.name for one in tmp_path.iterdir()] == ["soak.json"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, None])
async def test_no_daemon_outlives_a_soak_nor_a_soak_whoever_started_it(number: int | None, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.soak", "--folder", str(tmp_path), "--tethered"]
    async with trio.open_nursery() as nursery:
        with tether() as tied:
            soak: trio.Process = await nursery.start(partial(trio.run_process, command, stdin=tied, check=False))
            await wait_daemons(len(NAMES), START_S, tmp_path)
            if number is not None:
                soak.send_signal(number)
                await ended(soak, tmp_path)
        await ended(soak, tmp_path)
    assert soak.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 1)
    assert bool(list(tmp_path.iterdir())) == (number == signal.SIGKILL)


async def ended(soak: trio.Process, folder: Path) -> None:
    with trio.fail_after(END_S):
        await soak.wait()
    await wait_daemons(0, END_S, folder)


async def wait_daemons(count: int, patience_s: float, folder: Path) -> None:
    with trio.fail_after(patience_s):
        while True:
            if len(pids_in(folder)) == count:
                return
            await trio.sleep(0.1)


def pids_in(folder: Path) -> list[int]:
    """Daemons whose databases are in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"serve" in words and any(word.startswith(bytes(folder)) for word in words):
                found.append(int(process.name))
    return found
