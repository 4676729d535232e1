"""The folder beside the database that keeps the index: which segment counts, and whether its files are what they were.

`segment-N/` is whole, for it was renamed from `segment-N.new` after its last file was synced; the greatest N counts.
Everything in the folder can be made again from the database, so what is damaged is thrown away and said, never mended.
A segment that a search still uses may be removed: its files are mapped, and live until the last of them is let go.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from aimem.search import segment, trees
from aimem.search.segment import Segment
from aimem.search.writing import FORMAT, MANIFEST, FileFacts, Manifest, SegmentWriter, sync_folder, write_synced

_SEGMENT: Final = re.compile(r"segment-(\d{1,9})")
_NEW: Final = ".new"
_TREES: Final = "trees.ann"
_TREES_MANIFEST: Final = "trees.json"
_UNREADABLE: Final = frozenset(
    {errno.EACCES, errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.EPERM}
)
"""What is wrong with a file itself; any other error (too many open files) may be over by the next start."""


class DamagedIndex(Exception):
    """The files are not what their manifest says; the message says which and how."""


class Kept(Struct, frozen=True):
    """A segment and where it lies."""

    segment: Segment
    folder: Path


class VectorFolder:
    """Owner of one folder of index files; its methods block. The database's lock keeps everybody else out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, *, model: str, dimension: int) -> Kept | None:
        """The segment that counts, if there is one.

        Raises: DamagedIndex if it cannot be used: incomplete, changed, unreadable, of another model or a later format;
          OSError.
        """
        newest = max(self._segments(), default=None)
        if newest is None:
            return None
        folder = self._place(newest)
        try:
            return self._read(folder, model=model, dimension=dimension)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            raise DamagedIndex(f"{error.filename or folder} cannot be read: {error.strerror}") from error

    def _read(self, folder: Path, *, model: str, dimension: int) -> Kept:
        try:
            manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        except (FileNotFoundError, msgspec.DecodeError) as error:
            raise DamagedIndex(f"{folder / MANIFEST} is missing or broken: {error}") from error
        if manifest.format != FORMAT:
            raise DamagedIndex(f"{folder} has format {manifest.format}; this version writes {FORMAT}")
        if (manifest.model, manifest.dimension) != (model, dimension):
            raise DamagedIndex(f"{folder} is of the model {manifest.model}, not {model}")
        for name in segment.File:
            _check(folder / name, manifest.files.get(name))
        try:
            found = segment.read(folder, dimension)
        except (ValueError, IndexError) as error:
            raise DamagedIndex(f"{folder} contradicts itself: {error}") from error
        if (found.count, found.chunk_count) != (manifest.rows, manifest.chunks):
            raise DamagedIndex(f"{folder} does not hold the rows that its manifest counts")
        found.trees = _open_trees(folder, dimension, found.chunk_count)
        return Kept(found, folder)

    def sweep(self, kept: Path | None) -> None:
        """Remove everything but one segment: older ones, and what an interrupted build left. Raises: OSError."""
        for path in self.path.iterdir() if self.path.is_dir() else ():
            if path != kept and (_SEGMENT.fullmatch(path.name.removesuffix(_NEW)) is not None):
                _remove(path)

    def begin(self, *, model: str, dimension: int) -> SegmentWriter:
        """A writer for the next segment. Raises: OSError."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        place = self._next()
        with contextlib.suppress(FileNotFoundError):
            _remove(place)
        place.mkdir(mode=0o700)
        return SegmentWriter(place, model=model, dimension=dimension)

    def publish(self, *, dimension: int) -> Kept:
        """Make the segment that was written the one that counts, and remove the others. Raises: OSError."""
        new = self._next()
        folder = new.with_name(new.name.removesuffix(_NEW))
        new.rename(folder)
        sync_folder(self.path)
        self.sweep(folder)
        return Kept(segment.read(folder, dimension), folder)

    def discard(self) -> None:
        """Remove all segments. Raises: OSError."""
        self.sweep(None)

    def grow_trees(self, kept: Kept) -> Iterator[None]:
        """Build the trees of a segment beside it, in steps (see `trees.grow`), and attach them. Raises: OSError."""
        path = kept.folder / _TREES
        for left in (path, kept.folder / _TREES_MANIFEST):
            left.unlink(missing_ok=True)
        yield from trees.grow(kept.segment.rows, path)
        facts = FileFacts(size_bytes=path.stat().st_size, changed_ns=path.stat().st_mtime_ns, sha256=_sha256(path))
        write_synced(kept.folder / _TREES_MANIFEST, msgspec.json.encode(facts))
        sync_folder(kept.folder)
        kept.segment.trees = _open_trees(kept.folder, kept.segment.rows.shape[1], kept.segment.chunk_count)

    def _segments(self) -> list[int]:
        if not self.path.is_dir():
            return []
        return [int(found[1]) for path in self.path.iterdir() if (found := _SEGMENT.fullmatch(path.name)) is not None]

    def _place(self, number: int) -> Path:
        return self.path / f"segment-{number}"

    def _next(self) -> Path:
        return self._place(max(self._segments(), default=0) + 1).with_suffix(_NEW)


def _remove(path: Path) -> None:
    """Remove a segment, or what stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _open_trees(folder: Path, dimension: int, count: int) -> trees.Trees | None:
    """The trees, if they are there and whole; without them the codes are scanned, so no more is said."""
    try:
        facts = msgspec.json.decode((folder / _TREES_MANIFEST).read_bytes(), type=FileFacts)
        _check(folder / _TREES, facts)
        return trees.Trees.open(folder / _TREES, dimension, count)
    except (OSError, ValueError, DamagedIndex):
        return None


def _check(path: Path, facts: FileFacts | None) -> None:
    """Whether a file is as it was written: its length always, its hash if anything touched it since."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise DamagedIndex(f"{path} is missing") from None
    if facts is None:
        raise DamagedIndex(f"the manifest of {path.parent} does not name {path.name}")
    if stat.st_size != facts.size_bytes:
        raise DamagedIndex(f"{path} has {stat.st_size} bytes; it was written with {facts.size_bytes}")
    if stat.st_mtime_ns != facts.changed_ns and _sha256(path) != facts.sha256:
        raise DamagedIndex(f"{path} was changed since it was written")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
