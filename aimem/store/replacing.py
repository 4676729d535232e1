"""Putting another database in the place of one, so that a process which is killed at it leaves the old one or the new.

The new database is copied, checked and synced beside the old one, and then named `DB.restored`: from that on it counts.
What is left, moving the old files aside and giving the new one its name, is done by whoever holds the lock next, before
anything is opened: a write-ahead log of the old database can never be played into the new one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from aimem.config import RESTORED_SUFFIX
from aimem.model import SECOND_US, Instant, file_stamp
from aimem.ports import Files, durable
from aimem.store import inbox, spool

VECTORS_SUFFIX: Final = ".vectors"
"""The folder of the vector index beside the database; it may be removed at any time and is made anew."""

COPY_SUFFIX: Final = ".restoring"
_LOGS: Final = ("-wal", "-journal")


def copy_path(db: Path) -> Path:
    """Where the new database is copied to; until it is checked and named otherwise it means nothing."""
    return db.with_name(db.name + COPY_SUFFIX)


def drop_copy(db: Path) -> None:
    """Leave nothing of a copy, nor of SQLite's journal of one, which would undo the next. Raises: OSError."""
    copy = copy_path(db)
    for path in (copy, *(copy.with_name(copy.name + suffix) for suffix in _LOGS)):
        path.unlink(missing_ok=True)


def is_pending(db: Path) -> bool:
    """Whether a database is to be put in the place of this one, and was not yet."""
    return _restored(db).exists()


def place_for_old(db: Path) -> Path:
    """Where the old database is to go to: nothing is there yet. Raises: OSError."""
    copy = copy_path(db)
    while (kept := _kept_path(db, copy)).exists():
        moved_ns = copy.stat().st_mtime_ns + SECOND_US * 1000
        os.utime(copy, ns=(moved_ns, moved_ns))
    return kept


def _kept_path(db: Path, copy: Path) -> Path:
    """The moment in its name is that at which the copy was made, for whoever ends what was cut off."""
    moment = Instant(copy.stat().st_mtime_ns // 1000)
    return db.with_name(f"{db.stem}.pre-restore-{file_stamp(moment)}.db")


def drop_derived(files: Files, db: Path) -> None:
    """Take away what was made from the old database and would be taken for the new one's. Raises: OSError."""
    for suffix in (VECTORS_SUFFIX, inbox.FOLDER_SUFFIX, spool.FOLDER_SUFFIX):
        files.drop_folder(db.with_name(db.name + suffix))


def commit(db: Path) -> None:
    """Have the copy count, for whoever holds the lock. Raises: OSError."""
    copy = copy_path(db)
    durable.give_as(copy, db)
    durable.sync_file(copy)
    durable.move_durably(copy, _restored(db))


def finish(db: Path) -> None:
    """Put what counts into its place; without any, nothing. For whoever holds the lock. Raises: OSError."""
    fresh = _restored(db)
    if not fresh.exists():
        return
    kept = _kept_path(db, fresh)
    for suffix in _LOGS:
        _move(db.with_name(db.name + suffix), kept.with_name(kept.name + suffix))
    db.with_name(db.name + "-shm").unlink(missing_ok=True)
    _move(db, kept)
    durable.sync_folder(db.parent)
    durable.move_durably(fresh, db)


def _restored(db: Path) -> Path:
    return db.with_name(db.name + RESTORED_SUFFIX)


def _move(source: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):    # a process before this one moved it
        source.rename(target)
