"""What happened lately, read once for all who follow it.

One task follows the commits and keeps the latest events in memory; readers take from there at their own pace, and from
the store what has left memory. Nobody waits for a reader: one that falls behind the buffer is told so (`reset`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

import trio

from aimem.errors import Code, Unavailable
from aimem.model import AgentId, Event

LATEST_COUNT: Final = 1024
READERS_MAX: Final = 64
"""So many may follow at once; one more is refused."""

READERS_OF_AGENT_MAX: Final = 16
"""So many of them by one agent, so that none takes all the places."""


class Happenings:
    """The latest events, and those who wait for more. Bound: `LATEST_COUNT` events, `READERS_MAX` readers.

    Attributes:
      readers_of: how many of them are each agent's.
      has_audience: whether anybody had subscribed when deliveries began.
    """

    def __init__(self) -> None:
        self.position = 0
        self.reader_count = 0
        self.readers_of = Counter[AgentId]()
        self.has_audience = False
        self.dropped_count = 0
        self.refused_count = 0
        self._latest: deque[Event] = deque(maxlen=LATEST_COUNT)
        self._is_closed = False
        self._more = trio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether readers are to leave: the node is shutting down."""
        return self._is_closed

    def begin(self, position: int) -> None:
        """Say where the log ends before the first event that is added here."""
        self._latest.clear()
        self.position = position
        self._wake_nowait()

    def add_nowait(self, found: Sequence[Event]) -> None:
        """Add what follows, in order, and wake the readers; never waits."""
        if found:
            self._latest.extend(found)
            self.position = found[-1].no
            self._wake_nowait()

    def close_nowait(self) -> None:
        """Have every reader leave."""
        self._is_closed = True
        self._wake_nowait()

    def after(self, no: int, limit: int) -> list[Event] | None:
        """The events behind number `no`, at most `limit`; None if memory does not reach back to it."""
        if no >= self.position:
            return []
        if not self._latest or self._latest[0].no > no + 1:
            return None
        skipped = max(0, no + 1 - self._latest[0].no)
        return [self._latest[at] for at in range(skipped, min(skipped + limit, len(self._latest)))]

    async def wait_beyond(self, no: int) -> None:
        """Wait until there is something behind number `no`, or readers have to look again."""
        if no >= self.position and not self._is_closed:
            await self._more.wait()

    def check_room(self, agent_id: AgentId) -> None:
        """Make sure that one more may follow. Raises: Unavailable(overloaded)."""
        if self.reader_count >= READERS_MAX:
            self.refused_count += 1
            raise Unavailable(
                f"{READERS_MAX} readers follow the events already; try again when one has left",
                code=Code.OVERLOADED, limit=READERS_MAX,
            )
        if self.readers_of[agent_id] >= READERS_OF_AGENT_MAX:
            self.refused_count += 1
            raise Unavailable(
                f"{READERS_OF_AGENT_MAX} readers of {agent_id} follow the events already; let one of them leave",
                code=Code.OVERLOADED, limit=READERS_OF_AGENT_MAX,
            )

    def enter(self, agent_id: AgentId) -> None:
        """Count a reader."""
        self.reader_count += 1
        self.readers_of[agent_id] += 1

    def leave(self, agent_id: AgentId) -> None:
        """Count it no longer."""
        self.reader_count -= 1
        self.readers_of[agent_id] -= 1
        if not self.readers_of[agent_id]:
            del self.readers_of[agent_id]

    def is_crowded(self, agent_id: AgentId) -> bool:
        """Whether more follow than there is room for: several may have looked for room at once."""
        return self.reader_count > READERS_MAX or self.readers_of[agent_id] > READERS_OF_AGENT_MAX

    def _wake_nowait(self) -> None:
        self._more.set()
        self._more = trio.Event()
