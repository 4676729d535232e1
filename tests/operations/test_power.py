"""A power cut during a backup or a restore: what counts was synced before, its contents and its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aimem.wire.keeping import Trust
from tests.operations.test_backups import Vault


class Disk:
    """Notes what a power cut would still undo: the contents of files, and names in folders.

    Attributes:
      steps: what moved to which name, and what of it and of the moves before it was not on the disk then.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, tuple[str, ...]]] = []
        self._synced: dict[int, tuple[int, int]] = {}
        self._moved: list[tuple[Path, str]] = []
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._sync)
        for name in ("rename", "replace"):
            monkeypatch.setattr(Path, name, self._noting(getattr(Path, name)))

    def unsynced_names(self) -> list[str]:
        return [name for _, name in self._moved]

    def _sync(self, fd: int) -> None:
        self._fsync(fd)
        found = os.fstat(fd)
        self._synced[found.st_ino] = (found.st_size, found.st_mtime_ns)
        folder = Path(f"/proc/self/fd/{fd}").readlink()
        self._moved = [(parent, name) for parent, name in self._moved if parent != folder]

    def _noting(self, move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def moved(source: Path, target: Path) -> Path:
            open_ends = self.unsynced_names()
            found = source.stat()
            if self._synced.get(found.st_ino) != (found.st_size, found.st_mtime_ns):
                open_ends.append("its contents")
            self.steps.append((target.name, tuple(open_ends)))
            self._moved.append((target.parent, target.name))
            return move(source, target)

        return moved


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def test_of_a_backup_each_step_is_on_the_disk_before_the_next(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    snapshot = vault.back_up().snapshot
    assert [name for name, _ in disk.steps][-2:] == [snapshot.replace(".db", ".manifest.json"), snapshot]
    assert not [step for step in disk.steps if step[1]]
    assert disk.unsynced_names() == []


@pytest.mark.parametrize("trust", Trust)
def test_of_a_restore_each_step_is_on_the_disk_before_the_next(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, trust: Trust
) -> None:
    backup = Path(vault.back_up().path)
    disk = Disk(monkeypatch)
    kept = Path(str(vault.keeper.restore(backup, trust).kept)).name
    steps = [step for step in disk.steps if not step[0].startswith(kept)]   # the old one's files go in any order
    assert steps[-3:] == [("memory.db.node", ()), ("memory.db.restored", ()), ("memory.db", ())]
    assert disk.unsynced_names() == []
