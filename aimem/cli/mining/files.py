"""Where an export lies: a file, a folder, or a zip of one."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol, cast

from aimem.errors import InvalidRequest

FILE_MAX_BYTES: Final = 8 * 1024 * 1024 * 1024
"""Of one file, unpacked: what a zip says is held to it."""

FILES_MAX_COUNT: Final = 200_000
_UNREADABLE: Final = (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError)
"""RuntimeError: a zip with a password."""


class _Place(Protocol):
    """Names of files, with `/` between folders, and their bytes."""

    def sizes(self) -> dict[str, int]: ...

    def open(self, name: str) -> BinaryIO: ...


class Files:
    """The files of an export."""

    def __init__(self, place: _Place) -> None:
        self._place, self._sizes = place, place.sizes()
        if len(self._sizes) > FILES_MAX_COUNT:
            raise InvalidRequest(f"more than {FILES_MAX_COUNT} files; name a folder further down", field="path")

    def size_bytes(self, name: str) -> int:
        """Length of one file."""
        return self._sizes[name]

    @property
    def total_bytes(self) -> int:
        """Length of all."""
        return sum(self._sizes.values())

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Read one file. Raises: InvalidRequest, also within, if that fails."""
        if self._sizes[name] > FILE_MAX_BYTES:
            raise InvalidRequest(f"{name} has more than {FILE_MAX_BYTES} bytes", field="path")
        try:
            with self._place.open(name) as stream:
                yield stream
        except _UNREADABLE as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise InvalidRequest(f"{name} cannot be read: {reason}", field="path") from error

    def named(self, name: str) -> list[str]:
        """The files of this name, in whatever folder."""
        return sorted(one for one in self._sizes if PurePosixPath(one).name == name)

    def conversations(self) -> list[str]:
        """The files that hold conversations. Raises: InvalidRequest if there are none."""
        names = sorted(self._sizes)
        paths = {name: PurePosixPath(name) for name in names}
        found = [
            name for name, path in paths.items()
            if path.suffix == ".jsonl" or (path.name.startswith("conversations") and path.suffix == ".json")
        ]
        if not found and len(names) == 1:
            found = names
        if not found:
            raise InvalidRequest("no conversations.json and no .jsonl file are there; name the file", field="path")
        return found

    def channels(self) -> dict[str, list[str]]:
        """Folder -> its JSON files by name (Slack names them by day). Raises: InvalidRequest if there are none."""
        paths = [path for path in map(PurePosixPath, sorted(self._sizes)) if path.suffix == ".json"]
        depth = min((len(path.parts) for path in paths), default=1)
        # The export's own lists (users.json …) lie above its channels.
        lowest = [path for path in paths if len(path.parts) > depth] or [p for p in paths if len(p.parts) > 1]
        found: dict[str, list[str]] = {}
        for path in lowest:
            found.setdefault(path.parent.name, []).append(str(path))
        if not found:
            raise InvalidRequest("no folders of channels with .json files are there; name their folder", field="path")
        return found


class _OneFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def sizes(self) -> dict[str, int]:
        return {self._path.name: self._path.stat().st_size}

    def open(self, name: str) -> BinaryIO:
        del name
        return self._path.open("rb")


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path, self._root = path, path.resolve()

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self._path.rglob("*.json*"):
            if path.is_file():
                # An export comes from elsewhere; it may not name what else is on this disk.
                if not path.resolve().is_relative_to(self._root):
                    raise InvalidRequest(f"{path} is a link that leads out of the folder; remove it", field="path")
                found[path.relative_to(self._path).as_posix()] = path.stat().st_size
            if len(found) > FILES_MAX_COUNT:
                break
        return found

    def open(self, name: str) -> BinaryIO:
        return (self._path / name).open("rb")


class _Zip:
    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)

    def sizes(self) -> dict[str, int]:
        return {
            one.filename: one.file_size for one in self._zip.infolist()
            if not one.is_dir() and PurePosixPath(one.filename).suffix in (".json", ".jsonl")
        }

    def open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", self._zip.open(name))


def open_files(path: Path) -> Files:
    """The export at a path. Raises: InvalidRequest if there is none that can be read."""
    try:
        if path.is_dir():
            return Files(_Folder(path))
        if path.exists() and not path.is_file():
            raise InvalidRequest(f"{path} is neither a file nor a folder", field="path")
        if zipfile.is_zipfile(path):
            return Files(_Zip(path))
        return Files(_OneFile(path))
    except _UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InvalidRequest(f"{path} cannot be read: {reason}", field="path") from error
