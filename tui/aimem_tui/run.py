"""Starting the console: on this terminal, as a picture in a file, or as one overview for scripts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aimem.errors import InvalidRequest
from aimem.model import Instant
from aimem.wire import console
from aimem_tui.app import Console
from aimem_tui.doors import Door, open_doors

PICTURE_SIZE: Final = (120, 32)
PICTURE_AFTER_S: Final = 3.0
"""So long a picture waits for the nodes' first answers, and for a few events."""

_FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Which would have whoever looks at a picture fetch them from the network; any font of one width will do."""


def wall_now() -> Instant:
    """The machine's clock."""
    return Instant(time.time_ns() // 1000)


@contextlib.asynccontextmanager
async def opened(request: console.ConsoleRequest) -> AsyncIterator[tuple[Door, ...]]:
    """The ways to the nodes, for the time of a block."""
    doors = open_doors(request)
    try:
        yield doors
    finally:
        for door in doors:
            await door.http.aclose()


def run_console(request: console.ConsoleRequest) -> None:
    """Show the console until the user leaves it, or leave a picture of it.

    Raises: InvalidRequest if what the request names cannot be used.
    """
    picture = asyncio.run(_show(request))
    if request.screenshot is not None:
        try:
            Path(request.screenshot).write_text(picture, encoding="utf-8")
        except OSError as error:
            sentence = f"{request.screenshot} cannot be written: {error.strerror or error}"
            raise InvalidRequest(sentence, field="screenshot") from error


async def _show(request: console.ConsoleRequest) -> str:
    """Returns: the picture, if one was asked for."""
    theme = request.theme or ("dark" if request.screenshot else _fitting_theme())
    async with opened(request) as doors:
        app = Console(doors, now=time.monotonic, wall=wall_now, pane=request.screen, theme=theme)
        if request.screenshot is None:
            await app.run_async()
            return ""
        async with app.run_test(size=PICTURE_SIZE):
            await asyncio.sleep(PICTURE_AFTER_S)
            app.redraw()
            await asyncio.sleep(PICTURE_AFTER_S / 10)
            return _FONTS.sub("", app.export_screenshot(title="ai-memory console"))


def _fitting_theme() -> str:
    """The terminal's own colours where it has but sixteen."""
    term = os.environ.get("TERM", "")
    has_more = "256" in term or os.environ.get("COLORTERM", "") in ("truecolor", "24bit") or "kitty" in term
    return "dark" if has_more else "ansi"
