"""A short look at a database, for whoever wants to know how it is: it ends in time, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from aimem.model import Hlc, Instant, instant_of
from aimem.ports import Connection, DatabaseError, DatabaseFault, Files, Mode
from aimem.store import forms, heldops, inbox, oplog, replacing, schema, spool
from aimem.store.faults import translated

FINDINGS_MAX: Final = 3
_QUICK = f"PRAGMA quick_check({FINDINGS_MAX:d})"


class Glance(Struct, frozen=True, kw_only=True):
    """What was seen.

    Attributes:
      version: of its schema; of an older one only `findings` are looked for. 0: the file is empty.
      is_early: whether it is an early form of this version's schema; it is looked at as an older one is.
      findings: what SQLite finds damaged, in its words.
      is_whole: whether all of it was looked at before time was up.
      held: writes that it cannot apply.
      newest: the latest moment that a write in it has; None without any.
    """

    version: int
    is_early: bool = False
    findings: tuple[str, ...] = ()
    is_whole: bool = True
    held: int = 0
    newest: Instant | None = None


def log_path(db: Path) -> Path:
    """Where SQLite keeps its write-ahead log."""
    return db.with_name(db.name + "-wal")


def look(files: Files, db: Path, mode: Mode, is_late: Callable[[], bool]) -> Glance:
    """Look until it is late.

    Args:
      mode: UNTOUCHED where nobody writes it and it has no write-ahead log, else READ_ONLY.
    Raises: Corrupt if it is none of ours, or cannot be read at all; Unavailable.
    """
    with translated(db):
        conn = files.connect(db, mode)
        try:
            version = schema.recognise(conn, db)
            is_early = version == schema.SCHEMA_VERSION and bool(forms.scripts_for(conn, version))
            if is_early or version < schema.SCHEMA_VERSION:
                findings, is_whole = _quick(conn, is_late)
                return Glance(version=version, is_early=is_early, findings=findings, is_whole=is_whole)
            held, newest = heldops.count(conn), oplog.last_hlc(conn)
            findings, is_whole = _quick(conn, is_late)
        finally:
            conn.close()
    return Glance(
        version=version, findings=findings, is_whole=is_whole, held=held,
        newest=instant_of(Hlc(newest)) if newest else None,
    )


def _quick(conn: Connection, is_late: Callable[[], bool]) -> tuple[tuple[str, ...], bool]:
    conn.stop_when(is_late)
    try:
        found = tuple(str(row[0]) for row in conn.execute(_QUICK).fetchall())
    except DatabaseError as error:
        if error.fault is not DatabaseFault.INTERRUPTED:
            raise
        return (), False
    return () if found == ("ok",) else found, True


def kept_copies(db: Path) -> tuple[str, ...]:
    """Names of the copies beside a database that restores and migrations kept. Raises: OSError."""
    starts = (f"{db.stem}.pre-restore-", f"{db.name}.schema-")
    return tuple(sorted(
        path.name for path in db.parent.iterdir() if path.name.startswith(starts) and path.suffix in (".db", ".backup")
    ))


def unfinished(db: Path) -> tuple[str, ...]:
    """Names of what a process at work has beside a database, and one that was killed leaves. Raises: OSError."""
    suffixes = (inbox.FOLDER_SUFFIX, spool.FOLDER_SUFFIX, replacing.COPY_SUFFIX)
    return tuple(db.name + suffix for suffix in suffixes if db.with_name(db.name + suffix).exists())
