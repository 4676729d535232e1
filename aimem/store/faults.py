"""From the database's faults to errors of ours."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from aimem.errors import AimemError, Bug, Code, Corrupt, Unavailable, leaves
from aimem.ports import DatabaseError, DatabaseFault


def translate(error: DatabaseError, path: Path) -> AimemError:
    """The error that a caller should see for a fault of this database."""
    match error.fault:
        case DatabaseFault.FULL:
            return Unavailable(
                f"the disk of {path} is full; nothing was stored: free some space and retry", code=Code.STORAGE_FULL
            )
        case DatabaseFault.READ_ONLY:
            return Unavailable(
                f"{path} is read-only; nothing was stored: check the permissions of the file and its folder",
                code=Code.STORAGE_READ_ONLY,
            )
        case DatabaseFault.BUSY:
            return Unavailable(
                f"{path} is locked by another program; retry, or find it with fuser", code=Code.DATABASE_BUSY
            )
        case DatabaseFault.INTERRUPTED:
            return Unavailable(
                "the read did not end before its deadline; narrow it or retry", code=Code.DEADLINE_EXCEEDED
            )
        case DatabaseFault.CANNOT_OPEN:
            return Unavailable(f"cannot open {path}: check that it is a file, and its permissions")
        case DatabaseFault.NOT_A_DATABASE:
            return Corrupt(
                f"{path} is no SQLite database; move it away or name another with --db", code=Code.NOT_A_DATABASE
            )
        case DatabaseFault.CORRUPT | DatabaseFault.IO:
            return Corrupt(f"{path} cannot be trusted ({error}); stop, keep a copy, and restore from a backup")
        case _:
            return Bug(f"the database refused a statement of ours: {error}")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Let no DatabaseError, and no OSError of the files beside the database, leave the room."""
    try:
        yield
    except DatabaseError as error:
        raise translate(error, path) from error
    except OSError as error:
        raise _translate_os(error, path) from error


@contextlib.contextmanager
def log_kept(path: Path) -> Iterator[None]:
    """The same, where the write-ahead log is moved into the database: what cannot be moved is kept in it."""
    with translated(path):
        try:
            yield
        except DatabaseError as error:
            if error.fault is not DatabaseFault.IO:
                raise
            # Pages that the disk lost would be taken for written by this process; the next one reads them from the
            # log, where each commit was synced before it was acknowledged.
            raise Corrupt(
                f"the write-ahead log of {path} could not be moved into it ({error}); nothing that was acknowledged is "
                "lost, as the log is kept: look at the disk, and start again"
            ) from error


def _translate_os(error: OSError, path: Path) -> AimemError:
    """The error for a file beside the database (the key, a backup copy) that cannot be read or written."""
    at = error.filename or path
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return Unavailable(f"the disk of {at} is full: free some space and retry", code=Code.STORAGE_FULL)
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return Unavailable(
                f"{at} cannot be read or written: check the permissions of the file and its folder",
                code=Code.STORAGE_READ_ONLY,
            )
        case _:
            return Unavailable(f"cannot use {at}: {error.strerror or error}")


def single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error to name of several: what is corrupt first, since it ends the process."""
    found = list(leaves(group))
    return next((error for error in found if isinstance(error, Corrupt)), found[0])
