"""The right of one process to a database."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from aimem.errors import AimemError, InvalidRequest, Unavailable
from aimem.ports import DatabaseError, DatabaseFault, FileLock, Files, durable
from aimem.store import replacing
from aimem.store.faults import translate, translated

LOCK_SUFFIX: Final = ".lock"
MAGIC: Final = b"SQLite format 3\0"


class NodeLock:
    """The right to open a database, held for the life of a process.

    `flock` on `DB.lock`: the kernel drops it when the process ends, however it ends. The file's text is only a hint.
    """

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    @classmethod
    def take(cls, files: Files, db: Path, hint: str) -> NodeLock:
        """Take it, or raise at once; and finish what a `restore` began that was cut off.

        Raises: ports.LockHeld if another process has it; InvalidRequest or Unavailable if the path cannot be used;
          Corrupt(not_a_database) for a file of another kind, beside which nothing is left.
        """
        try:
            if db.is_dir():
                raise InvalidRequest(f"{db} is a folder; name a file with --db", field="db")
            if db.exists() and not db.is_file():
                raise InvalidRequest(f"{db} is a device, a pipe or a socket; name a file with --db", field="db")
            if db.exists() and db.stat().st_nlink > 1:
                # Lock and write-ahead log go by the name: a process on each of two names would write over the other.
                raise InvalidRequest(
                    f"{db} is a file of more than one name (a hard link), and is damaged if two processes open it by "
                    "two of them; remove the other names, or copy the file", field="db",
                )
            if _is_foreign(db):
                raise translate(DatabaseError("its first bytes are others", DatabaseFault.NOT_A_DATABASE), db)
            lock = cls(files.lock(db.with_name(db.name + LOCK_SUFFIX), hint))
        except FileNotFoundError as error:
            raise InvalidRequest(
                f"the folder {db.parent} does not exist; create it, or name another file with --db", field="db"
            ) from error
        except OSError as error:
            found = Path(error.filename or db)
            raise Unavailable(f"cannot lock {found}: {error.strerror or error}; {_remedy(found)}") from error

        try:
            with translated(db):
                replacing.finish(db)
        except AimemError:
            lock.release()
            raise
        return lock

    def release(self) -> None:
        """Give it back; twice does no harm."""
        self._lock.close()


def _remedy(path: Path) -> str:
    """What to do about a lock, or a database, that cannot be opened."""
    try:
        owner = durable.owner_of(path)
        folders = durable.owner_of(path.parent)
    except OSError:
        return "check it, and its folder's permissions"
    if owner == folders:
        return f"it belongs to {owner}, as its folder does: run this as that user"
    return (f"it belongs to {owner}, and its folder to {folders}: run this as {owner}, or, as root, chown {folders} "
            f"{shlex.quote(str(path))}")


def _is_foreign(db: Path) -> bool:
    """Whether a file is none of SQLite's. One that was ever opened here is not judged by its first bytes.

    The log beside it may hold the page that they are on, and whoever holds the lock may be writing them just now.
    """
    if any(db.with_name(db.name + suffix).exists() for suffix in (LOCK_SUFFIX, "-wal", "-journal")):
        return False
    try:
        with db.open("rb") as file:
            begin = file.read(len(MAGIC))
    except OSError:
        return False    # not there yet; or not to be read, which whoever opens it says better
    return begin not in (b"", MAGIC)
