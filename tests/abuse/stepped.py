"""A command of ours that kills itself before its N-th change of a folder: `python -m tests.abuse.stepped N verb ...`.

A change is a file that is opened to be written, renamed or removed, a folder that is made or removed, a sync, and what
SQLite is told to write. Those within the present folder count, so that what Python itself keeps does not.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from aimem.__main__ import carry_out
from aimem.ports import sqlite
from tests.cycles.tether import kill_self

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"})


class Steps:
    """Counts changes, and ends the process before the last one that it may not make."""

    def __init__(self, last: int, folder: Path) -> None:
        self._left, self._folder = last, str(folder)

    def reach(self) -> None:
        """A change is about to be made."""
        self._left -= 1
        if self._left == 0:
            kill_self()

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Told by Python of what it is about to do."""
        is_change = event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & WRITING)
        if is_change and isinstance(args[0], str | os.PathLike) and os.fspath(args[0]).startswith(self._folder):
            self.reach()


def arm(steps: Steps) -> None:
    """Have each change counted."""
    sys.addaudithook(steps.hear)
    real_fsync, real_execute = os.fsync, sqlite._Connection.execute

    def fsync(fd: int) -> None:
        steps.reach()
        real_fsync(fd)
        steps.reach()

    def execute(self: Any, sql: str, parameters: Any = ()) -> Any:
        if sql.startswith(("VACUUM", "COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)")):
            steps.reach()
        return real_execute(self, sql, parameters)

    os.fsync = fsync
    sqlite._Connection.execute = execute  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(Steps(int(sys.argv[1]), Path.cwd()))
    carry_out(sys.argv[2:])
