"""Snapshots beside the databases: of small chunks, soon dropped, never many, and none of them left in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import trio

from aimem.store import spool
from aimem.wire import copies
from tests.sim.machine import Process
from tests.sim.watch import Watcher

OBJECTS: Final = 5
"""In a chunk: with as many as in earnest every snapshot of a run would have one."""
KEPT_S: Final = 10.0
"""A joiner that was away, or asks slowly, finds its snapshot gone, as after ten minutes in earnest."""
FRESH_S: Final = 4.0
LOOKS: Final = 14
LOOK_S: Final = 3.0
"""Whoever asked last may do so once more, by a message that comes twice, up to twenty seconds later."""
BEING_DROPPED: Final = 1


@contextmanager
def small_snapshots() -> Iterator[None]:
    """Have the nodes cut their snapshots into small chunks, and keep them for a short time; inside the block."""
    objects, kept_s, fresh_s = copies.SNAPSHOT_OBJECTS, spool.KEPT_S, spool.FRESH_S
    copies.SNAPSHOT_OBJECTS = OBJECTS  # type: ignore[misc]
    spool.KEPT_S, spool.FRESH_S = KEPT_S, FRESH_S  # type: ignore[misc]
    try:
        yield
    finally:
        copies.SNAPSHOT_OBJECTS = objects  # type: ignore[misc]
        spool.KEPT_S, spool.FRESH_S = kept_s, fresh_s  # type: ignore[misc]


def check_few(process: Process, watcher: Watcher) -> None:
    """Whatever happens, no more snapshots lie beside a database than may."""
    watcher.checks += 1
    count = len(_beside(process))
    if count > spool.KEPT_MAX + BEING_DROPPED:
        watcher.find("spool", f"{process.name} keeps {count} snapshots")


async def check_none_left(processes: Callable[[], Sequence[Process]], watcher: Watcher) -> None:
    """When nobody reads of them any more, all snapshots go."""
    left: list[str] = []
    for _ in range(LOOKS):
        left = [process.name for process in processes() if _beside(process)]
        if not left:
            break
        await trio.sleep(LOOK_S)
    watcher.checks += len(processes())
    for name in left:
        watcher.find("spool", f"{name} keeps a snapshot that nobody reads, {LOOKS * LOOK_S:g} s after all was quiet")


def _beside(process: Process) -> list[str]:
    folder = process.db.with_name(process.db.name + spool.FOLDER_SUFFIX)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
