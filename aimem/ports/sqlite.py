"""Production's database connections: pysqlite3 (a newer SQLite than the interpreter's), else the interpreter's own."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final  # Any: the objects of the driver, pysqlite3 has no types
from urllib.parse import quote

from aimem.errors import Unavailable
from aimem.ports.files import (
    MIN_SQLITE,
    PROGRESS_STEPS,
    Connection,
    Cursor,
    DatabaseError,
    DatabaseFault,
    Mode,
    Parameters,
)

try:
    from pysqlite3 import _sqlite3 as driver
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # no wheel for this machine
    import _sqlite3 as driver
    import sqlite3 as sqlite

_FAULTS = {
    3: DatabaseFault.CANNOT_OPEN, 5: DatabaseFault.BUSY, 6: DatabaseFault.BUSY, 8: DatabaseFault.READ_ONLY,
    9: DatabaseFault.INTERRUPTED, 10: DatabaseFault.IO, 11: DatabaseFault.CORRUPT, 13: DatabaseFault.FULL,
    14: DatabaseFault.CANNOT_OPEN, 15: DatabaseFault.BUSY, 19: DatabaseFault.CONSTRAINT,
    20: DatabaseFault.CONSTRAINT, 26: DatabaseFault.NOT_A_DATABASE,
}
_MODES = {Mode.READ_WRITE_CREATE: "rw", Mode.READ_ONLY: "ro", Mode.UNTOUCHED: "ro&immutable=1"}
_OS_FAULTS = {
    errno.ENOSPC: DatabaseFault.FULL, errno.EDQUOT: DatabaseFault.FULL, errno.EROFS: DatabaseFault.READ_ONLY,
    errno.EIO: DatabaseFault.IO,
}


def sqlite_version() -> str:
    """Version of the SQLite library in use."""
    return str(sqlite.sqlite_version)


def memory_used_bytes() -> int | None:
    """What SQLite holds for all connections of this process: caches of pages, statements, temporary tables.

    Returns: None where its library does not tell.
    """
    ask = _ask_memory_used()
    return None if ask is None else ask()


@cache
def _ask_memory_used() -> Callable[[], int] | None:
    try:
        # The driver's own file, which leads to the SQLite that it uses; a process may have loaded another one besides.
        # A driver that is built into the interpreter has no file, and None stands for the interpreter.
        ask = ctypes.CDLL(getattr(driver, "__file__", None)).sqlite3_memory_used
    except (OSError, AttributeError):
        return None
    ask.argtypes, ask.restype = (), ctypes.c_int64
    return ask


def fault_of_code(code: int) -> DatabaseFault:
    """What a result code of SQLite, extended or not, means for us."""
    return _FAULTS.get(code & 0xFF, DatabaseFault.OTHER)


def _translated(error: Exception) -> DatabaseError:
    # By number only: SQLite's messages quote statements and search words, in which any other message may stand. The
    # driver's own errors have no number.
    code = getattr(error, "sqlite_errorcode", None)
    return DatabaseError(str(error), fault_of_code(code) if isinstance(code, int) else DatabaseFault.OTHER)


STATEMENTS_KEPT: Final = 512
"""Prepared statements that a connection keeps. pysqlite3 counts uses and lets none but the least used go, so a cache
that is full of what an opening ran once keeps those, and statements that come later push out each other: each use of
them is then prepared anew, which took longer than running them. The code has about 300 texts."""

_ERRORS = (sqlite.Error, sqlite.Warning, MemoryError)  # the driver's word for SQLITE_NOMEM, also at a COMMIT


def create_private(path: Path) -> None:
    """Make an empty file (0600) if there is none: SQLite gives its own files the permissions of this one.

    Raises: DatabaseError.
    """
    try:
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        fault = _OS_FAULTS.get(error.errno or 0, DatabaseFault.CANNOT_OPEN)
        raise DatabaseError(error.strerror or str(error), fault) from error


def split_script(sql: str) -> Iterator[str]:
    """The statements of a script; what follows the last semicolon is one too, unless it is blank."""
    statement = ""
    for part in re.split("(?<=;)", sql):
        statement += part
        if sqlite.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


class _Connection:
    def __init__(self, path: Path, mode: Mode) -> None:
        if mode is Mode.READ_WRITE_CREATE:
            create_private(path)
        uri = f"file:{quote(str(path.absolute()))}?mode={_MODES[mode]}"
        try:
            self._db: Any = sqlite.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0,
                cached_statements=STATEMENTS_KEPT,
            )
        except _ERRORS as error:
            raise _translated(error) from error

    @property
    def in_transaction(self) -> bool:
        try:
            return bool(self._db.in_transaction)
        except _ERRORS as error:
            raise _translated(error) from error

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        try:
            return _Cursor(self._db.execute(sql, parameters))
        except _ERRORS as error:
            raise _translated(error) from error

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> None:
        try:
            self._db.executemany(sql, rows)
        except _ERRORS as error:
            raise _translated(error) from error

    def executescript(self, sql: str) -> None:
        # The driver's own executescript commits first; a script of ours runs inside the caller's transaction.
        for statement in split_script(sql):
            self.execute(statement)

    def stop_when(self, is_due: Callable[[], bool] | None, *, every_steps: int = PROGRESS_STEPS) -> None:
        try:
            self._db.set_progress_handler(is_due, every_steps if is_due else 0)
        except _ERRORS as error:
            raise _translated(error) from error

    def close(self) -> None:
        try:
            self._db.close()
        except _ERRORS as error:
            raise _translated(error) from error


class _Cursor:
    """Translates errors that come while rows are fetched."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        return int(self._cursor.rowcount)

    def fetchone(self) -> Any:
        try:
            return self._cursor.fetchone()
        except _ERRORS as error:
            raise _translated(error) from error

    def fetchall(self) -> Any:
        try:
            return self._cursor.fetchall()
        except _ERRORS as error:
            raise _translated(error) from error

    def __iter__(self) -> Any:
        try:
            yield from self._cursor
        except _ERRORS as error:
            raise _translated(error) from error


def open_sqlite(path: Path, mode: Mode) -> Connection:
    """Open a database file.

    Raises: DatabaseError if it cannot be opened; Unavailable if the SQLite library is too old or lacks FTS5.
    """
    if sqlite.sqlite_version_info < MIN_SQLITE:
        wanted = ".".join(map(str, MIN_SQLITE))
        raise Unavailable(
            f"this Python has SQLite {sqlite.sqlite_version}; {wanted} or newer with FTS5 is needed: "
            "install pysqlite3-binary"
        )
    return _Connection(path, mode)
