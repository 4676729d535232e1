"""Putting a backup in the place of a database, and looking whether databases and backups are sound."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from aimem.errors import Code, Corrupt, InvalidRequest, NotFound, Unavailable
from aimem.operations.backups import (
    Backups,
    is_named_as_backup,
    read_manifest,
    snapshots,
    wants_database,
    why_not_whole,
)
from aimem.operations.peerlist import reached, translated
from aimem.ports import Chance, Clock, Files, LockHeld, durable
from aimem.store import NodeLock, replace_key, replacing, soundness
from aimem.wire import keeping


class Keeper:
    """Keeps one database safe. Its functions block, and raise Unavailable for files that fail."""

    def __init__(self, db: Path, files: Files, clock: Clock, chance: Chance) -> None:
        self._db, self._files, self._clock, self._chance = db, files, clock, chance

    @reached()
    def back_up(self, folder: Path, keep_count: int) -> keeping.BackupOut:
        """See `Backups.back_up`."""
        return Backups(self._db, self._files, self._clock).back_up(folder, keep_count)

    @reached()
    def restore(self, source: Path, trust: keeping.Trust) -> keeping.RestoreOut:
        """Take a backup, or the newest whole one of a folder; its node writes a new stream from its next start on.

        A process that is killed at it leaves the old database or the new one.
        Raises: NotFound; Unavailable while a process holds the database; Corrupt if the backup is damaged;
          InvalidRequest.
        """
        db = self._db
        snapshot, warnings = self._choose(source, trust)
        if snapshot.exists() and db.exists() and snapshot.samefile(db):
            raise InvalidRequest(f"{snapshot} is the database itself; name a backup with --from", field="from")
        lock = self._take()
        try:
            with translated(f"cannot restore {db}"):
                replacing.drop_copy(db)     # of a restore that was killed
            with _named(snapshot, "nothing was restored: name a backup with --from"):
                examined = self._copy(snapshot, trust)
            with translated(f"cannot restore {db}"):
                kept = replacing.place_for_old(db) if db.exists() else None
                replacing.drop_derived(self._files, db)
                # Before the new database counts: one that is older must never be written to under the present key.
                replace_key(self._files, self._chance, db)
                replacing.commit(db)
                replacing.finish(db)
        finally:
            with contextlib.suppress(OSError):
                replacing.drop_copy(db)
            lock.release()
        return keeping.RestoreOut(
            status="restored", source=str(snapshot), to=str(db), kept=None if kept is None else str(kept),
            memories=examined.memories, warnings=tuple(warnings),
        )

    @reached()
    def verify(self, paths: Sequence[Path]) -> keeping.VerifyOut:
        """Look at the database, or at files and all backups of folders. Raises: NotFound, Corrupt, Unavailable."""
        if not paths:
            wants_database(self._db)
            found = [_shown(self._db, soundness.examine(self._files, self._db))]
        else:
            found = []
            for snapshot in (one for path in paths for one in self._within(path)):
                with _named(snapshot, "name a backup or a database of ai-memory, or nothing for the one in use"):
                    found.append(self._verify_one(snapshot))
        return keeping.VerifyOut(sound=all(one.sound for one in found), databases=tuple(found))

    def _choose(self, source: Path, trust: keeping.Trust) -> tuple[Path, list[str]]:
        """The backup to take, and what is to be said of those that were passed over."""
        if source.is_dir():
            if trust is keeping.Trust.MANIFEST:
                return self._newest(source)
            raise InvalidRequest(
                f"{source} is a folder, in which only the manifests tell what counts; with --skip-verify name a file",
                field="from",
            )
        if not source.is_file():
            raise NotFound(f"there is no backup {source}; name a file or a folder with --from")
        return source, [] if trust is keeping.Trust.MANIFEST else self._contradictions(source)

    def _contradictions(self, source: Path) -> list[str]:
        """What its manifest, if it has one, says against a file that is taken without it."""
        try:
            wrong = why_not_whole(source, read_manifest(self._files, source))
        except NotFound:
            return []
        except Corrupt as error:
            wrong = error.message
        return [] if wrong is None else [f"{wrong}; it was taken all the same, for --skip-verify"]

    def _newest(self, folder: Path) -> tuple[Path, list[str]]:
        newest, passed_over, sources = None, list[str](), set[str]()
        for snapshot in reversed(snapshots(folder)):
            try:
                made = read_manifest(self._files, snapshot)
                wrong = None if newest else why_not_whole(snapshot, made)
            except (NotFound, Corrupt) as error:
                wrong = error.message
            else:
                sources.add(made.source_db)
            if newest is None and wrong is not None:
                passed_over.append(f"{wrong}; it was passed over")
            elif newest is None:
                newest = snapshot
        if newest is None:
            raise NotFound(f"{folder} has no backup that is whole{f': {passed_over[0]}' if passed_over else ''}")
        if len(sources) > 1:
            raise InvalidRequest(
                f"{folder} has backups of several databases ({', '.join(sorted(sources))}); name one file of it with "
                "--from", field="from",
            )
        return newest, passed_over

    def _copy(self, snapshot: Path, trust: keeping.Trust) -> soundness.Examined:
        """Have a copy beside the database that is checked; what was copied is what was checked."""
        copy = replacing.copy_path(self._db)
        if trust is keeping.Trust.MANIFEST:
            self._copy_whole(snapshot, copy)
        else:
            soundness.copy_into(self._files, snapshot, copy)    # it may have a write-ahead log
        examined = soundness.examine(self._files, copy)
        if examined.findings:
            raise Corrupt(f"{snapshot} is damaged ({examined.findings[0]}); nothing was restored: take another backup")
        return examined

    def _copy_whole(self, snapshot: Path, copy: Path) -> None:
        try:
            made = read_manifest(self._files, snapshot)
        except NotFound as error:
            raise NotFound(f"{error.message}; --skip-verify takes it if it is a sound database") from error
        with translated(f"nothing was restored: cannot copy {snapshot} to {copy}"):
            facts = durable.copy_durably(snapshot, copy)
        if (made.sha256, made.bytes) != facts:
            wrong = why_not_whole(snapshot, made) or f"{snapshot} changes while it is read"
            raise Corrupt(f"{wrong}; nothing was restored: take another backup")

    def _take(self) -> NodeLock:
        try:
            # Whoever finds a command at it waits for its end.
            return NodeLock.take(self._files, self._db, f"pid={os.getpid()} role=command")
        except LockHeld as error:
            raise Unavailable(
                f"{self._db} is held by a running process ({error.hint or 'unknown'}); stop it (for a service: "
                "systemctl stop ai-memory), restore, and start it again; nothing was changed"
            ) from error

    def _within(self, path: Path) -> Iterator[Path]:
        if not path.is_dir():
            yield path
            return
        found = snapshots(path)
        if not found:
            raise NotFound(f"{path} has no backup; `ai-memory backup --to {shlex.quote(str(path))}` makes one")
        yield from found

    def _verify_one(self, snapshot: Path) -> keeping.SoundnessOut:
        """A file that is named as no backup is needs no manifest."""
        made: keeping.BackupManifest | None = None
        wrong: str | None = None
        try:
            made = read_manifest(self._files, snapshot)
            wrong = why_not_whole(snapshot, made)
        except (NotFound, Corrupt) as error:
            if not snapshot.is_file():
                raise NotFound(f"there is no file {snapshot}") from error
            wrong = error.message if is_named_as_backup(snapshot) else None
        if wrong is not None:
            check = keeping.CheckOut(check="manifest", count=1, findings=(wrong,))
            return keeping.SoundnessOut(
                path=str(snapshot), sound=False, checks=(check,), schema=0, memories=0, digest=""
            )
        examined = soundness.examine(self._files, snapshot)
        if made is None:
            return _shown(snapshot, examined)
        same = made.digest == examined.digest
        findings = () if same else (f"its digest is {examined.digest}, and {made.digest} by its manifest",)
        return _shown(snapshot, examined, keeping.CheckOut(check="manifest", count=1, findings=findings))


@contextlib.contextmanager
def _named(path: Path, remedy: str) -> Iterator[None]:
    """Say of a file that is no database of ours what to do about it: it is another one than --db names."""
    try:
        yield
    except Corrupt as error:
        if error.code is not Code.NOT_A_DATABASE:
            raise
        raise Corrupt(f"{path} is no database of ai-memory; {remedy}", code=error.code) from error


def _shown(path: Path, examined: soundness.Examined, *more: keeping.CheckOut) -> keeping.SoundnessOut:
    checks = (*more, *(keeping.CheckOut(check=one.name, count=one.count, findings=one.findings)
                       for one in examined.checks))
    return keeping.SoundnessOut(
        path=str(path), sound=not any(check.findings for check in checks), checks=checks, schema=examined.version,
        memories=examined.memories, digest=examined.digest,
    )
