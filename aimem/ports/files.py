"""Files: database connections, the lock, and small files that must be whole or absent.

Connections are a port so that tests can lose, tear and delay writes (apsw with a Python VFS) where production uses
pysqlite3, whose SQLite is newer than the interpreter's; without that package the interpreter's own serves if it is
3.44 or newer and has FTS5.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

from aimem.ports import durable

SqlValue: TypeAlias = str | int | float | bytes | None
Parameters: TypeAlias = Sequence[SqlValue] | Mapping[str, SqlValue]
Row: TypeAlias = tuple[SqlValue, ...]

MIN_SQLITE = (3, 44, 0)
PROGRESS_STEPS = 2_000
SMALL_FILE_MAX_BYTES = 1024 * 1024
_HINT_BYTES = 200


class DatabaseFault(StrEnum):
    """What a database error means for us, whatever driver raised it."""

    FULL = "full"                  # no room: nothing of the transaction is stored
    READ_ONLY = "read_only"
    BUSY = "busy"
    INTERRUPTED = "interrupted"    # by our own progress handler
    CORRUPT = "corrupt"
    NOT_A_DATABASE = "not_a_database"
    CANNOT_OPEN = "cannot_open"
    IO = "io"                      # a read, write or sync failed: what is on disk is unknown
    CONSTRAINT = "constraint"
    OTHER = "other"


class DatabaseError(Exception):
    """A driver's error, classified. `__cause__` is the driver's own."""

    def __init__(self, message: str, fault: DatabaseFault) -> None:
        super().__init__(message)
        self.fault = fault


class Mode(Enum):
    """What a connection may do."""

    READ_WRITE_CREATE = "rwc"
    READ_ONLY = "ro"
    UNTOUCHED = "untouched"    # read-only, and no file is made beside it: for one that nobody writes meanwhile


class Cursor(Protocol):
    """Rows of one statement."""

    @property
    def rowcount(self) -> int:
        """Rows changed by the statement; -1 for a query."""
        ...

    def fetchone(self) -> Row | None:
        """The next row."""
        ...

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Row]: ...


class Connection(Protocol):
    """One SQLite connection in autocommit mode: transactions are begun and ended by statements of ours.

    All methods raise DatabaseError and nothing else of the driver's.
    """

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run one statement for each row."""
        ...

    def executescript(self, sql: str) -> None:
        """Run several statements; a failing one stops the rest. Does not commit by itself."""
        ...

    def stop_when(self, is_due: Callable[[], bool] | None, *, every_steps: int = PROGRESS_STEPS) -> None:
        """Ask `is_due` every so many steps of a statement; True ends it with INTERRUPTED. None removes it.

        The steps of a prepared statement add up from one run of it to the next.
        """
        ...

    def close(self) -> None:
        """Close; twice does no harm."""
        ...


class LockHeld(Exception):
    """Another process holds the lock; `hint` is what it wrote there (never the truth)."""

    def __init__(self, hint: str) -> None:
        super().__init__(hint)
        self.hint = hint


class Files(Protocol):
    """The file system, as far as a node uses it."""

    def connect(self, path: Path, mode: Mode) -> Connection:
        """Open a database file (0600 when created)."""
        ...

    def lock(self, path: Path, hint: str) -> FileLock:
        """Take an exclusive advisory lock for the life of the object. Raises: LockHeld, OSError."""
        ...

    def read(self, path: Path) -> bytes | None:
        """The bytes of a small file, or None if there is no such file.

        Raises: OSError, also for what is no regular file (a pipe would never end) or has more than a mebibyte.
        """
        ...

    def read_up_to(self, path: Path, limit_bytes: int) -> bytes | None:
        """As `read`, of a file that may be larger. Raises: OSError."""
        ...

    def write_new(self, path: Path, data: bytes) -> None:
        """Write a file (0600) that need not outlive a crash; one of that name goes. Raises: OSError."""
        ...

    def clear_folder(self, path: Path) -> None:
        """Make a folder (0700); what was in its place, or in it, goes. Raises: OSError."""
        ...

    def drop_folder(self, path: Path) -> None:
        """Take a folder away with all that is in it, or the link or file in its place; none does no harm.

        Raises: OSError.
        """
        ...

    def write_durably(self, path: Path, data: bytes) -> None:
        """Replace the file as a whole (0600, its owner's): temporary file, sync, rename, sync of the folder.

        Raises: OSError.
        """
        ...

    def size_bytes(self, path: Path) -> int:
        """Size of a file, 0 if there is none."""
        ...


class FileLock(Protocol):
    """A lock held until closed."""

    def close(self) -> None:
        """Release; twice does no harm."""
        ...


class _Flock:
    def __init__(self, path: Path, hint: str) -> None:
        is_new = not os.path.lexists(path)
        # What a link of that name led to would be overwritten by the hint.
        self._fd = _open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = os.read(self._fd, _HINT_BYTES).decode(errors="replace").strip()
            self.close()
            raise LockHeld(held) from None
        except OSError:
            self.close()
            raise
        if is_new:
            durable.give_to(self._fd, path.parent.stat())
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its hint
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, hint.encode(), 0)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def lock_hint(path: Path) -> str | None:
    """What the holder of a lock wrote there; None if nobody holds it, or there is no such file. Raises: OSError.

    It is taken for a moment to find out, shared, so that two who look do not see each other.
    """
    try:
        fd = _open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(fd, _HINT_BYTES).decode(errors="replace").strip()
    finally:
        os.close(fd)
    return None


class _SystemFiles:
    def connect(self, path: Path, mode: Mode) -> Connection:
        from aimem.ports.sqlite import open_sqlite

        return open_sqlite(path, mode)

    def lock(self, path: Path, hint: str) -> FileLock:
        return _Flock(path, hint)

    def read(self, path: Path) -> bytes | None:
        return self.read_up_to(path, SMALL_FILE_MAX_BYTES)

    def read_up_to(self, path: Path, limit_bytes: int) -> bytes | None:
        try:
            fd = _open_regular(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as stream:
            data = stream.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise OSError(errno.EFBIG, f"it has more than {limit_bytes} bytes", str(path))
        return data

    def write_new(self, path: Path, data: bytes) -> None:
        with _created(path) as fd:
            _write_all(fd, data)

    def clear_folder(self, path: Path) -> None:
        self.drop_folder(path)
        path.mkdir(mode=0o700)

    def drop_folder(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            if path.is_symlink() or not path.is_dir():
                path.unlink()       # never what a link leads to
            else:
                shutil.rmtree(path)

    def write_durably(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(path.name + ".new")
        with _created(temporary) as fd:
            _write_all(fd, data)
            durable.give_as(fd, path)   # root may do this for others
            os.fsync(fd)
        durable.move_durably(temporary, path)

    def size_bytes(self, path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0


def _open_regular(path: Path, flags: int) -> int:
    """Open a file that is one: a pipe, a device or a folder in its place is an error, and does not block."""
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(errno.ELOOP, "it is a symbolic link", str(path)) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return fd


def _write_all(fd: int, data: bytes) -> None:
    while data:     # the kernel may take less than it is given
        data = data[os.write(fd, data) :]


@contextlib.contextmanager
def _created(path: Path) -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def system_files() -> Files:
    """The machine's file system."""
    return _SystemFiles()
