"""Waiting for the node's search index, with progress. The node answers when something is done: nothing is polled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aimem.cli.context import Context
from aimem.cli.text import counted
from aimem.wire import IndexStatus

if TYPE_CHECKING:
    from aimem.client import Client

STEPS = 20
"""How many waits a backlog is worked off in: as many steps has the bar."""

PATIENCE_COUNT = 6
"""Waits (of about ten seconds each, the node's bound) without progress after which nobody waits any longer."""


def left_in(status: IndexStatus) -> int:
    """Memories that wait for their vectors, or to come into an index."""
    return status.embedding_backlog + status.index_backlog + status.text_backlog


class Backlog:
    """What a wait works off: at first, and still. Whoever is interrupted can say how far it came."""

    def __init__(self) -> None:
        self.total = self.left = 0


async def wait_for_index(context: Context, client: Client, what: str, backlog: Backlog, *, hint: str = "") -> None:
    """Wait until nothing is left to do, or nothing moves.

    Args:
      what: a gerund for the bar, such as `embedding`.
      backlog: is kept up to what is left.
      hint: a sentence for stderr before the wait, behind the count of what waits.
    """
    backlog.total = backlog.left = left_in(await client.index_status())
    if backlog.left == 0:
        return
    if hint:
        context.screen.say(f"{counted(backlog.total, 'memory')} {hint}")
    step = -(-backlog.left // STEPS)
    with context.screen.progress(what, backlog.left) as advance:
        idle = 0
        while backlog.left and idle < PATIENCE_COUNT:
            status = await client.index_status(wait_below=max(0, backlog.left - step))
            now_left = left_in(status)
            if status.mode == "keyword" and now_left >= backlog.left:
                break  # no model: nothing will embed
            idle = 0 if now_left < backlog.left else idle + 1
            advance(max(0, backlog.left - now_left))
            backlog.left = now_left
