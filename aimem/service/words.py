"""The task behind the full-text indexes: what they need not have before a write is answered.

It runs whether or not there is a model: grams of odd words (they are searched one by one until then), counts of common
words, and the rest of a rebuild that was stopped.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.service.node import Node
from aimem.service.vectors import pulse
from aimem.store import fulltext

log = logging.getLogger(__name__)

ROWS_A_ROUND: Final = 200
GATHER_S: Final = 0.25
"""How long writes gather before what they owe is paid: asking after each of them would cost as much as the writes."""


async def run_words(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Keep the full-text indexes up to the commits, until cancelled."""
    task_status.started()
    while True:
        try:
            await settle_words(node)
        except Unavailable as error:
            # What is owed stands in the database; the next commit shows that the store can be written again.
            log.warning("words.wait", extra={"reason": error.code.value})
        await node.store.worded.wait()
        await trio.sleep(GATHER_S)


async def settle_words(node: Node) -> None:
    """Pay all that the full-text indexes owe, in slices between which others write."""
    while await node.store.read(fulltext.count_unindexed, 1):
        await node.store.write(fulltext.rebuild, ROWS_A_ROUND)
        await pulse(node)
    is_owing = await node.store.read(fulltext.count_gramless, 1) > 0
    while is_owing:
        # What is written meanwhile gathers for the next time: else each write would be followed by a round of its own.
        is_owing = (await node.store.write(fulltext.index_grams, ROWS_A_ROUND)).value == ROWS_A_ROUND
    if await node.store.read(fulltext.is_stale):
        row_count, counts = await node.store.read(fulltext.count_terms)
        await node.store.write(fulltext.keep_terms, row_count, counts)
