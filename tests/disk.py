"""A disk that fails on command: SQLite (apsw) over a file system that can delay, refuse, tear and forget writes.

`Disk` is a maker of the files port like `system_files()`. It remembers what each file held at its last sync, so that
`survivors` can write down what a machine would find after the power went.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from aimem.ports import Connection, Cursor, DatabaseError, DatabaseFault, FileLock, Mode, Parameters, system_files
from aimem.ports.files import PROGRESS_STEPS
from aimem.ports.sqlite import create_private, fault_of_code, split_script

SECTOR_BYTES = 512
_numbers = itertools.count(1)
_CHANGING = ("INSERT", "UPDATE", "DELETE", "REPLACE")

Write = tuple[int, bytes | None]
"""(offset, data), or (size, None) for a truncation."""


class _Image:
    """One file: what is on the platter, and what was written since."""

    def __init__(self, durable: bytes) -> None:
        self.durable = bytearray(durable)
        self.pending: list[Write] = []
        self.is_entry_pending = False

    def sync(self) -> None:
        for write in self.pending:
            _apply(self.durable, write)
        self.pending.clear()

    def survivor(self, rng: random.Random) -> bytes:
        """What may be found after a power cut: any part of the unsynced writes, one of them torn."""
        found = bytearray(self.durable)
        match rng.choice(["none", "prefix", "some", "all"]):
            case "none":
                kept = []
            case "prefix":
                kept = self.pending[: rng.randint(0, len(self.pending))]
            case "some":
                kept = [write for write in self.pending if rng.random() < 0.5]
            case _:
                kept = list(self.pending)
        if kept and kept[-1][1] is not None:
            offset, data = kept[-1]
            kept[-1] = offset, data[: rng.choice([rng.randint(0, len(data)), len(data) // 2, len(data)])]
        for write in kept:
            _apply(found, write)
        return bytes(found)


def _apply(content: bytearray, write: Write) -> None:
    offset, data = write
    if data is None:
        del content[offset:]
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class Disk:
    """The files port over a disk with faults. All knobs may be turned at any time.

    Attributes:
      sync_count, write_count: what was asked of it so far.
      on_sync: called in each sync, with the file's name, before it happens; may block, or raise `failed(code)`.
      writes_until_full: that many writes more, then the disk is full until this is None again.
      steps_until_cut: that many writes and syncs more, then the power goes: everything fails from then on.
      is_read_only: every write is refused, as after the kernel remounted a failing disk (SQLite: an I/O error).
    """

    def __init__(self) -> None:
        self.sync_count = self.write_count = 0
        self.on_sync: Callable[[str], None] = lambda _: None
        self.writes_until_full: int | None = None
        self.steps_until_cut: int | None = None
        self.is_read_only = False
        self.is_dead = False
        self._images: dict[str, _Image] = {}
        self._removed: dict[str, _Image] = {}
        self._guard = threading.RLock()
        self._system = system_files()
        self._vfs = _Vfs(f"disk-{next(_numbers)}", self)

    # The port -----------------------------------------------------------------------------------------------------

    def connect(self, path: Path, mode: Mode) -> Connection:
        return ApswConnection(path, mode, self._vfs.vfs_name)

    def lock(self, path: Path, hint: str) -> FileLock:
        return self._system.lock(path, hint)

    def read(self, path: Path) -> bytes | None:
        return self._system.read(path)

    def read_up_to(self, path: Path, limit_bytes: int) -> bytes | None:
        return self._system.read_up_to(path, limit_bytes)

    def write_new(self, path: Path, data: bytes) -> None:
        if self.writes_until_full == 0:
            raise OSError(errno.ENOSPC, "no room", str(path))
        self._system.write_new(path, data)

    def clear_folder(self, path: Path) -> None:
        self._system.clear_folder(path)

    def drop_folder(self, path: Path) -> None:
        self._system.drop_folder(path)

    def write_durably(self, path: Path, data: bytes) -> None:
        try:
            self.step_nowait()
        except apsw.Error as error:
            raise OSError(5, "the power is off") from error
        self._system.write_durably(path, data)

    def size_bytes(self, path: Path) -> int:
        return self._system.size_bytes(path)

    @contextlib.contextmanager
    def spared(self) -> Iterator[None]:
        """No sync fails and nothing is full inside the block: what was to fail waits for whoever comes next."""
        on_sync, self.on_sync = self.on_sync, lambda _: None
        full, self.writes_until_full = self.writes_until_full, None
        try:
            yield
        finally:
            self.on_sync, self.writes_until_full = on_sync, full

    # The power cut ------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """The power goes."""
        self.is_dead = True

    def survivors(self, folder: Path, into: Path, rng: random.Random) -> None:
        """Write to `into` what a machine would find in `folder` after the power cut."""
        self.is_dead = True
        known = self._images.keys() | self._removed.keys()
        for path in folder.iterdir():
            # What was not opened since the start lies there as it was found then.
            if path.is_file() and (path.suffix == ".node" or str(path) not in known):
                (into / path.name).write_bytes(path.read_bytes())
        returned = {name: image for name, image in self._removed.items() if rng.random() < 0.5}
        for name, image in {**returned, **self._images}.items():
            if Path(name).parent == folder:
                (into / Path(name).name).write_bytes(image.survivor(rng))

    # What the files ask of it --------------------------------------------------------------------------------------

    def step_nowait(self) -> None:
        """One write or sync begins: is there still power?"""
        with self._guard:
            if self.steps_until_cut is not None:
                self.steps_until_cut -= 1
                self.is_dead = self.is_dead or self.steps_until_cut < 0
            if self.is_dead:
                raise failed(apsw.SQLITE_IOERR)

    def opened(self, name: str, *, is_new: bool) -> None:
        """A file is opened; what it holds then was synced before."""
        with self._guard:
            if name not in self._images:
                self._images[name] = _Image(Path(name).read_bytes() if Path(name).is_file() else b"")
                self._images[name].is_entry_pending = is_new

    def wrote(self, name: str, write: Write) -> None:
        """A file was written, and not synced."""
        with self._guard:
            self._images[name].pending.append(write)

    def synced(self, name: str) -> None:
        """A file was synced; the first sync of a new log or journal covers the folder too, as SQLite's does."""
        with self._guard:
            self._images[name].sync()
            if self._images[name].is_entry_pending:
                self._images[name].is_entry_pending = False
                self._removed.clear()

    def removed(self, name: str, *, is_synced: bool) -> None:
        """A file was removed; unless the folder was synced it may come back."""
        with self._guard:
            image = self._images.pop(name, None)
            if is_synced:
                self._removed.clear()
            elif image is not None:
                self._removed[name] = image

    def take_room(self, size_bytes: int) -> int:
        """How much of a write still has room."""
        with self._guard:
            self.write_count += 1
            if self.is_read_only:
                raise failed(apsw.SQLITE_IOERR_WRITE)
            if self.writes_until_full is None:
                return size_bytes
            self.writes_until_full -= 1
            return size_bytes if self.writes_until_full >= 0 else size_bytes // 2


def failed(code: int) -> apsw.Error:
    """The exception by which a file tells SQLite this result code."""
    return apsw.exception_for(code)


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        self.vfs_name, self._disk = name, disk
        super().__init__(name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if self._disk.is_dead:
            raise failed(apsw.SQLITE_CANTOPEN)
        return _File(self._disk, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802
        self._disk.step_nowait()
        super().xDelete(name, syncdir)
        self._disk.removed(name, is_synced=syncdir)

    def excepthook(self, *_: object) -> None:
        """Errors on the way out of a dead disk have nobody to tell."""


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else name
        log_or_journal = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
        if self._name is not None:
            disk.opened(self._name, is_new=bool(flags[0] & log_or_journal))
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if self._disk.is_dead:
            raise failed(apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        room = self._disk.take_room(len(data))
        self._disk.step_nowait()
        kept = bytes(data[:room])
        super().xWrite(kept, offset)
        if self._name is not None:
            self._disk.wrote(self._name, (offset, kept))
        if room < len(data):
            raise failed(apsw.SQLITE_FULL)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.step_nowait()
        super().xTruncate(newsize)
        if self._name is not None:
            self._disk.wrote(self._name, (newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.sync_count += 1
        self._disk.step_nowait()
        self._disk.on_sync(Path(self._name or "").name)
        super().xSync(flags)
        if self._name is not None:
            self._disk.synced(self._name)

    def excepthook(self, *_: object) -> None:
        """As above."""


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        code = getattr(error, "extendedresult", None)
        raise DatabaseError(str(error), fault_of_code(code) if code else DatabaseFault.OTHER) from error
    except KeyError as error:  # a named value that is missing
        raise DatabaseError(str(error), DatabaseFault.OTHER) from error


class ApswConnection:
    """A connection by apsw: what production's does by pysqlite3."""

    def __init__(self, path: Path, mode: Mode, vfs: str) -> None:
        if mode is Mode.READ_WRITE_CREATE:
            create_private(path)
        flags = apsw.SQLITE_OPEN_READWRITE if mode is Mode.READ_WRITE_CREATE else apsw.SQLITE_OPEN_READONLY
        # apsw passes no symbolic link on to a file system in Python.
        name = os.path.realpath(path)
        if mode is Mode.UNTOUCHED:
            name, flags = f"file:{quote(name)}?immutable=1", flags | apsw.SQLITE_OPEN_URI
        with _translated():
            self._db = apsw.Connection(name, flags=flags, vfs=vfs)
            self._db.set_busy_timeout(5_000)

    @property
    def in_transaction(self) -> bool:
        with _translated():
            return bool(self._db.in_transaction)

    def execute(self, sql: str, parameters: Parameters = ()) -> Cursor:
        with _translated():
            cursor = self._db.execute(sql, parameters)
            return _Cursor(cursor, self._db.changes() if sql.lstrip()[:7].upper().startswith(_CHANGING) else -1)

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> None:
        with _translated():
            self._db.executemany(sql, rows)

    def executescript(self, sql: str) -> None:
        for statement in split_script(sql):
            self.execute(statement)

    def stop_when(self, is_due: Callable[[], bool] | None, *, every_steps: int = PROGRESS_STEPS) -> None:
        with _translated():
            self._db.set_progress_handler(is_due, every_steps)

    def close(self) -> None:
        with contextlib.suppress(apsw.Error):  # what its files say on the way out: it is closed in any case
            self._db.close()


class _Cursor:
    def __init__(self, cursor: Any, rowcount: int) -> None:
        self._cursor, self.rowcount = cursor, rowcount

    def fetchone(self) -> Any:
        with _translated():
            return self._cursor.fetchone()

    def fetchall(self) -> Any:
        with _translated():
            return self._cursor.fetchall()

    def __iter__(self) -> Any:
        with _translated():
            yield from self._cursor
