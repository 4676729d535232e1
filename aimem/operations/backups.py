"""Backups of a database in a folder: made while its node serves, checked before they count, and rotated."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import asdict

import aimem
from aimem.errors import Conflict, Corrupt, InvalidRequest, NotFound, Unavailable
from aimem.model import file_stamp, format_instant, rules
from aimem.operations.peerlist import translated
from aimem.ports import Clock, Files, LockHeld, durable
from aimem.store import replacing, soundness
from aimem.wire import keeping

MANIFEST_SUFFIX: Final = ".manifest.json"
_LOCK: Final = ".ai-memory-backup.lock"
_PART: Final = ".ai-memory-backup.part"
_NAME: Final = re.compile(r"ai-memory-\d{4}-\d\d-\d\dT\d{6}Z", re.ASCII)


class Backups:
    """The backups of one database. Its functions block; one process at a time makes them in a folder.

    All raise Unavailable if a file cannot be read or written.
    """

    def __init__(self, db: Path, files: Files, clock: Clock) -> None:
        self._db, self._files, self._clock = db, files, clock

    def back_up(self, folder: Path, keep_count: int) -> keeping.BackupOut:
        """Make one, check it, and let those go that are too many then.

        Raises: NotFound without a database or a folder; Corrupt if the copy is damaged, and then no backup goes;
          Conflict for a second one within a second; InvalidRequest.
        """
        rules.bounded(keep_count, 0, keeping.KEEP_MAX, field="keep")
        wants_database(self._db)
        _wants_folder(folder)
        with self._alone(folder):
            made = self._make(folder)
            removed, damaged = self._rotate(folder, keep_count, made.snapshot)
        return keeping.BackupOut(
            **asdict(made), path=str(folder / made.snapshot), removed=removed, warnings=damaged
        )

    def _make(self, folder: Path) -> keeping.BackupManifest:
        now = self._clock.now()
        snapshot, part = folder / f"ai-memory-{file_stamp(now)}.db", folder / _PART
        part_manifest = folder / f"{_PART}{MANIFEST_SUFFIX}"
        with translated(f"cannot write in {folder}"):
            if snapshot.exists() or manifest_path(snapshot).exists():
                raise Conflict(f"{snapshot} is there: there is one backup a second; try again", field="to")
            _drop_parts(folder)
        try:
            soundness.copy_into(self._files, self._db, part)
            examined = soundness.examine(self._files, part)
            if examined.findings:
                raise Corrupt(
                    f"{self._db} is damaged ({examined.findings[0]}); its copy was thrown away, and no earlier backup "
                    "was touched: see `ai-memory verify`, and put a backup back with `ai-memory restore`"
                )
            with translated(f"cannot write in {folder}"):
                durable.sync_file(part)
                facts = durable.facts_of(part)
                made = keeping.BackupManifest(
                    snapshot=snapshot.name, sha256=facts.sha256, bytes=facts.size_bytes, source_db=str(self._db),
                    version=aimem.__version__, created_at=format_instant(now), schema=examined.version,
                    memories=examined.memories, digest=examined.digest,
                )
                self._files.write_durably(part_manifest, msgspec.json.encode(made))
                # First: whatever ends this leaves no snapshot that no manifest is of, and that nobody would take away.
                durable.move_durably(part_manifest, manifest_path(snapshot))
                durable.move_durably(part, snapshot)
        finally:
            with contextlib.suppress(OSError):
                _drop_parts(folder)
        return made

    def _rotate(self, folder: Path, keep_count: int, newest: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Remove what is older than so many whole backups of this database. Returns: what went, what is damaged."""
        removed, damaged, whole_count = [], [], 1
        for snapshot in reversed(snapshots(folder)):
            made = self._ours(snapshot)
            if made is None or snapshot.name == newest or keep_count == 0:
                continue
            if whole_count >= keep_count:
                with translated(f"cannot remove {snapshot}"):
                    snapshot.unlink(missing_ok=True)    # first: a manifest without its snapshot counts for nothing
                    manifest_path(snapshot).unlink()
                removed.append(snapshot.name)
            elif (wrong := why_not_whole(snapshot, made)) is None:
                whole_count += 1
            else:
                damaged.append(f"{wrong}; it does not count")
        return tuple(removed), tuple(damaged)

    def _ours(self, snapshot: Path) -> keeping.BackupManifest | None:
        """Its manifest, if it is of this database: others that keep theirs in this folder look after them."""
        with contextlib.suppress(NotFound, Corrupt):
            made = read_manifest(self._files, snapshot)
            return made if made.source_db == str(self._db) else None
        return None

    @contextlib.contextmanager
    def _alone(self, folder: Path) -> Iterator[None]:
        try:
            with translated(f"cannot write in {folder}"):
                lock = self._files.lock(folder / _LOCK, "ai-memory backup")
        except LockHeld as error:
            raise Unavailable(f"another ai-memory backup works in {folder}; try again when it is done") from error
        try:
            yield
        finally:
            lock.close()


def manifest_path(snapshot: Path) -> Path:
    """Where the manifest of a backup is."""
    return snapshot.with_name(snapshot.stem + MANIFEST_SUFFIX)


def read_manifest(files: Files, snapshot: Path) -> keeping.BackupManifest:
    """What stands beside a backup. Raises: NotFound without one; Corrupt if it cannot be read or understood."""
    path = manifest_path(snapshot)
    try:
        data = files.read(path)
    except OSError as error:
        raise Corrupt(_unreadable(path, error)) from error
    if data is None:
        raise NotFound(f"{snapshot} has no manifest ({path.name}), so nothing tells whether it is whole")
    try:
        return msgspec.json.decode(data, type=keeping.BackupManifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} is no manifest of ai-memory {aimem.__version__}: {error}") from error


def why_not_whole(snapshot: Path, made: keeping.BackupManifest) -> str | None:
    """What tells a backup from the file that its manifest is of; None if nothing does."""
    try:
        found_bytes = snapshot.stat().st_size
        if found_bytes != made.bytes:
            return f"{snapshot} has {found_bytes} bytes, and {made.bytes} by its manifest"
        found = durable.facts_of(snapshot)
    except FileNotFoundError:
        return f"{snapshot} is not there, and its manifest is"
    except OSError as error:    # a disk that lost a part of it: that is no reason to stop at it
        return _unreadable(snapshot, error)
    return None if found.sha256 == made.sha256 else f"{snapshot} was changed: its SHA-256 is not that of its manifest"


def snapshots(folder: Path) -> list[Path]:
    """The backups that a folder has, or has the manifests of, the oldest first. Raises: NotFound, Unavailable."""
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    with translated(f"cannot read {folder}"):
        found = [one.name for one in folder.iterdir() if one.name.endswith((MANIFEST_SUFFIX, ".db"))]
    names = {name.removesuffix(MANIFEST_SUFFIX).removesuffix(".db") for name in found}
    return [folder / f"{name}.db" for name in sorted(names) if _NAME.fullmatch(name)]


def is_named_as_backup(path: Path) -> bool:
    """Whether its name is that of a backup, which has a manifest."""
    return path.suffix == ".db" and _NAME.fullmatch(path.stem) is not None


def wants_database(db: Path) -> None:
    """Refuse where there is none to read. Raises: NotFound; Unavailable in the middle of a restore."""
    if replacing.is_pending(db):
        raise Unavailable(
            f"a restore of {db} was cut off before its end; `ai-memory --db {db} status` or the node's start ends it"
        )
    if not db.is_file():
        raise NotFound(f"there is no database {db}; name it with --db")


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror or error}"


def _wants_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidRequest(f"{folder} is no folder; name one with --to", field="to")
    try:
        with translated(f"cannot make the folder {folder}"):
            if not folder.exists():
                folder.mkdir(mode=0o700)
                durable.give_to(folder, folder.parent.stat())
    except Unavailable as error:
        if folder.parent.is_dir():
            raise
        # A disk that is not mounted is no reason to fill the one below.
        raise NotFound(f"there is no folder {folder.parent} to make {folder.name} in; mount or make it") from error


def _drop_parts(folder: Path) -> None:
    for path in folder.glob(f"{_PART}*"):
        path.unlink()
