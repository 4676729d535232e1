"""A demonstration: what it refuses, and whole runs, which leave nothing behind however they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from aimem.errors import Conflict, InvalidRequest, Unavailable
from aimem.operations import DemoPorts, Program, run_demo
from aimem.ports import system_clock, system_files, trio_threads
from aimem.wire import decode_body, demo
from tests.bench.ports import silent

PORTS = DemoPorts(clock=system_clock(), files=system_files(), threads=trio_threads())
HERE = Program(command=(sys.executable, "-m", "aimem"), environ=dict(os.environ))
DEADLINE_S = 90


class Seen:
    """A stage without an audience."""

    progress = staticmethod(silent)

    def __init__(self) -> None:
        self.told: list[str] = []
        self.shown: list[demo.DemoReport] = []

    def tell(self, text: str) -> None:
        self.told.append(text)

    def begin_line(self) -> None:
        self.told.append("")

    def show(self, report: demo.DemoReport) -> None:
        self.shown.append(report)


async def demonstrate(stage: Seen, program: Program = HERE, **fields: object) -> demo.DemoReport:
    request = demo.DemoRequest(**{"nodes": 2, "once": True, **fields})  # type: ignore[arg-type]
    return await run_demo(request, PORTS, program, stage)


@pytest.mark.parametrize("nodes", [-1, 1, 9])
async def test_too_few_and_too_many_nodes_are_refused(nodes: int) -> None:
    with pytest.raises(InvalidRequest):
        await demonstrate(Seen(), nodes=nodes)


async def test_a_folder_that_is_not_empty_is_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        await demonstrate(Seen(), keep=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="cannot be made"):
        await demonstrate(Seen(), keep=str(tmp_path / "file/x"))


async def test_a_folder_whose_name_is_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="too long"):
        await demonstrate(Seen(), keep=str(tmp_path / ("x" * 100)))


async def test_a_node_that_does_not_start_is_said_with_its_words() -> None:
    luckless = Program(command=(sys.executable, "-c", "raise SystemExit('out of luck')"), environ={})
    with pytest.raises(ExceptionGroup) as caught:
        await demonstrate(Seen(), luckless)
    # Of nodes that end at the same moment each is said.
    _, others = caught.value.split(lambda one: isinstance(one, Unavailable) and "status 1 before" in str(one))
    assert others is None
    assert caught.group_contains(Unavailable, match="status 1 .*out of luck")


@pytest.mark.slow
async def test_every_step_is_done_and_what_is_kept_stays(short: Path) -> None:
    stage, folder = Seen(), short / "kept"
    report = await demonstrate(stage, nodes=3, keep=str(folder))
    assert stage.shown[0].is_whole
    assert [step.what.partition(" ")[0] for step in report.steps] == [
        "Made", "Started", "Knocked", "Stored", "Read", "Deleted", "Took", "Started", "Gave",
    ]
    assert (folder / "node-a.db").exists()
    assert b"listening on" in (folder / "node-b.log").read_bytes()
    assert not [node for node in report.nodes if is_there(node.pid)]


@asynccontextmanager
async def started(folder: Path, *words: str) -> AsyncIterator[trio.Process]:
    """The command in a process of its own, whose temporary files are in a folder."""
    command = [*HERE.command, "demo", "--nodes", "2", "--json", *words]
    environ = {**HERE.environ, "TMPDIR": str(folder)}
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            process = await nursery.start(partial(
                trio.run_process, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, env=environ))
            yield process


async def document(process: trio.Process) -> demo.DemoReport:
    """What it prints once every step is done."""
    text = b""
    async for data in process.stdout:
        text += data
        if text.endswith(b"\n}\n"):
            break
    else:
        raise AssertionError(b"".join([data async for data in process.stderr]).decode())
    return decode_body(demo.DemoReport, json.dumps(json.loads(text)).encode())


async def wait_said(process: trio.Process, words: bytes) -> None:
    said = b""
    while words not in said:
        data = await process.stderr.receive_some()
        assert data, said
        said += data


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose sockets' names are short enough."""
    with tempfile.TemporaryDirectory(prefix="aimem-") as name:
        yield Path(name)


async def wait_gone(pid: int) -> None:
    """Wait until a process has ended; it may be nobody's child any more."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await trio.lowlevel.wait_readable(handle)
    finally:
        os.close(handle)


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
async def test_a_signal_after_the_last_step_ends_it_in_good_order(short: Path, number: int) -> None:
    async with started(short) as process:
        report = await document(process)
        assert all(is_there(node.pid) for node in report.nodes)
        process.send_signal(number)
        assert await process.wait() == 0
    assert not [node for node in report.nodes if is_there(node.pid)]
    assert list(short.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("said", [b"1. Made", b"2. Started"])
async def test_a_signal_in_between_ends_it_and_leaves_nothing(short: Path, said: bytes) -> None:
    async with started(short) as process:
        await wait_said(process, said)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert list(short.iterdir()) == []


@pytest.mark.slow
async def test_the_nodes_do_not_outlive_a_demonstration_that_is_killed(short: Path) -> None:
    async with started(short) as process:
        report = await document(process)
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        for node in report.nodes:
            await wait_gone(node.pid)


@pytest.mark.slow
async def test_a_node_that_is_killed_by_the_user_is_said_and_the_others_stay(short: Path) -> None:
    async with started(short) as process:
        report = await document(process)
        os.kill(report.nodes[0].pid, signal.SIGKILL)
        await wait_said(process, b"node-a has ended; node-b left.")
        os.kill(report.nodes[1].pid, signal.SIGKILL)
        await wait_said(process, b"none left")
        assert await process.wait() == 0
    assert list(short.iterdir()) == []
