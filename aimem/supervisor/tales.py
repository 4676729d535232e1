"""Trouble that strangers can cause at any rate is told of at most once a minute and kind, with how often it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import trio

TOLD_EVERY_S: Final = 60.0
KINDS_MAX: Final = 32
"""Those that come later are told of together, as OTHER."""
OTHER: Final = "other"

T = TypeVar("T")


class Tales(Generic[T]):
    """The first of a kind is told at once, those of the minute after it together at its end."""

    def __init__(self, tell: Callable[[str, int, T], None]) -> None:
        """Prepare.

        Args:
          tell: is handed a kind, how many there were since it was last told of, and the latest.
        """
        self._tell = tell
        self._told_at: dict[str, float] = {}
        self._untold: dict[str, tuple[int, T]] = {}     # of a kind, how many there were and the latest
        self._bell = trio.Event()

    def note(self, kind: str, latest: T) -> None:
        """One more of a kind."""
        if kind not in self._told_at and len(self._told_at) >= KINDS_MAX:
            kind = OTHER
        is_due = kind not in self._untold and self._due(kind) <= trio.current_time()
        count, _ = self._untold.get(kind, (0, latest))
        self._untold[kind] = count + 1, latest
        if is_due:
            self._say(kind)
        else:
            self._bell.set()

    async def run(self) -> None:
        """Tell of what came too soon after a line of its kind, until cancelled."""
        while True:
            await self._bell.wait()
            self._bell = trio.Event()
            while self._untold:
                await trio.sleep_until(min(map(self._due, self._untold)))
                for kind in tuple(self._untold):
                    if self._due(kind) <= trio.current_time():
                        self._say(kind)

    def _due(self, kind: str) -> float:
        return self._told_at.get(kind, -TOLD_EVERY_S) + TOLD_EVERY_S

    def _say(self, kind: str) -> None:
        count, latest = self._untold.pop(kind)
        self._told_at[kind] = trio.current_time()
        self._tell(kind, count, latest)
