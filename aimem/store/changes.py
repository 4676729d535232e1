"""What changed: the rows that commits touched, for whoever keeps something beside the database (vectors, events)."""

from __future__ import annotations

from collections.abc import Iterable

import trio

CHANGES_KEPT = 100_000


class ChangeFeed:
    """A coalescing feed for one follower. Bound: so many row numbers; beyond it the follower is told to look at all."""

    def __init__(self) -> None:
        self._rows: set[int] = set()
        self._is_overrun = False
        self._woken = trio.Event()

    @property
    def pending_count(self) -> int:
        """Rows that the follower has not taken yet; 1 for "anything"."""
        return len(self._rows) + self._is_overrun

    def publish_nowait(self, rows: Iterable[int]) -> None:
        """Note rows of a commit; never waits."""
        if not self._is_overrun:
            self._rows.update(rows)
            if len(self._rows) > CHANGES_KEPT:
                self._rows.clear()
                self._is_overrun = True
        if self._rows or self._is_overrun:
            self._woken.set()

    def publish_all_nowait(self) -> None:
        """Tell the follower to look at everything; never waits."""
        self._rows.clear()
        self._is_overrun = True
        self._woken.set()

    async def wait(self) -> frozenset[int] | None:
        """Wait for changes and take them: see `take_nowait`."""
        await self.wait_any()
        return self.take_nowait()

    async def wait_any(self) -> None:
        """Wait until there are changes, and leave them there."""
        await self._woken.wait()

    def take_nowait(self) -> frozenset[int] | None:
        """Take the changes so far: row numbers of the view, or None for "anything may have changed"."""
        self._woken = trio.Event()
        rows, is_overrun = frozenset(self._rows), self._is_overrun
        self._rows.clear()
        self._is_overrun = False
        return None if is_overrun else rows


class Pulse:
    """Wakes any number of followers at once; each takes `next_beat` before it looks, and waits for it afterwards."""

    def __init__(self) -> None:
        self.next_beat = trio.Event()

    def beat_nowait(self) -> None:
        """Wake all who wait; never waits."""
        self.next_beat.set()
        self.next_beat = trio.Event()
