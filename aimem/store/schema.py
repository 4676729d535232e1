"""Creating, checking and migrating the schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from aimem.errors import Code, Corrupt, Unavailable
from aimem.ports import Connection, DatabaseError, DatabaseFault, Files
from aimem.store import forms, scratch

SCHEMA_VERSION = 3
APPLICATION_ID = 0x61694D6D  # "aiMm": tells our files from other SQLite databases

_READ_VERSION = "PRAGMA user_version"
_READ_APPLICATION = "PRAGMA application_id"
_COUNT_TABLES = "SELECT count(*) FROM sqlite_schema"
_BEGIN = "BEGIN IMMEDIATE"
_COMMIT = "COMMIT"
_ROLLBACK = "ROLLBACK"
_BACKUP = "VACUUM INTO :path"
# Decided before the first table: the file then gives free pages back in small steps. One that was made without it keeps
# its free pages, and uses them again.
_USE_SHRINKING = "PRAGMA auto_vacuum = INCREMENTAL"
_PAGES = "PRAGMA page_count"
_USE_WAL = "PRAGMA journal_mode = WAL"
_PRAGMAS_WRITER = (
    "PRAGMA synchronous = FULL",
    # SQLite passes over a sync that fails while it moves the log by itself, and tries again.
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",
    "PRAGMA journal_size_limit = 67108864",
)
_FOREIGN_KEYS = "PRAGMA foreign_keys = ON"
_PRAGMAS_READER = (
    # The file is opened read-only, so "query_only" would forbid only the temporary tables that scoring words needs.
    # Two connections that checkpoint and write at once can corrupt the file in the SQLite that we carry (design §4).
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA temp_store = MEMORY",
    # 32 MiB each, taken as far as the database has pages: among a million rows a recall reads a fifth less from files
    # than with 8.
    "PRAGMA cache_size = -32768",
)
_CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"
_CHECKPOINT_AT_ONCE = "PRAGMA wal_checkpoint(PASSIVE)"
# An older SQLite than 3.51 takes this for the one above, and so moves the log after each commit.
_LOG_PAGES = "PRAGMA wal_checkpoint(NOOP)"
_PATIENCE = "PRAGMA busy_timeout"
_SET_PATIENCE = "PRAGMA busy_timeout = {ms:d}"


def prepare_writer(conn: Connection, path: Path) -> None:
    """Set what holds for the one connection that writes and checkpoints.

    Raises: Unavailable if there can be no write-ahead log; DatabaseError.
    """
    if conn.execute(_PAGES).fetchall() == [(0,)]:   # a file that is there would be written, and may be read-only
        conn.execute(_USE_SHRINKING).fetchall()
    if conn.execute(_USE_WAL).fetchall() != [("wal",)]:
        # A file system without shared memory. With another journal, readers and the writer would lock each other out.
        raise Unavailable(f"the file system of {path} cannot keep a write-ahead log; put the database on a local disk")
    for pragma in _PRAGMAS_WRITER:
        conn.execute(pragma).fetchall()


def prepare_reader(conn: Connection) -> None:
    """Set what holds for each connection that only reads."""
    for pragma in _PRAGMAS_READER:
        conn.execute(pragma).fetchall()
    scratch.create(conn)


def checkpoint(conn: Connection) -> None:
    """Move the write-ahead log into the database and empty it; readers of older snapshots may leave a rest."""
    conn.execute(_CHECKPOINT).fetchall()


def shorten_wal(conn: Connection) -> None:
    """The same without waiting for readers: where one of them needs the log, it stays for this time."""
    row = conn.execute(_PATIENCE).fetchone()
    conn.execute(_SET_PATIENCE.format(ms=0)).fetchall()
    try:
        checkpoint(conn)
    finally:
        conn.execute(_SET_PATIENCE.format(ms=row[0] if row and isinstance(row[0], int) else 0)).fetchall()


def checkpoint_long_log(conn: Connection, pages: int) -> None:
    """Move a write-ahead log of at least so many pages into the database, but for what a reader keeps it from."""
    row = conn.execute(_LOG_PAGES).fetchone()
    if row is not None and isinstance(row[1], int) and row[1] >= pages:
        conn.execute(_CHECKPOINT_AT_ONCE).fetchall()


def schema_version(conn: Connection) -> int:
    """The version that the file says it has."""
    row = conn.execute(_READ_VERSION).fetchone()
    return int(row[0]) if row and isinstance(row[0], int) else 0


def recognise(conn: Connection, path: Path) -> int:
    """Look whether the file is one of ours, and leave it as it is.

    Returns: the version of its schema; 0 for an empty file.
    Raises: Corrupt(newer_schema) for a file of a later version of ours, Corrupt(not_a_database) for one of another
      program; Unavailable, DatabaseError.
    """
    try:
        version = schema_version(conn)
        application = conn.execute(_READ_APPLICATION).fetchone()
        tables = conn.execute(_COUNT_TABLES).fetchone()
    except DatabaseError as error:
        if error.fault is not DatabaseFault.IO:
            raise
        # No reason to distrust the file: a disk without room for the log's index gives the same error.
        raise Unavailable(
            f"{path} cannot be opened ({error}); check that its disk has room and is sound, and start again"
        ) from error
    is_empty = tables is not None and tables[0] == 0
    is_ours = application is not None and application[0] == APPLICATION_ID
    if not is_empty and (not is_ours or version < 1):
        raise Corrupt(
            f"{path} is a database of another program (or of ai-memory before 0.1.0); name another file with --db, and "
            "bring its memories over with export and import",
            code=Code.NOT_A_DATABASE,
        )
    if version > SCHEMA_VERSION:
        raise Corrupt(
            f"{path} has schema {version}; this ai-memory knows up to {SCHEMA_VERSION}: install the newer version that "
            "wrote it",
            code=Code.NEWER_SCHEMA,
        )
    return 0 if is_empty else version


def ensure_schema(conn: Connection, files: Files, path: Path, version: int, tell: Callable[[str], None]) -> None:
    """Create the newest schema in an empty file, or bring an older file to it.

    Args:
      version: what `recognise` found.
      tell: is handed a sentence before a migration begins (it may take a while).
    Raises: DatabaseError, OSError; then the file is as it was.
    """
    if version == 0:
        _in_one_transaction(conn, [_sql("schema", f"{SCHEMA_VERSION:04}.sql")])
    elif (early := forms.scripts_for(conn, version)) or version < SCHEMA_VERSION:
        _migrate(conn, files, path, version, tell, early)
    # Not before: when a migration drops the old form of a table, the rows that refer to it would go with it.
    conn.execute(_FOREIGN_KEYS)


def _migrate(
    conn: Connection, files: Files, path: Path, version: int, tell: Callable[[str], None], early: Sequence[str]
) -> None:
    copy = path.with_name(f"{path.name}.schema-{version}.backup")
    form = "an early form of " if early else ""
    tell(f"migrating {path} from {form}schema {version} to {SCHEMA_VERSION}; the old file is kept as {copy}")
    # SQLite fills an empty file as readily as a new one, and a new one would be everybody's to read.
    files.write_durably(copy, b"")
    conn.execute(_BACKUP, {"path": str(copy)})
    later = [_sql("migrations", name) for number, name in migrations() if number > version]
    finish = forms.show_dialogues if forms.FIRST in early else None
    _in_one_transaction(conn, [*(_sql("forms", name) for name in early), *later], finish)


def migrations() -> list[tuple[int, str]]:
    """(version that it leads to, file name) of every migration, in order."""
    names = [entry.name for entry in resources.files("aimem.store").joinpath("sql", "migrations").iterdir()]
    return sorted((int(name[:4]), name) for name in names if re.fullmatch(r"\d{4}_\w+\.sql", name))


def _sql(folder: str, name: str) -> str:
    return resources.files("aimem.store").joinpath("sql", folder, name).read_text("utf-8")


def _in_one_transaction(
    conn: Connection, scripts: Sequence[str], finish: Callable[[Connection], None] | None = None
) -> None:
    """Run scripts that lead to the newest schema, and what only functions can do behind them: all of it or nothing."""
    conn.execute(_BEGIN)
    try:
        for script in scripts:
            conn.executescript(script)
        if finish is not None:
            finish(conn)
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        conn.execute(_COMMIT)
    except BaseException:
        if conn.in_transaction:
            conn.execute(_ROLLBACK)
        raise
