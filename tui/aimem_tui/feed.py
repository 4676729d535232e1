"""What keeps the state up to date: for each node a task that asks how it is, and one that follows its events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aimem.errors import AimemError, Denied
from aimem.wire import EventOut, EventsQuery, MeshDocument, ResetOut
from aimem_tui.doors import Door
from aimem_tui.steps import Answered, Failed, Followed, Measured, Step, Told
from aimem_tui.trouble import Trouble, trouble_of

POLL_S: Final = 2.0
METRICS_EVERY: Final = 2
"""Metrics are read with every second look at a node."""
SOONEST_S: Final = 0.5
"""After an event a node is asked anew at once, but not more often than this."""
PAUSE_MAX_S: Final = 10.0
ANSWER_S: Final = 5.0

Tell = Callable[[Step], None]
Now = Callable[[], float]


class Feed:
    """Asks one node, again and again, until it is cancelled. It tells what it heard, and never fails."""

    def __init__(self, place: int, door: Door, tell: Tell, now: Now) -> None:
        """Prepare.

        Args:
          place: of the node among those of the state.
          now: seconds of a monotonic clock.
        """
        self._place, self._door, self._tell, self._now = place, door, tell, now
        self._news = asyncio.Event()
        self._looks = 0

    async def run(self) -> None:
        """Ask and follow, both for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask_on())
            tasks.create_task(self._follow_on())

    def hurry(self) -> None:
        """Ask soon: something has happened."""
        self._news.set()

    async def _ask_on(self) -> None:
        failures = 0
        while True:
            failures = 0 if await self.ask() else failures + 1
            await asyncio.sleep(SOONEST_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(POLL_S * 2 ** min(failures, 4), PAUSE_MAX_S) - SOONEST_S):
                    await self._news.wait()
            self._news.clear()

    async def ask(self) -> bool:
        """One look at the node. Returns: whether it answered."""
        client = self._door.client
        try:
            async with asyncio.timeout(ANSWER_S):
                mesh, trouble = await self._mesh()      # first, for what it takes to connect is no part of a round trip
                began = self._now()
                health = await client.health()
                rtt_ms = 1000 * (self._now() - began)
        except (AimemError, TimeoutError) as error:
            self._fail(error)
            return False
        self._tell(Answered(
            place=self._place, now_s=self._now(), rtt_ms=rtt_ms, health=health, mesh=mesh, mesh_trouble=trouble
        ))
        if mesh is not None and self._looks % METRICS_EVERY == 0:
            await self._measure()
        self._looks += 1
        return True

    async def _mesh(self) -> tuple[MeshDocument | None, Trouble | None]:
        """The mesh, or why this caller is not told of it while the node itself answers."""
        try:
            return await self._door.client.mesh(), None
        except AimemError as error:
            return None, self._trouble(error)

    async def _measure(self) -> None:
        with contextlib.suppress(AimemError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                metrics = await self._door.client.metrics()
                self._tell(Measured(place=self._place, now_s=self._now(), metrics=metrics))

    async def _follow_on(self) -> None:
        pause_s, after = SOONEST_S, None
        while True:
            try:
                async with self._door.client.open_events(EventsQuery(after=after)) as told:
                    self._tell(Followed(place=self._place, is_followed=True))
                    async for one in told:
                        pause_s = SOONEST_S
                        after = self._heard(one) or after
            except Denied:
                pause_s = PAUSE_MAX_S
            except AimemError:
                pass    # the questions find out why, and tell
            self._tell(Followed(place=self._place, is_followed=False))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _heard(self, one: EventOut | ResetOut | None) -> str | None:
        """Tell of an event. Returns: the place to go on from."""
        if one is None:
            return None
        if isinstance(one, EventOut):
            self._tell(Told(place=self._place, event=one))
        self.hurry()
        return one.id

    def _fail(self, error: BaseException) -> None:
        self._tell(Failed(place=self._place, trouble=self._trouble(error)))

    def _trouble(self, error: BaseException) -> Trouble:
        return trouble_of(error, self._door.name, is_local=self._door.is_local)
