"""What a daemon takes of its machine, seen from outside, and what it says of itself."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
from msgspec import Struct

PROC: Final = Path("/proc")
DATABASE: Final = (".db", ".db-wal", ".db-shm")
_KIB: Final = re.compile(r"^(\w+):\s+(\d+)(?: kB)?$", re.MULTILINE)
_SAMPLE: Final = re.compile(r"^(\w+)(?:\{.*\})? (\S+)$", re.MULTILINE)


class Process(Struct, frozen=True, kw_only=True):
    """What the kernel says of a process.

    Attributes:
      rss_kib, own_kib: memory that it uses, and what of it is its alone; where nobody may look, that is all of it.
      cpu_s: processor time since it began.
      sockets, files, database: open file descriptors, by what they are; what is neither a socket nor a file of a
        database is a file.
    """

    rss_kib: int
    own_kib: int
    cpu_s: float
    threads: int
    sockets: int
    files: int
    database: int


class Sample(Struct, frozen=True, kw_only=True):
    """One node at one moment, `at_s` seconds after the load began.

    Attributes:
      tasks: of Trio, while it is asked.
      queued: what waits in its queues, together.
      held: ops that it cannot fold.
      sqlite_bytes: what SQLite holds of its memory, by its own account.
    """

    at_s: float
    node: str
    process: Process
    tasks: int
    queued: int
    held: int
    memories: int
    tombstones: int
    log_ops: int
    db_bytes: int
    wal_bytes: int
    sqlite_bytes: int

    @property
    def handles(self) -> int:
        """Open file descriptors, but for those of the database."""
        return self.process.sockets + self.process.files

    @property
    def rest_kib(self) -> int:
        """Its memory but for what SQLite holds."""
        return self.process.own_kib - (self.sqlite_bytes >> 10)


MEASURES: Final[dict[str, Callable[[Sample], int]]] = {
    "memory": lambda sample: sample.rest_kib,
    "handles": lambda sample: sample.handles,
    "database handles": lambda sample: sample.process.database,
    "threads": lambda sample: sample.process.threads,
    "tasks": lambda sample: sample.tasks,
    "queued": lambda sample: sample.queued,
}
"""What has to stay level; memory in KiB, without SQLite's."""


def look_at(pid: int) -> Process:
    """Ask the kernel. Raises: OSError if there is no such process."""
    folder = PROC / str(pid)
    status = dict(_KIB.findall((folder / "status").read_text()))
    rss_kib, own_kib = int(status["VmRSS"]), 0
    with contextlib.suppress(OSError):      # PermissionError, or a kernel without it
        told = dict(_KIB.findall((folder / "smaps_rollup").read_text()))
        own_kib = int(told["Private_Clean"]) + int(told["Private_Dirty"])
    handles = [_target(handle) for handle in (folder / "fd").iterdir()]
    sockets = sum(target.startswith("socket:") for target in handles)
    database = sum(target.endswith(DATABASE) for target in handles)
    user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    return Process(
        rss_kib=rss_kib, own_kib=own_kib or rss_kib, threads=int(status["Threads"]), sockets=sockets,
        files=len(handles) - sockets - database, database=database,
        cpu_s=(int(user) + int(system)) / os.sysconf("SC_CLK_TCK"),
    )


def _target(handle: Path) -> str:
    """What an open file is; empty if it was closed meanwhile."""
    try:
        return str(handle.readlink())
    except OSError:
        return ""


async def sample_of(name: str, pid: int, http: httpx.AsyncClient, at_s: float) -> Sample:
    """Look at a node, and then ask it by its socket: the connection for that is not among the handles."""
    process = look_at(pid)
    page = (await http.get("/metrics")).raise_for_status().text
    figures: dict[str, float] = {}
    for metric, value in _SAMPLE.findall(page):
        figures[metric] = figures.get(metric, 0.0) + float(value)

    def told(*metrics: str) -> int:
        return int(sum(figures[f"ai_memory_{metric}"] for metric in metrics))

    return Sample(
        at_s=at_s, node=name, process=process, tasks=told("tasks"),
        queued=told("write_queue", "touch_queue", "audit_queue"), held=told("ops_held"), memories=told("memories"),
        tombstones=told("tombstones"), log_ops=told("op_log_ops"), db_bytes=told("db_bytes"),
        wal_bytes=told("wal_bytes"), sqlite_bytes=told("sqlite_bytes"),
    )
