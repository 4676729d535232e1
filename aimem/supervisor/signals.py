"""Signals enter by one task: it sets events, and decides nothing else."""

from __future__ import annotations

import logging
import signal

import trio

log = logging.getLogger(__name__)


async def run_signals(
    stop: trio.Event, hurry: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Turn the first SIGTERM or SIGINT into `stop` and the second into `hurry`; SIGHUP has nothing to reload yet."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            name = signal.Signals(number).name
            if number == signal.SIGHUP:
                log.info("signal.nothing_to_reload", extra={"signal": name})
            elif stop.is_set():
                log.warning("signal.hurrying", extra={"signal": name})
                hurry.set()
            else:
                log.info("signal.stopping", extra={"signal": name})
                stop.set()
