"""How the doctor looks at files: without changing any. All of it blocks."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from aimem.errors import Corrupt, InvalidRequest, NotFound, Unavailable
from aimem.model import Instant, parse_instant
from aimem.operations.backups import read_manifest, snapshots
from aimem.operations.peerlist import translated
from aimem.operations.seen import Database, Disk
from aimem.ports import Files, Mode, durable
from aimem.store import glance, replacing, sidecar_path

SYNCS_COUNT: Final = 5
_OF_OTHERS: Final = 0o077


def look_at_disk(db: Path, *, is_held: bool) -> Disk:
    """The folder of a database; what a process at work has there is none of the leftovers. Raises: Unavailable."""
    with translated(f"cannot look at {db.parent}"):
        if not db.parent.is_dir():      # where it is to come
            db = next(parent / db.name for parent in db.parents if parent.is_dir())
        folder = db.parent
        free_bytes = durable.free_bytes(folder)
        kept, unfinished = glance.kept_copies(db), () if is_held else glance.unfinished(db)
        database_bytes = _bytes_of(db) + _bytes_of(glance.log_path(db))
    disk = Disk(
        folder=folder, free_bytes=free_bytes, database_bytes=database_bytes, kept=kept, unfinished=unfinished
    )
    try:
        return replace(disk, sync_ms=durable.synced_writes_ms(folder, SYNCS_COUNT))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return replace(disk, is_full=True)
        return replace(disk, unwritable=error.strerror or str(error))


def look_at_database(files: Files, db: Path, is_late: Callable[[], bool], *, is_held: bool) -> Database:
    """The database's file, until it is late. Raises: Corrupt, Unavailable."""
    with translated(f"cannot look at {db}"):
        is_there, is_pending, log_bytes = db.is_file(), replacing.is_pending(db), _bytes_of(glance.log_path(db))
        is_empty = not _bytes_of(db) and not log_bytes
    look = None
    if is_there and not is_empty:
        look = _look(files, db, Mode.READ_ONLY if is_held or log_bytes else Mode.UNTOUCHED, is_late)
    return Database(
        db=db, is_there=is_there, is_pending=is_pending, log_bytes=log_bytes, look=look, backup_at=_backup_at(files, db)
    )


def _look(files: Files, db: Path, mode: Mode, is_late: Callable[[], bool]) -> glance.Glance:
    """As told; but where somebody began to write it meanwhile, what was read may be of two moments, and is read again.

    Raises: Corrupt, Unavailable.
    """
    if mode is Mode.UNTOUCHED:
        try:
            found = glance.look(files, db, mode, is_late)
        except Corrupt:
            if not glance.log_path(db).exists():
                raise
        else:
            if not found.findings or not glance.log_path(db).exists():
                return found
    return glance.look(files, db, Mode.READ_ONLY, is_late)


def readable_keys(db: Path) -> tuple[Path, ...]:
    """The file of the node's key, if others than its owner may read it."""
    path = sidecar_path(db)
    with contextlib.suppress(OSError):
        if path.stat().st_mode & _OF_OTHERS:
            return (path,)
    return ()


def _backup_at(files: Files, db: Path) -> Instant | None:
    """When the newest backup of it was made, of those in the folder beside it."""
    with contextlib.suppress(NotFound, Unavailable):
        for snapshot in reversed(snapshots(db.with_name("backups"))):
            with contextlib.suppress(NotFound, Corrupt, InvalidRequest):
                made = read_manifest(files, snapshot)
                if os.path.realpath(made.source_db) == str(db):
                    return parse_instant(made.created_at, field="created_at")
    return None


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
