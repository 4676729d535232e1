"""Cycles of the curator in the daemon, at an even pace, if they are configured."""

from __future__ import annotations

import logging

import trio

from aimem import service
from aimem.errors import Unavailable
from aimem.service import Node
from aimem.wire import CurateRequest

log = logging.getLogger(__name__)


async def run_cycles(
    node: Node, interval_s: float, max_ops: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run a cycle every `interval_s` seconds, the first after one interval, until cancelled.

    A cycle that the store cannot take now (full disk) is skipped and said; the next one tries again.
    """
    task_status.started()
    while True:
        await trio.sleep(interval_s)
        try:
            report = await service.curate(node, CurateRequest(max_ops=max_ops))
        except Unavailable as error:
            log.warning("curator.cycle_skipped", extra={"reason": error.code.value})
            continue
        counts = report.autonomy
        log.info("curator.cycled", extra={
            "scanned": report.memories_scanned, "consolidated": counts.memories_consolidated,
            "forgotten": counts.memories_forgotten, "adjusted": counts.priority_adjustments,
            "tagged": report.auto_tagged, "errors": len(report.errors), "more": report.more,
        })
