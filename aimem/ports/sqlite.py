"""Production's database connections: pysqlite3 (a newer SQLite than the interpreter's), else the interpreter's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any  # the driver's objects: pysqlite3 has no types
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
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # no wheel for this machine
    import sqlite3 as sqlite

_FAULTS = {
    5: DatabaseFault.BUSY, 6: DatabaseFault.BUSY, 8: DatabaseFault.READ_ONLY, 9: DatabaseFault.INTERRUPTED,
    10: DatabaseFault.IO, 11: DatabaseFault.CORRUPT, 13: DatabaseFault.FULL, 14: DatabaseFault.CANNOT_OPEN,
    19: DatabaseFault.CONSTRAINT, 26: DatabaseFault.NOT_A_DATABASE,
}
_FAULT_TEXTS = (
    ("interrupted", DatabaseFault.INTERRUPTED), ("full", DatabaseFault.FULL), ("readonly", DatabaseFault.READ_ONLY),
    ("locked", DatabaseFault.BUSY), ("not a database", DatabaseFault.NOT_A_DATABASE),
    ("malformed", DatabaseFault.CORRUPT), ("disk I/O", DatabaseFault.IO), ("unable to open", DatabaseFault.CANNOT_OPEN),
)


def sqlite_version() -> str:
    """Version of the SQLite library in use."""
    return str(sqlite.sqlite_version)


def _fault(error: Exception) -> DatabaseFault:
    code = getattr(error, "sqlite_errorcode", None)     # the interpreter's module has it, pysqlite3 does not
    if isinstance(code, int):
        return _FAULTS.get(code & 0xFF, DatabaseFault.OTHER)
    if isinstance(error, sqlite.IntegrityError):
        return DatabaseFault.CONSTRAINT
    text = str(error)
    return next((fault for words, fault in _FAULT_TEXTS if words in text), DatabaseFault.OTHER)


def _translated(error: Exception) -> DatabaseError:
    return DatabaseError(str(error), _fault(error))


_ERRORS = (sqlite.Error, sqlite.Warning)


class _Connection:
    def __init__(self, path: Path, mode: Mode) -> None:
        if mode is Mode.READ_WRITE_CREATE and not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        uri = f"file:{quote(str(path.absolute()))}?mode={'ro' if mode is Mode.READ_ONLY else 'rw'}"
        try:
            self._db: Any = sqlite.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=5.0)
        except _ERRORS as error:
            raise _translated(error) from error

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

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
        statement = ""
        for line in sql.splitlines(keepends=True):
            statement += line
            if sqlite.complete_statement(statement):
                self.execute(statement)
                statement = ""
        if statement.strip():
            raise ValueError(f"the script ends inside a statement: {statement[:80]!r}")

    def stop_when(self, is_due: Callable[[], bool] | None) -> None:
        try:
            self._db.set_progress_handler(is_due, PROGRESS_STEPS if is_due else 0)
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
