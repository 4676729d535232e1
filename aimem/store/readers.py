"""The reader pool: read-only connections in threads, each read stopped at its caller's deadline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from aimem.ports import Connection, Files, Mode, Threads
from aimem.store import schema
from aimem.store.faults import translated

T = TypeVar("T")

_BEGIN = "BEGIN"
_END = "ROLLBACK"


class Readers:
    """At most `count` reads run at once; further callers wait."""

    def __init__(self, *, files: Files, threads: Threads, path: Path, count: int) -> None:
        self.limiter = trio.CapacityLimiter(count)
        self._files, self._threads, self._path = files, threads, path
        self._idle: list[Connection] = []

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a read on one consistent snapshot.

        Raises: Unavailable(deadline_exceeded) if the caller's deadline passed meanwhile; what `fn` raises.
        """
        return await self._threads.run(partial(self._run, fn, self._threads.is_late()), limiter=self.limiter)

    def _run(self, fn: Callable[[Connection], T], is_late: Callable[[], bool]) -> T:
        with translated(self._path):
            try:
                conn = self._idle.pop()
            except IndexError:
                conn = self._files.connect(self._path, Mode.READ_ONLY)
                schema.prepare_reader(conn)
            try:
                conn.stop_when(is_late)
                conn.execute(_BEGIN)
                return fn(conn)
            finally:
                conn.stop_when(None)
                if conn.in_transaction:
                    conn.execute(_END)
                self._idle.append(conn)

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()
