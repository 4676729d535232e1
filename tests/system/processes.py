"""Real processes of ours: started, asked, killed; none outlives its test."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import trio

START_S = 60    # a busy machine loads our libraries in a few seconds
END_S = 30


def command(db: Path, *words: str) -> list[str]:
    """A command line of ours on this database."""
    return [sys.executable, "-m", "aimem", "--db", str(db), *words]


def environment() -> dict[str, str]:
    """This process's (its home is the test's own), by keyword, so that no model is loaded."""
    return {**os.environ, "AI_MEMORY_TIER": "keyword"}


async def ask(db: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    with trio.fail_after(START_S):
        return await trio.run_process(
            command(db, *words), capture_stdout=True, capture_stderr=True, check=False,
            env={**environment(), **environ},
        )


async def ask_json(db: Path, *words: str) -> Any:
    """The JSON that a command prints."""
    done = await ask(db, *words, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


class Process:
    """A running server of ours; `kill` and `stop` wait for its end."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._line_buffers: dict[int, bytearray] = {}
        self._said: list[str] = []
        self._request_id = 0

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def stderr_line(self, words: str) -> str:
        """The first line of stderr from here on that holds these words."""
        assert self._process.stderr is not None
        while True:
            line = await self._line(self._process.stderr)
            self._said.append(line)
            if words in line:
                return line

    async def stdout_line(self, words: str) -> str:
        """The same of stdout."""
        assert self._process.stdout is not None
        while True:
            line = await self._line(self._process.stdout)
            if words in line:
                return line

    async def stderr_said(self, words: str) -> str:
        """The first line of stderr that holds these words, whether it was passed over or is yet to come."""
        passed = [line for line in self._said if words in line]
        return passed[0] if passed else await self.stderr_line(words)

    async def call(self, method: str, **params: Any) -> Any:
        """One JSON-RPC request on standard input; the answer's result."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._request_id += 1
        message = {"jsonrpc": "2.0", "id": self._request_id, "method": method, "params": params}
        await self._process.stdin.send_all(json.dumps(message).encode() + b"\n")
        while True:
            answer = json.loads(await self._line(self._process.stdout))
            if answer.get("id") == self._request_id:
                return answer["result"]

    async def tool(self, name: str, **arguments: Any) -> Any:
        """Call a tool; its JSON."""
        result = await self.call("tools/call", name=name, arguments=arguments)
        text = result["content"][0]["text"]
        assert not result.get("isError"), text
        return json.loads(text)

    async def stderr_rest_of_life(self) -> None:
        """Read on until it ends, so that it never waits for us to; what it says is not kept."""
        assert self._process.stderr is not None
        async for _ in self._process.stderr:
            pass

    async def stderr_rest(self) -> str:
        """All of stderr up to its end."""
        assert self._process.stderr is not None
        with trio.fail_after(START_S):
            return b"".join([data async for data in self._process.stderr]).decode()

    async def close_stdin(self) -> None:
        """Go away, as a client does."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Any signal."""
        self._process.send_signal(number)

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.terminate()
        return await self.wait()

    async def kill(self) -> int:
        """SIGKILL; the exit status."""
        self._process.kill()
        return await self.wait()

    async def wait(self) -> int:
        """The exit status, once it has ended."""
        with trio.fail_after(END_S):
            return await self._process.wait()

    async def _line(self, stream: trio.abc.ReceiveStream) -> str:
        buffer = self._line_buffers.setdefault(id(stream), bytearray())
        with trio.fail_after(START_S):
            while b"\n" not in buffer:
                data = await stream.receive_some()
                assert data, f"it ended; it had said {bytes(buffer)!r}"
                buffer += data
        line, _, rest = bytes(buffer).partition(b"\n")
        buffer[:] = rest
        return line.decode()


@contextlib.asynccontextmanager
async def started(words: Iterable[str], **environ: str) -> AsyncIterator[Process]:
    """Start a command line; kill it at the end of the block if it still runs."""
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(partial(
            trio.run_process, list(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            check=False, env={**environment(), **environ},
        ))
        try:
            yield Process(process)
        finally:
            if process.returncode is None:
                process.kill()
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def daemon(db: Path, *words: str, **environ: str) -> AsyncIterator[tuple[Process, str]]:
    """A daemon that serves; with the URL that it said."""
    async with started(command(db, "serve", "--port", "0", *words), **environ) as process:
        line = await process.stderr_line("listening on")
        yield process, line.split("listening on ")[1].split()[0]


@contextlib.asynccontextmanager
async def session(db: Path) -> AsyncIterator[Process]:
    """An MCP session that has shaken hands."""
    async with started(command(db, "mcp")) as process:
        await process.call(
            "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "1"}
        )
        yield process


def heaps_of(pid: int) -> int:
    """How many heaps of glibc a process has beside its first one: each has 64 MiB, and begins at a multiple of them."""
    ranges = [line.split()[:2] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    found = 0
    for (used, rights), (free, none) in itertools.pairwise(ranges):
        (begin, middle), (goes_on, end) = ([int(one, 16) for one in both.split("-")] for both in (used, free))
        is_split = (rights, none) == ("rw-p", "---p") and middle == goes_on
        found += is_split and begin % _HEAP == 0 and end == begin + _HEAP
    return found


_HEAP = 64 << 20
