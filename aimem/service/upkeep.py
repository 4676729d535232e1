"""What keeps a database from growing without end: bounds of what a node notes, pages given back, a short WAL.

One task of every node. It works in small steps, between which others write. The op log is the mesh's
(replication.catchup).
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.service.node import Node
from aimem.store import buffers

log = logging.getLogger(__name__)

INTERVAL_S: Final = 60.0

ROUND_ROWS: Final = 20_000
"""Rows that are looked for at once, to be dropped a batch at a time."""

FREE_SHARE_MAX: Final = 0.02
FREE_SHARE_KEPT: Final = 0.01
FREE_KEPT_BYTES: Final = 1 << 20
"""Free pages that the next writes use: to give all back would be to ask for them again."""

SHRINK_PAGES: Final = 64
"""Pages given back in one transaction: about 5 ms."""

async def run_upkeep(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Look after the database once a minute, until cancelled; a round that the store cannot take now is said."""
    task_status.started()
    seen_count: int | None = None
    while True:
        await trio.sleep(INTERVAL_S)
        now_count = node.store.log.change_count
        try:
            if now_count != seen_count and await cut_notes(node):
                seen_count = now_count
            await shrink_file(node)
            await node.store.shorten_wal()
        except Unavailable as error:
            log.warning("upkeep.skipped", extra={"reason": error.code.value})


async def cut_notes(node: Node) -> bool:
    """Keep what the node notes within its bounds. Returns: whether it is; some may be too young to go."""
    found = await node.store.read(buffers.pages)
    return all([await _cut(node, buffer, found.used_bytes) for buffer in buffers.BUFFERS])


async def shrink_file(node: Node) -> None:
    """Give back what the file does not need."""
    found = await node.store.read(buffers.pages)
    if found.can_shrink and found.free_bytes > max(FREE_SHARE_MAX * found.used_bytes, 2 * FREE_KEPT_BYTES):
        found = await _shrink(node, found)
    node.upkeep.free_bytes = found.free_bytes


async def _cut(node: Node, buffer: buffers.Buffer, database_bytes: int) -> bool:
    while left := await node.store.read(buffers.surplus, buffer, database_bytes):
        rows, until = await node.store.read(buffers.oldest, buffer, min(left, ROUND_ROWS), node.clock.now())
        dropped = 0
        for at in range(0, len(rows), buffers.BATCH):
            dropped += (await node.store.write(buffers.drop, buffer, rows[at : at + buffers.BATCH], until)).value
        if not dropped:     # the rest is too young, or others took it away
            return False
        node.upkeep.dropped[buffer.table] = node.upkeep.dropped.get(buffer.table, 0) + dropped
    return True


async def _shrink(node: Node, found: buffers.Pages) -> buffers.Pages:
    """Give pages back until few are free. What is written meanwhile takes some, so it ends however much that is."""
    kept = max(int(FREE_SHARE_KEPT * found.count), FREE_KEPT_BYTES // found.page_bytes)
    for _ in range(0, found.free - kept, SHRINK_PAGES):
        await node.store.write(buffers.shrink, SHRINK_PAGES)
    left = await node.store.read(buffers.pages)
    node.upkeep.freed_bytes += max(0, found.count - left.count) * found.page_bytes
    return left
