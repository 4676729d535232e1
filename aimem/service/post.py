"""The post of webhooks: for whom something waits, who is being served, and what was done so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import trio

SENDING_MAX: Final = 8
"""So many deliveries are on their way at once, each of another subscription."""


class Post:
    """What the tasks of webhooks tell each other. Bound: one entry for each subscription."""

    def __init__(self) -> None:
        self.dispatched_count = 0
        self.failed_count = 0
        self.dropped_count = 0
        self.lost_count = 0
        self.slots = trio.CapacityLimiter(SENDING_MAX)
        self._owed: set[str] = set()
        self._serving: dict[str, trio.Event] = {}
        self._more = trio.Event()

    def owe_nowait(self, subscription_ids: Iterable[str]) -> None:
        """Say that something waits for these, or is to be tried sooner than it was."""
        for one in subscription_ids:
            self._owed.add(one)
            if one in self._serving:
                self._serving[one].set()
        if self._owed:
            self._more.set()

    async def take(self) -> tuple[str, ...]:
        """Wait until somebody is owed something whom nobody serves; those begin to be served."""
        while True:
            await self._more.wait()
            self._more = trio.Event()
            taken = tuple(sorted(self._owed - self._serving.keys()))
            for one in taken:
                self._owed.discard(one)
                self._serving[one] = trio.Event()
            if taken:
                return taken

    async def wait_stirred(self, subscription_id: str) -> None:
        """Wait until more is owed to one that is served."""
        await self._serving[subscription_id].wait()

    def look_again(self, subscription_id: str) -> None:
        """Say that from now on what is owed to one that is served is looked at anew."""
        self._owed.discard(subscription_id)
        self._serving[subscription_id] = trio.Event()

    def is_done(self, subscription_id: str) -> bool:
        """Whether one that is served is owed nothing any more; then it is served no longer."""
        if subscription_id in self._owed:
            return False
        self._serving.pop(subscription_id, None)
        return True

    def end_nowait(self, subscription_id: str) -> None:
        """It is served no longer, whatever it is owed: its task ends."""
        self._serving.pop(subscription_id, None)
