"""Waiting for the node's search index, with progress. The node answers when something is done: nothing is polled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aimem.cli.context import Context
from aimem.wire import IndexStatus

if TYPE_CHECKING:
    from aimem.client import Client

STEPS = 20
"""How many waits a backlog is worked off in: as many steps has the bar."""

PATIENCE_COUNT = 6
"""Waits (of about ten seconds each, the node's bound) without progress after which nobody waits any longer."""


def left_in(status: IndexStatus) -> int:
    """Memories that wait for their vectors, or to come into the index."""
    return status.embedding_backlog + status.index_backlog


async def wait_for_index(context: Context, client: Client, what: str) -> int:
    """Wait until nothing is left to do, or nothing moves. Returns: what is left.

    Args:
      what: a gerund for the bar, such as `embedding`.
    """
    left = left_in(await client.index_status())
    if left == 0:
        return 0
    step = -(-left // STEPS)
    with context.screen.progress(what, left) as advance:
        idle = 0
        while left and idle < PATIENCE_COUNT:
            status = await client.index_status(wait_below=max(0, left - step))
            now_left = left_in(status)
            if status.mode == "keyword" and now_left >= left:
                break  # no model: nothing will embed
            idle = 0 if now_left < left else idle + 1
            advance(max(0, left - now_left))
            left = now_left
    return left
