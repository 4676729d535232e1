"""A frozen segment: the vectors of a large index, on disk and memory-mapped, found by their codes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import Struct

from aimem.search import codes
from aimem.search.codes import Codes, Positions
from aimem.search.halves import Floats, Halves, products
from aimem.search.numeric import np
from aimem.search.tail import Chunks, Numbers
from aimem.search.trees import Trees

if TYPE_CHECKING:
    from numpy.typing import NDArray

Hashes: TypeAlias = "NDArray[np.void]"
"""One hash a row, of dtype HASH_TYPE."""

HASH_BYTES: Final = 16
HASH_TYPE: Final = f"V{HASH_BYTES}"


class File(StrEnum):
    """The files of a segment: numbers one after the other, little-endian."""

    ROWS = "rows.f16"           # chunks x dimension
    CODES = "codes.u64"         # words x chunks
    CENTRE = "centre.f32"
    NUMBERS = "numbers.i64"     # one a row
    STARTS = "starts.i64"       # one a row, and one more
    HASHES = "hashes.b16"       # one a row


class Bounds(Struct, frozen=True, kw_only=True):
    """Which way of searching serves how many chunks. The figures are from `python -m tests.bench.vectors`.

    Attributes:
      exact_chunks: at most so many are scanned exactly, whether they are all or those that a filter leaves.
      wide_chunks: so many near codes get exact products; 4,000 keep 0.98 of the 100 nearest of a million.
      trees_chunks: from so many on, trees nominate in place of the codes' scan.
    """

    exact_chunks: int = 20_000
    wide_chunks: int = 4_000
    trees_chunks: int = 3_000_000


class Segment:
    """Rows with their chunks, as they were when it was made; never changes, so that any thread may search it.

    Attributes:
      numbers: the rows' numbers, in no order.
      starts: where each row's chunks begin, and after the last row's, where they end.
      hashes: of the texts that the vectors were made of.
    """

    def __init__(
        self, *, rows: Halves, bits: Codes, centre: Floats, numbers: Numbers, starts: Numbers, hashes: Hashes
    ) -> None:
        self.numbers, self.starts, self.hashes = numbers, starts, hashes
        self.trees: Trees | None = None
        self._rows, self._bits, self._centre = rows, bits, centre
        self._owners = np.repeat(np.arange(len(numbers), dtype=np.int32), np.diff(starts))
        self._order = np.argsort(numbers, kind="stable")
        self._sorted = numbers[self._order]

    @property
    def count(self) -> int:
        """Rows."""
        return len(self.numbers)

    @property
    def chunk_count(self) -> int:
        """Chunks of all rows."""
        return len(self._rows)

    @property
    def rows(self) -> Halves:
        """The vectors, chunk by chunk, in the order of `starts`."""
        return self._rows

    def places_of(self, numbers: Numbers) -> Positions:
        """Where these rows stand; those that it does not have are left out."""
        if not len(self._sorted):
            return np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, numbers), len(self._sorted) - 1)
        found: Positions = self._order[at[self._sorted[at] == numbers]]
        return found

    def places_between(self, low: int, high: int) -> Positions:
        """Where the rows numbered in [low, high) stand."""
        first, last = np.searchsorted(self._sorted, [low, high])
        return self._order[first:last]

    def chunks_of(self, places: Positions) -> Positions:
        """Where the chunks of these rows stand."""
        first = self.starts[places]
        counts = self.starts[places + 1] - first
        ends = np.cumsum(counts)
        # 0, 1, … within each row: the running number less where the row began.
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        chunks: Positions = np.repeat(first, counts) + within
        return chunks

    def places_of_chunks(self, chunks: Positions) -> Positions:
        """Which row each chunk belongs to, as its place."""
        return self._owners[chunks].astype(np.int64)

    def products(self, chunks: Positions, query: Floats) -> Chunks:
        """The exact products of these chunks."""
        return Chunks(self.numbers[self._owners[chunks]], products(self._rows[chunks], query))

    def distances(self, query: Floats) -> codes.Distances:
        """How far each chunk's code is from the query's."""
        return codes.distances(self._bits, codes.encode(query[np.newaxis], self._centre))


class Base(Struct, frozen=True, kw_only=True):
    """A segment, less the rows that were removed or replaced since it was made.

    Attributes:
      is_dead: by place.
    """

    segment: Segment
    is_dead: NDArray[np.bool_]
    dead_count: int = 0
    dead_chunk_count: int = 0

    @classmethod
    def of(cls, segment: Segment) -> Base:
        """All of a segment."""
        return cls(segment=segment, is_dead=np.zeros(segment.count, np.bool_))

    @property
    def count(self) -> int:
        """Rows that live."""
        return self.segment.count - self.dead_count

    @property
    def chunk_count(self) -> int:
        """Chunks of the rows that live."""
        return self.segment.chunk_count - self.dead_chunk_count

    def without(self, numbers: Numbers) -> Base:
        """The same without these rows."""
        places = self.living(self.segment.places_of(numbers))
        if not len(places):
            return self
        is_dead = self.is_dead.copy()
        is_dead[places] = True
        starts = self.segment.starts
        return msgspec.structs.replace(
            self, is_dead=is_dead, dead_count=self.dead_count + len(places),
            dead_chunk_count=self.dead_chunk_count + int((starts[places + 1] - starts[places]).sum()),
        )

    def living(self, places: Positions) -> Positions:
        """Those of these places whose rows live."""
        return places[~self.is_dead[places]]

    def numbers_between(self, low: int, high: int, *, besides: Container[int]) -> list[int]:
        """Its rows numbered in [low, high), but for some."""
        places = self.living(self.segment.places_between(low, high))
        return [no for no in self.segment.numbers[places].tolist() if no not in besides]

    def lacks(self, wanted: Sequence[tuple[int, bytes]]) -> list[int]:
        """Of rows with the hash of their text, those that it does not have, or has of another text."""
        numbers = np.array([no for no, _ in wanted], np.int64)
        places = self.living(self.segment.places_of(numbers))
        here = dict(zip(self.segment.numbers[places].tolist(), self.segment.hashes[places].tolist(), strict=True))
        return [no for no, digest in wanted if here.get(no) != digest]

    def nearest(self, query: Floats, limit: int, allowed: Numbers | None, bounds: Bounds) -> Chunks:
        """Chunks among which those of the `limit` nearest rows are: surely if few are eligible, else very likely.

        Returns: at least `limit` rows, if so many are eligible.
        """
        segment = self.segment
        if allowed is None and self.chunk_count > bounds.exact_chunks:
            return self._nearest_of_all(query, limit, bounds)
        places = np.arange(segment.count) if allowed is None else segment.places_of(allowed)
        chunks = segment.chunks_of(self.living(places))
        if len(chunks) <= bounds.exact_chunks:
            return segment.products(chunks, query)
        found, wide = segment.distances(query)[chunks], max(bounds.wide_chunks, limit)
        while True:
            near = segment.products(chunks[codes.nearest(found, wide)], query)
            if wide >= len(chunks) or _row_count(near) >= limit:
                return near
            wide *= 4       # the near chunks belong to a few long texts

    def _nearest_of_all(self, query: Floats, limit: int, bounds: Bounds) -> Chunks:
        segment, wide = self.segment, max(bounds.wide_chunks, limit)
        if segment.trees is not None:
            near = self._products(segment.trees.nearest(query, wide), query)
            if _row_count(near) >= limit:
                return near
        found = segment.distances(query)
        while True:
            near = self._products(codes.nearest(found, wide), query)
            if wide >= segment.chunk_count or _row_count(near) >= limit:
                return near
            wide *= 4       # they are of a few long texts, or most of them are dead

    def _products(self, chunks: Positions, query: Floats) -> Chunks:
        is_living = ~self.is_dead[self.segment.places_of_chunks(chunks)]
        return self.segment.products(chunks[is_living], query)


def _row_count(found: Chunks) -> int:
    """Rows of chunks that come in the order of their places: those of one row are neighbours."""
    numbers = found.numbers
    return len(numbers) and 1 + int(np.count_nonzero(numbers[1:] != numbers[:-1]))


def read(folder: Path, dimension: int) -> Segment:
    """Map a segment's files, whose lengths were checked before. Raises: OSError."""
    starts = np.fromfile(folder / File.STARTS, "<i8")
    count, words = int(starts[-1]), codes.word_count(dimension)
    return Segment(
        # As plain arrays: a slice of a memmap takes some microseconds, and a search slices often.
        rows=np.asarray(np.memmap(folder / File.ROWS, "<f2", "r", shape=(count, dimension))),
        bits=np.asarray(np.memmap(folder / File.CODES, "<u8", "r", shape=(words, count))),
        centre=np.fromfile(folder / File.CENTRE, "<f4"),
        numbers=np.fromfile(folder / File.NUMBERS, "<i8"), starts=starts,
        hashes=np.fromfile(folder / File.HASHES, HASH_TYPE),
    )
