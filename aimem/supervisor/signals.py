"""Signals enter by one task: it sets events, and decides nothing else."""

from __future__ import annotations

import logging
import signal

import trio

from aimem.supervisor.control import Control

log = logging.getLogger(__name__)


async def run_signals(
    control: Control, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Turn the first SIGTERM or SIGINT into `stop`, the second into `hurry`, and each SIGHUP into a reload."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            name = signal.Signals(number).name
            if number == signal.SIGHUP:
                log.info("signal.reloading", extra={"signal": name})
                control.ask_reload()
            elif control.stop.is_set():
                log.warning("signal.hurrying", extra={"signal": name})
                control.hurry.set()
            else:
                log.info("signal.stopping", extra={"signal": name})
                control.stop.set()


async def run_hangups(
    control: Control, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Turn each SIGHUP into a reload, where other signals are somebody else's."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            log.info("signal.reloading", extra={"signal": signal.Signals(number).name})
            control.ask_reload()
