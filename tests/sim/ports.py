"""The outside world of a simulated machine: its wall clock, its blocking calls, its files, its model."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

import trio

from aimem.model import Instant
from aimem.ports import Connection, DatabaseError, FileLock, Files, Mode
from tests.nodes import START, WordEmbedder

T = TypeVar("T")
SPEAKER: ContextVar[str] = ContextVar("speaker", default="")
"""The machine whose process is at work."""


class Died(Exception):
    """The process is no more: nothing of it may go on, not even what it does on its way out."""


class Power:
    """Whether a process lives, and whether it is stopped for a while (SIGSTOP).

    Attributes:
      slowness: how many times longer its disk takes than usual.
    """

    def __init__(self) -> None:
        self.is_dead = False
        self.slowness = 1.0
        self._going = trio.Event()
        self._going.set()
        self._shields: dict[trio.CancelScope, None] = {}

    @property
    def is_paused(self) -> bool:
        """Whether it is stopped."""
        return not self._going.is_set()

    def pause(self) -> None:
        """Stop it: whatever it would do next to the world waits."""
        if not self.is_paused:
            self._going = trio.Event()

    def resume(self) -> None:
        """Let it go on."""
        self._going.set()

    def die(self) -> None:
        """End it, also where it must not be disturbed."""
        self.is_dead = True
        self._going.set()
        for scope in self._shields:
            scope.shield = False

    async def wait_going(self) -> None:
        """Wait while it is paused. Raises: Died."""
        await self._going.wait()
        if self.is_dead:
            raise Died

    async def busy(self, seconds: float) -> None:
        """Let time pass in which nothing but its death disturbs it. Raises: Died."""
        with trio.CancelScope(shield=True) as scope:
            self._shields[scope] = None
            try:
                await trio.sleep(seconds * self.slowness)
                await self._going.wait()
            finally:
                del self._shields[scope]
        if self.is_dead:
            await trio.lowlevel.checkpoint_if_cancelled()
            raise Died


class SimClock:
    """A wall clock that began wrong, goes wrong, and is set by whoever likes."""

    def __init__(self, offset_s: float, drift: float) -> None:
        self.offset_s, self._drift = offset_s, drift

    def now(self) -> Instant:
        """Microseconds since 1970, as this machine believes."""
        return Instant(START + int((trio.current_time() * (1 + self._drift) + self.offset_s) * 1_000_000))

    def step(self, seconds: float) -> None:
        """Set it forward or back."""
        self.offset_s += seconds

    def set_right(self, within_s: float) -> None:
        """Bring it as near to the truth as it may have been at the start, as a time server does."""
        wrong_s = self.offset_s + trio.current_time() * self._drift
        self.offset_s += max(-within_s, min(within_s, wrong_s)) - wrong_s


class SimThreads:
    """Runs blocking calls inline, each in the middle of a time that it takes.

    So a crash finds a write before its commit, or committed and not answered.
    """

    def __init__(
        self, power: Power, rng: random.Random, commit_s: float, look: Callable[[], None]
    ) -> None:
        """Prepare.

        Args:
          look: called after each, to see what became of the database.
        """
        self._power, self._rng, self._commit_s, self._look = power, rng, commit_s, look

    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        """Run it to its end, unless the process dies."""
        if self._power.is_dead:
            raise Died
        async with limiter:
            is_write = limiter.total_tokens == 1
            takes_s = self.takes_s(self._rng, self._commit_s) if is_write else 0.0
            await self._power.busy(takes_s * 0.5)
            try:
                return fn()
            finally:
                if is_write:
                    self._look()
                    await self._power.busy(takes_s * 0.5)

    def takes_s(self, rng: random.Random, commit_s: float) -> float:
        """How long one write takes, where they take so long on average."""
        return rng.expovariate(1 / commit_s)

    def is_late(self) -> Callable[[], bool]:
        """No time passes while a query runs, so that it is never late."""
        return lambda: False


class SimModel(WordEmbedder):
    """The model of one machine, through all its lives.

    Attributes:
      read: how often it read each text.
    """

    dimension = 16

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Count, and embed."""
        self.read.update(texts)
        return super().embed(texts)


class SimFiles:
    """Files of one process: the maker's, with the connections noted, which end with the process."""

    def __init__(self, maker: Files) -> None:
        self.writer: Connection | None = None
        self._maker = maker
        self._opened: list[Connection] = []

    def connect(self, path: Path, mode: Mode) -> Connection:
        """Open a database."""
        conn = self._maker.connect(path, mode)
        self._opened.append(conn)
        if mode is Mode.READ_WRITE_CREATE:
            self.writer = conn
        return conn

    def lock(self, path: Path, hint: str) -> FileLock:
        """As the maker's."""
        return self._maker.lock(path, hint)

    def read(self, path: Path) -> bytes | None:
        """As the maker's."""
        return self._maker.read(path)

    def read_up_to(self, path: Path, limit_bytes: int) -> bytes | None:
        """As the maker's."""
        return self._maker.read_up_to(path, limit_bytes)

    def write_new(self, path: Path, data: bytes) -> None:
        """As the maker's."""
        self._maker.write_new(path, data)

    def clear_folder(self, path: Path) -> None:
        """As the maker's."""
        self._maker.clear_folder(path)

    def drop_folder(self, path: Path) -> None:
        """As the maker's."""
        self._maker.drop_folder(path)

    def write_durably(self, path: Path, data: bytes) -> None:
        """As the maker's."""
        self._maker.write_durably(path, data)

    def size_bytes(self, path: Path) -> int:
        """As the maker's."""
        return self._maker.size_bytes(path)

    def close_all(self) -> None:
        """What the kernel does when a process ends."""
        self.writer = None
        for conn in self._opened:
            try:
                conn.close()
            except DatabaseError:
                continue
        self._opened.clear()
