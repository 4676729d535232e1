"""The console on real daemons: opened, and watched until it shows something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from aimem.wire import console
from aimem_tui.app import Console
from aimem_tui.run import opened, wall_now
from tests.tui.daemons import Daemon
from tests.tui.screens import shown

PATIENCE_S = 60


@asynccontextmanager
async def looking_at(
    doors: Sequence[console.DoorIn], size: tuple[int, int] = (120, 40), pane: str = "mesh", **fields: str
) -> AsyncIterator[tuple[Console, Pilot[None]]]:
    """A console on the ways to these nodes; `fields` are of its request."""
    request = console.ConsoleRequest(doors=tuple(doors), **fields)     # type: ignore[arg-type]
    async with opened(request) as ways:
        app = Console(ways, now=time.monotonic, wall=wall_now, pane=pane)
        async with app.run_test(size=size) as pilot:
            yield app, pilot


def doors_of(daemons: Sequence[Daemon]) -> list[console.DoorIn]:
    """Their addresses."""
    return [console.DoorIn(name=daemon.url, url=daemon.url) for daemon in daemons]


async def until(pilot: Pilot[None], *texts: str) -> str:
    """Wait until the screen shows all of these; what it shows then."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not _has(shown(pilot.app), texts):      # type: ignore[arg-type]
                await pilot.pause(0.05)
    except TimeoutError:
        raise AssertionError(f"not shown: {texts}\n{shown(pilot.app)}") from None      # type: ignore[arg-type]
    return shown(pilot.app)     # type: ignore[arg-type]


def _has(screen: str, texts: Sequence[str]) -> bool:
    """Whether all of the texts are there; a sentence may go on in the next line."""
    plain = " ".join(screen.split())
    return all(text in screen or text in plain for text in texts)
