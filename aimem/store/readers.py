"""The reader pool: read-only connections in threads, each read stopped at its caller's deadline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import trio

from aimem.errors import Bug, Code, Corrupt, Unavailable
from aimem.ports import Connection, DatabaseError, Files, Mode, Threads
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
        self._is_closed = False
        self._found: Corrupt | None = None
        self._woken = trio.Event()

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a read on one consistent snapshot.

        Raises: Unavailable (deadline_exceeded if the caller's deadline passed meanwhile, shutting_down after `close`);
          Corrupt, and then the store ends; what `fn` raises.
        """
        try:
            return await self._threads.run(partial(self._run, fn, self._threads.is_late()), limiter=self.limiter)
        except Corrupt as error:
            self._found = self._found or error
            self._woken.set()
            raise

    async def wait_corrupt(self) -> NoReturn:
        """Wait until a read finds that the file cannot be trusted. Raises: Corrupt, always."""
        await self._woken.wait()
        raise self._found or Bug("woken without a finding")

    def _run(self, fn: Callable[[Connection], T], is_late: Callable[[], bool]) -> T:
        if self._is_closed:
            raise Unavailable("the node is stopping; nothing was read: retry", code=Code.SHUTTING_DOWN)
        with translated(self._path):
            conn = self._take()
            try:
                conn.stop_when(is_late)
                conn.execute(_BEGIN)
                return fn(conn)
            finally:
                self._give_back(conn)

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            conn = self._files.connect(self._path, Mode.READ_ONLY)
        try:
            schema.prepare_reader(conn)
        except DatabaseError:
            conn.close()
            raise
        return conn

    def _give_back(self, conn: Connection) -> None:
        try:
            conn.stop_when(None)
            if conn.in_transaction:
                conn.execute(_END)
        except DatabaseError:
            conn.close()
            raise
        self._idle.append(conn)
        if self._is_closed:  # asked after the append: whichever thread comes second closes it
            self.close()

    def close(self) -> None:
        """Close all connections: the idle ones now, the others when their read ends. Later reads are refused."""
        self._is_closed = True
        while True:
            try:
                conn = self._idle.pop()
            except IndexError:
                return
            conn.close()
