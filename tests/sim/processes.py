"""What is asked of a process as a whole: it ends after a sync that failed, and leaves no task behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import trio
from msgspec import Struct

from tests.sim.machine import Process
from tests.sim.watch import Watcher

ENDS_S: Final = 45.0
"""A process may be stopped for twenty seconds when its sync fails, and its disk may take seconds for what is next."""
TASKS_MAX: Final = 40
TASKS_EACH_MAX: Final = 4
"""For each peer; a node at rest has 18 tasks, and two for each of its peers."""


class Unsynced(Struct, frozen=True):
    """A process of which a sync failed."""

    process: Process
    at: float


def check_ended(unsynced: Iterable[Unsynced], watcher: Watcher) -> None:
    """Nobody knows what is on its disk after that: it has to end, and may not try again."""
    for one in unsynced:
        watcher.checks += 1
        is_over = trio.current_time() > one.at + ENDS_S and not one.process.power.is_paused
        if is_over and not one.process.power.is_dead:
            watcher.find("sync", f"{one.process.name} goes on {ENDS_S:g} s after a sync that failed")


def check_tasks(processes: Iterable[Process], peer_count: int, watcher: Watcher) -> None:
    """When all is quiet a process has the tasks of its services, and none of requests that are over."""
    for process in processes:
        watcher.checks += 1
        count = 0 if process.nursery is None else _count(process.nursery)
        if count > TASKS_MAX + TASKS_EACH_MAX * peer_count:
            watcher.find("bounds", f"{process.name} has {count} tasks when all is quiet, with {peer_count} peers")


def _count(nursery: trio.Nursery) -> int:
    return sum(1 + sum(map(_count, task.child_nurseries)) for task in nursery.child_tasks)
