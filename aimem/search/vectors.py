"""Nearest vectors by an exact scan: no build step, no approximation, any filter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

_Floats = NDArray[np.float32]
_Numbers = NDArray[np.int64]

_DEAD: Final = -1
_CAPACITY_MIN: Final = 64

_GATHER_SHARE: Final = 4
"""Copying the chosen rows together pays while they are at most a quarter of all; else scan all and choose after."""


class _Live(Struct, frozen=True, kw_only=True):
    """What a search sees: `rows[:used]` and `owners[:used]`, chunk by chunk; a removed chunk's owner is `_DEAD`."""

    rows: _Floats
    owners: _Numbers
    used: int


class VectorIndex:
    """Unit vectors by row number, a row having one per chunk of its text; kept in memory, 4 x dimension bytes a chunk.

    One thread changes it, any thread may search meanwhile. The invariant that allows this without a lock: what a
    published `_Live` shows never changes. New chunks are written behind its `used`, removal marks a copy of `owners`,
    growth and compaction make new arrays; then one assignment publishes the new state. A search therefore sees every
    change of a row whole or not at all, and rows as they were when it began.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._slots: dict[int, range] = {}
        self._dead_count = 0
        self._live = self._empty(_CAPACITY_MIN)

    @property
    def count(self) -> int:
        """Rows that have a vector."""
        return len(self._slots)

    @property
    def chunk_count(self) -> int:
        """Vectors of all rows."""
        return self._live.used - self._dead_count

    def put(self, no: int, vectors: Sequence[bytes]) -> None:
        """Set the vectors of a row, in place of those that it had; without any, the row goes.

        Args:
          no: the row's number, 0 or more.
          vectors: little-endian float32, `dimension` each.

        Raises: ValueError for another dimension, a number that is not finite, or a negative row.
        """
        if no < 0:
            raise ValueError(f"row {no} is negative")
        block = [self._vector(vector) for vector in vectors]
        live = self._without(no)
        if live.used + len(block) > len(live.rows):
            live = self._rebuilt(live, len(block))
        start, end = live.used, live.used + len(block)
        if block:
            live.rows[start:end] = block
            live.owners[start:end] = no
            self._slots[no] = range(start, end)
        self._live = _Live(rows=live.rows, owners=live.owners, used=end)

    def remove(self, no: int) -> None:
        """Take a row out; one that is not there is no error."""
        live = self._without(no)
        self._live = self._rebuilt(live, 0) if 2 * self._dead_count > max(live.used, _CAPACITY_MIN) else live

    def search(
        self, query: bytes, limit: int, *, allowed: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """Find the rows whose best chunk is nearest.

        Args:
          query: little-endian float32, `dimension` long.
          limit: rows to return at most.
          allowed: rows to look among; None for all. A selective set makes the scan short.

        Returns: (row, inner product of its best chunk), best first, ties by row.

        Raises: ValueError for a query of another dimension or with a number that is not finite.
        """
        vector = self._vector(query)
        live = self._live
        owners = live.owners[:live.used]
        is_wanted = owners != _DEAD
        if allowed is not None:
            is_wanted &= np.isin(owners, np.fromiter(allowed, np.int64, len(allowed)))
        chosen = np.flatnonzero(is_wanted)
        if limit < 1 or not len(chosen):
            return []
        # A product per row, not one of the matrix: that would wake BLAS's own threads, which fight for busy cores (15
        # ms instead of 0.4 for 5,000 chunks), and sum equal vectors differently by place: they would not tie.
        if len(chosen) * _GATHER_SHARE <= live.used:
            scores = np.vecdot(live.rows[chosen], vector)
        else:
            scores = np.vecdot(live.rows[:live.used], vector)[chosen]
        return _best_rows(scores, owners[chosen], limit)

    def similarities(self, query: bytes, numbers: Collection[int]) -> dict[int, float]:
        """The inner product of a query with the best chunk of each of these rows, exactly.

        Returns: by row; one that has no vector is left out.

        Raises: ValueError for a query of another dimension or with a number that is not finite.
        """
        return dict(self.search(query, len(numbers), allowed=numbers))

    def _vector(self, data: bytes) -> _Floats:
        if len(data) != 4 * self.dimension:
            raise ValueError(f"a vector has {len(data)} bytes; {4 * self.dimension} are needed")
        vector = np.frombuffer(data, "<f4")
        if not np.isfinite(vector).all():
            raise ValueError("a vector holds a number that is not finite")
        return vector

    def _empty(self, capacity: int) -> _Live:
        rows = np.empty((capacity, self.dimension), np.float32)
        return _Live(rows=rows, owners=np.full(capacity, _DEAD, np.int64), used=0)

    def _without(self, no: int) -> _Live:
        """The state with this row's chunks dead; not published yet."""
        slots = self._slots.pop(no, None)
        live = self._live
        if slots is None:
            return live
        owners = live.owners.copy()
        owners[slots.start:slots.stop] = _DEAD
        self._dead_count += len(slots)
        return _Live(rows=live.rows, owners=owners, used=live.used)

    def _rebuilt(self, live: _Live, extra: int) -> _Live:
        """The living chunks in new arrays, with room for `extra` and as much again, so that copying stays rare."""
        kept = np.flatnonzero(live.owners[:live.used] != _DEAD)
        new = self._empty(max(_CAPACITY_MIN, 2 * (len(kept) + extra)))
        new.rows[:len(kept)] = live.rows[kept]
        new.owners[:len(kept)] = live.owners[kept]
        start = 0
        for no, slots in sorted(self._slots.items(), key=lambda item: item[1].start):
            self._slots[no] = range(start, start + len(slots))
            start += len(slots)
        self._dead_count = 0
        return _Live(rows=new.rows, owners=new.owners, used=len(kept))


def _best_rows(scores: _Floats, owners: _Numbers, limit: int) -> list[tuple[int, float]]:
    """The best chunk of each row, of the `limit` best rows.

    Looks at the best chunks only, and at more of them if they belong to too few rows.
    """
    wide = 0
    while True:
        wide = min(len(scores), max(4 * limit, 4 * wide))
        # All that ties with the last one comes along, so that the order of equals is that of their rows.
        cut = np.partition(scores, len(scores) - wide)[len(scores) - wide]
        near = np.flatnonzero(scores >= cut)
        near = near[np.lexsort((owners[near], -scores[near]))]
        firsts = np.sort(np.unique(owners[near], return_index=True)[1])[:limit]
        if len(firsts) == limit or wide == len(scores):
            best = near[firsts]
            return list(zip(owners[best].tolist(), scores[best].tolist(), strict=True))


def to_f16(vectors: Sequence[bytes]) -> list[bytes]:
    """Halve vectors for the disk, float32 to float16 (little-endian): a product of unit vectors moves by < 0.001."""
    return [np.frombuffer(vector, "<f4").astype("<f2").tobytes() for vector in vectors]


def from_f16(vectors: Sequence[bytes]) -> list[bytes]:
    """Read back what `to_f16` wrote: little-endian float16 to float32."""
    return [np.frombuffer(vector, "<f2").astype("<f4").tobytes() for vector in vectors]
