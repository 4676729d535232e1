"""Daemons of a demonstration: each is tied to the process that started it, and may be taken down and started again."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE  # noqa: TID251 - a demonstration starts this very program, as its user would
from typing import Final

import trio

from aimem.errors import Unavailable

END_GRACE_S: Final = 10.0
"""A daemon lets requests finish; one that does not end within this is killed."""

LOG_MAX_BYTES: Final = 16_777_216
"""What a daemon says beyond it is not kept."""

_SAID_MAX_BYTES: Final = 4_096
_SERVES: Final = b" listening on "
_RELOADED: Final = b" reload.done"
_NOT_RELOADED: Final = b" reload.failed"


class Daemon:
    """One daemon; what it says goes to a file, and its last words are kept."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path,
        on_end: Callable[[Daemon], None],
    ) -> None:
        """A daemon that does not run yet.

        Args:
          on_end: called when it ends although nobody told it to.
        """
        self.name, self._command, self._environ, self._log, self._on_end = name, command, environ, log, on_end
        self._process: trio.Process | None = None
        self._is_wanted = False
        self._said = b""
        self._news = trio.Event()

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last; 0 before."""
        return self._process.pid if self._process else 0

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.returncode is None

    @property
    def last_words(self) -> str:
        """The last line that it said."""
        lines = self._said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start it, and stay until it has ended; started once it serves.

        Raises: Unavailable if it ends before it serves; what `on_end` raises.
        """
        self._is_wanted, self._said = True, b""
        async with trio.open_nursery() as nursery:
            with _tether() as (stdin, tie):
                # A group of its own: Ctrl-C reaches the demonstration alone, which ends its daemons in good order.
                self._process = process = await nursery.start(partial(
                    trio.run_process, self._command, stdin=stdin, stdout=DEVNULL, stderr=PIPE, check=False,
                    env=self._environ, process_group=0, deliver_cancel=_end,
                ))
                tie(process.pid)
                is_serving = await self._listen(process, task_status)
                await process.wait()
        if not is_serving:
            raise Unavailable(f"{self.name} ended with status {process.returncode} before it served: {self.last_words}")
        if self._is_wanted:
            self._on_end(self)

    async def stop(self) -> None:
        """Tell it to end, and wait until it has."""
        self._is_wanted = False
        if self._process is not None and self.is_running:
            await _end(self._process)
            await self._process.wait()

    async def reload(self) -> None:
        """Have it read its certificates and its list anew. Raises: Unavailable if it could not."""
        if self._process is None or not self.is_running:
            return
        self._said = b""
        self._process.send_signal(signal.SIGHUP)
        while _RELOADED not in self._said:
            if _NOT_RELOADED in self._said:
                raise Unavailable(f"{self.name} did not take its new files: {self.last_words}")
            await self._news.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self.is_running:
            self._process.kill()

    async def _listen(self, process: trio.Process, task_status: trio.TaskStatus[None]) -> bool:
        """Read what it says until it ends, and tell when it serves. Returns: whether it did."""
        is_serving = False
        if process.stderr is None:
            return is_serving
        with self._log.open("ab") as log:
            async for data in process.stderr:
                if log.tell() < LOG_MAX_BYTES:
                    log.write(data)
                    log.flush()
                self._said = (self._said + data)[-_SAID_MAX_BYTES:]
                self._news.set()
                self._news = trio.Event()
                if not is_serving and _SERVES in self._said:
                    is_serving = True
                    task_status.started()
        return is_serving


async def _end(process: trio.Process) -> None:
    process.terminate()
    with trio.move_on_after(END_GRACE_S):
        await process.wait()
        return
    process.kill()


@contextmanager
def _tether() -> Iterator[tuple[int, Callable[[int], None]]]:
    """A standard input that ends a child with this process, however that ends; tie the child to it by its id.

    The writing end of a pipe is this process's alone. When it goes, by a kill -9 too, the kernel sends the child
    SIGTERM, as the pipe's reading end was told to do (fcntl(2), F_SETSIG). Nothing is ever written.
    A death signal (prctl(2)) would do the same for the thread that starts the child, which with Trio is a passing one.
    """
    reading, writing = os.pipe()
    ends = [writing, reading]

    def tie(pid: int) -> None:
        fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
        fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(reading, fcntl.F_SETFL, fcntl.fcntl(reading, fcntl.F_GETFL) | os.O_ASYNC)
        os.close(ends.pop())

    try:
        yield reading, tie
    finally:
        for end in ends:
            os.close(end)
