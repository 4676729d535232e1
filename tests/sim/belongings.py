"""The files of a machine: which of them are copied, laid in the place of others, or taken away."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from aimem.store.identity import Sidecar
from aimem.store.spool import FOLDER_SUFFIX

KEY_FILE: Final = ".db.node"
DATABASE: Final = (".db", ".db-wal")
FILES: Final = (*DATABASE, KEY_FILE)


class Key(StrEnum):
    """Which key lies beside a database that was put in the place of another one."""

    COPIED = "copied"            # the one that lay beside it
    OWN = "own"                  # the one that was on the machine
    NONE = "none"


def copy_files(source: Path, target: Path, endings: tuple[str, ...] = FILES) -> None:
    """Copy what a node needs."""
    target.mkdir(exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.name.endswith(endings):
            shutil.copyfile(path, target / path.name)


def copy_snapshots(source: Path, target: Path) -> None:
    """Copy what a process that was ended leaves of snapshots."""
    for path in source.glob(f"*{FOLDER_SUFFIX}"):
        shutil.copytree(path, target / path.name)


def take_all(folder: Path) -> None:
    """Leave nothing."""
    for path in folder.iterdir():
        _take(path)


def _take(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def take_key(folder: Path) -> None:
    """Leave all but the key."""
    for path in folder.glob(f"*{KEY_FILE}"):
        path.unlink()


def lay(source: Path, key: Key, folder: Path) -> None:
    """Put a copy of a database in the place of what is there."""
    for path in folder.iterdir():
        if key is not Key.OWN or not path.name.endswith(KEY_FILE):
            _take(path)
    copy_files(source, folder, FILES if key is Key.COPIED else DATABASE)


def sidecar_in(folder: Path) -> Sidecar | None:
    """The key that lies in a folder."""
    paths = sorted(folder.glob(f"*{KEY_FILE}"))
    return msgspec.json.decode(paths[0].read_bytes(), type=Sidecar) if paths else None
