"""Writing a segment: rows as they come, then their codes, then the manifest that makes it whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import msgspec
from msgspec import Struct

from aimem.search import codes
from aimem.search.halves import Halves
from aimem.search.numeric import np
from aimem.search.segment import File, Hashes
from aimem.search.tail import Numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"

_CODED_AT_ONCE: Final = 8_192
_CENTRE_SAMPLE: Final = 20_000
"""The centre only decides which side of each dimension is 1; the mean of so many is near enough to that of all."""


class Block(Struct, frozen=True, kw_only=True):
    """Some rows: `counts[i]` of the chunks in `vectors`, in order, belong to `numbers[i]`."""

    numbers: Numbers
    hashes: Hashes
    counts: Numbers
    vectors: Halves


class FileFacts(Struct, frozen=True, kw_only=True):
    """How a file was when it was written. The time tells whether anybody touched it since; then the hash decides."""

    size_bytes: int
    changed_ns: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a segment is; written last, so that a folder which has one is whole.

    Attributes:
      model: its vectors are comparable with no other's.
    """

    format: int
    model: str
    dimension: int
    rows: int
    chunks: int
    highest_number: int
    files: dict[str, FileFacts]


class SegmentWriter:
    """Writes a segment into an empty folder. Every call is short, so that whoever drives it may stop between two."""

    def __init__(self, folder: Path, *, model: str, dimension: int) -> None:
        self.chunk_count = 0
        self._folder, self._model, self._dimension = folder, model, dimension
        self._rows = _Hashed(folder / File.ROWS)
        self._numbers: list[Numbers] = []
        self._counts: list[Numbers] = []
        self._hashes: list[Hashes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()

    def add(self, block: Block) -> None:
        """Append rows; none may come twice. Raises: OSError."""
        self._rows.write(block.vectors.astype("<f2", copy=False))
        self._numbers.append(block.numbers)
        self._counts.append(block.counts)
        self._hashes.append(block.hashes)
        self.chunk_count += len(block.vectors)

    def finish(self) -> Iterator[None]:
        """Write the rest in steps; after the last one the folder is whole and on the disk. Raises: OSError."""
        facts = {str(File.ROWS): self._rows.seal()}
        yield
        shape = (self.chunk_count, self._dimension)
        rows = np.memmap(self._folder / File.ROWS, "<f2", "r", shape=shape)
        centre = rows[::max(1, len(rows) // _CENTRE_SAMPLE)].astype(np.float32).mean(axis=0)
        bits = np.empty((codes.word_count(self._dimension), len(rows)), np.uint64)
        for start in range(0, len(rows), _CODED_AT_ONCE):
            part = rows[start:start + _CODED_AT_ONCE].astype(np.float32)
            bits[:, start:start + len(part)] = codes.encode(part, centre)
            yield
        numbers = np.concatenate(self._numbers)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(self._counts))])
        for name, array in (
            (File.CODES, bits), (File.CENTRE, centre), (File.NUMBERS, numbers), (File.STARTS, starts),
            (File.HASHES, np.concatenate(self._hashes)),
        ):
            file = _Hashed(self._folder / name)
            file.write(array)
            facts[str(name)] = file.seal()
            yield
        self._write_manifest(facts, len(numbers), int(numbers.max()))

    def _write_manifest(self, facts: dict[str, FileFacts], row_count: int, highest_number: int) -> None:
        manifest = Manifest(
            format=FORMAT, model=self._model, dimension=self._dimension, rows=row_count, chunks=self.chunk_count,
            highest_number=highest_number, files=facts,
        )
        write_synced(self._folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        sync_folder(self._folder)


class _Hashed:
    """A new file (0600) whose hash is taken as it is written."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = _create(path)
        self._digest = hashlib.sha256()

    def write(self, array: NDArray[np.generic]) -> None:
        data = np.ascontiguousarray(array).view(np.uint8).data if array.size else memoryview(b"")
        self._file.write(data)
        self._digest.update(data)

    def seal(self) -> FileFacts:
        """Flush it to the disk and close it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        stat = os.fstat(self._file.fileno())
        self._file.close()
        return FileFacts(size_bytes=stat.st_size, changed_ns=stat.st_mtime_ns, sha256=self._digest.hexdigest())

    def close(self) -> None:
        self._file.close()


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def write_synced(path: Path, data: bytes) -> None:
    """Write a new small file and flush it to the disk. Raises: OSError."""
    with _create(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk. Raises: OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
