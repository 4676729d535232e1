"""The children of a node: which failures end it, which are started again, and how often."""

from __future__ import annotations

import logging
import random
from collections import deque
from enum import StrEnum
from typing import Protocol

import trio
from msgspec import Struct

from aimem.errors import Corrupt

log = logging.getLogger(__name__)


class Service(Protocol):
    """A long-lived coroutine that says when it can serve."""

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run until cancelled."""
        ...


class OnFailure(StrEnum):
    """What a child's failure means."""

    END_NODE = "critical"
    RESTART = "restartable"


class Child(Struct, frozen=True, kw_only=True):
    """One service of the tree; `name` is what logs and metrics call it."""

    name: str
    run: Service
    on_failure: OnFailure


class RestartBounds(Struct, frozen=True, kw_only=True):
    """How often a child is started again: at most `restarts_max` times in `window_s`, after a pause that doubles."""

    restarts_max: int = 5
    window_s: float = 300.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0


class TaskTally:
    """Restarts of each child, for health and metrics."""

    def __init__(self) -> None:
        self._restarts: dict[str, int] = {}

    @property
    def restarts(self) -> tuple[tuple[str, int], ...]:
        """Child and count, in the order of the tree; a child that never failed counts 0."""
        return tuple(self._restarts.items())

    def enlist(self, name: str) -> None:
        """Name a child before anything happens to it."""
        self._restarts.setdefault(name, 0)

    def count(self, name: str) -> None:
        """Add a restart."""
        self._restarts[name] = self._restarts.get(name, 0) + 1


def pause_s(attempt: int, rng: random.Random, *, first_s: float, longest_s: float) -> float:
    """Seconds before attempt 1, 2, …: exponential, with full jitter in the upper half so that it never is zero."""
    ceiling = min(longest_s, first_s * 2.0 ** (attempt - 1))
    return ceiling * rng.uniform(0.5, 1.0)


class _FirstStart:
    """Passes the first `started` on: a service that is started again says it again."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status
        self.is_told = False

    def started(self, value: None = None) -> None:
        if not self.is_told:
            self.is_told = True
            self._task_status.started()


async def run_child(
    child: Child, *, tally: TaskTally, rng: random.Random, bounds: RestartBounds | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a child, and start it again after a failure if it may be.

    A failure before it could serve rises: a node that cannot start says so. So does corruption, which no restart mends.
    Raises: what the child raised, if it is critical or failed too often.
    """
    bounds, status, failures = bounds or RestartBounds(), _FirstStart(task_status), deque[float]()
    tally.enlist(child.name)
    while True:
        try:
            await child.run(task_status=status)
        except Exception as error:
            if child.on_failure is OnFailure.END_NODE or not status.is_told or _is_fatal(error):
                raise
            now = trio.current_time()
            failures.append(now)
            while failures[0] < now - bounds.window_s:
                failures.popleft()
            if len(failures) > bounds.restarts_max:
                raise
            tally.count(child.name)
            log.exception("task.restarting", extra={"task": child.name, "failure_count": len(failures)})
        else:
            return
        await trio.sleep(
            pause_s(len(failures), rng, first_s=bounds.first_pause_s, longest_s=bounds.longest_pause_s)
        )


def _is_fatal(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(Corrupt) is not None
    return isinstance(error, Corrupt)
