"""Whole files that have to outlive a crash: copied, hashed, synced and moved. All of it blocks and raises OSError."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

_BLOCK_BYTES: Final = 1 << 20
_PROBE_BYTES: Final = 4096


class FileFacts(NamedTuple):
    """What tells one file's contents from another's: SHA-256 (hex), and the size in bytes."""

    sha256: str
    size_bytes: int


def facts_of(path: Path) -> FileFacts:
    """Read a file to its end."""
    hashed, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            hashed.update(block)
            size_bytes += len(block)
    return FileFacts(hashed.hexdigest(), size_bytes)


def copy_durably(source: Path, target: Path) -> FileFacts:
    """Copy a file (0600), one of the target's name goes, and sync it. Returns: what was copied."""
    hashed, size_bytes = hashlib.sha256(), 0
    target.unlink(missing_ok=True)
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out, source.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            hashed.update(block)
            size_bytes += out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return FileFacts(hashed.hexdigest(), size_bytes)


def sync_file(path: Path) -> None:
    """Have what was written of a file on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def give_as(file: Path | int, other: Path) -> None:
    """Have a file belong to whom another one belongs, or its folder where that is not there; see `give_to`.

    Args:
      file: its path, or a descriptor.
    """
    with contextlib.suppress(OSError):
        give_to(file, other.lstat() if os.path.lexists(other) else other.parent.stat())


def give_to(file: Path | int, found: os.stat_result) -> None:
    """Have a file belong to whom that belongs, if this process may give files away, as root may."""
    with contextlib.suppress(OSError):
        os.chown(file, found.st_uid, found.st_gid, follow_symlinks=isinstance(file, int))


def owner_of(path: Path) -> str:
    """The name of whom a file belongs to, or the number where there is no name. Raises: OSError."""
    uid = path.lstat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def move_durably(source: Path, target: Path) -> None:
    """Give a file, which is synced, another name in its folder; a file of that name goes."""
    source.replace(target)
    sync_folder(target.parent)


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def free_bytes(folder: Path) -> int:
    """How much this user may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def synced_writes_ms(folder: Path, count: int) -> tuple[float, ...]:
    """How long each of a few small writes takes, synced, into a file that nobody else sees and that never stays."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
        for _ in range(count):
            begun = time.monotonic()
            probe.write(bytes(_PROBE_BYTES))
            os.fsync(probe.fileno())
            took.append((time.monotonic() - begun) * 1000)
    return tuple(took)
