"""The way in that the clock opens: collecting what has expired, purging what is old, at an even pace."""

from __future__ import annotations

import logging

import trio

from aimem import service
from aimem.errors import Unavailable
from aimem.model import SYSTEM
from aimem.service import Node
from aimem.wire import GcQuery

log = logging.getLogger(__name__)

STARTUP_DELAY_S = 60.0
"""A node that was just started serves first."""


async def run_curator(
    node: Node, interval_s: float, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Tidy every `interval_s` seconds, the first time a minute after the start, until cancelled.

    A round that the store cannot take now (full disk) is skipped and said; the next one tries again.
    """
    task_status.started()
    await trio.sleep(min(STARTUP_DELAY_S, interval_s))
    while True:
        try:
            await tidy_once(node)
        except Unavailable as error:
            log.warning("curator.skipped", extra={"reason": error.code.value})
        await trio.sleep(interval_s)


async def tidy_once(node: Node) -> None:
    """One round: expired memories, old rows of archive and audit, old idempotency notes, vectors that nothing uses."""
    collected = await service.collect(node, SYSTEM, GcQuery())
    await service.tidy(node)
    await service.expire_audit(node)
    dropped = await service.drop_unused_vectors(node)
    log.info("curator.tidied", extra={"collected": collected.expired_deleted, "vectors_dropped": dropped})
