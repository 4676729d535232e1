"""Vectors in memory, by an exact scan: all of a small index, and of a large one what came since its base was made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from aimem.search.halves import Floats
from aimem.search.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers: TypeAlias = "NDArray[np.int64]"

_DEAD: Final = -1
_CAPACITY_MIN: Final = 64

_GATHER_SHARE: Final = 4
"""Copying the chosen rows together pays while they are at most a quarter of all; else scan all and choose after."""


class Held(Struct, frozen=True):
    """The vectors of a row, one per chunk (float32), and the hash of the text that they were made of."""

    chunks: Floats
    text_hash: bytes


class Chunks(Struct, frozen=True):
    """Chunks that a scan found: the row of each, and its inner product with the query."""

    numbers: Numbers
    scores: Floats


class Live(Struct, frozen=True, kw_only=True):
    """What a search sees: `rows[:used]` and `owners[:used]`, chunk by chunk; a removed chunk's owner is `_DEAD`.

    What it shows never changes: see Tail.
    """

    rows: Floats
    owners: Numbers
    used: int

    def scan(self, query: Floats, allowed: Numbers | None) -> Chunks:
        """Every chunk, or every chunk of the rows allowed, with its product."""
        owners = self.owners[:self.used]
        is_wanted = owners != _DEAD
        if allowed is not None:
            is_wanted &= np.isin(owners, allowed)
        chosen = np.flatnonzero(is_wanted)
        # A product per row, not one of the matrix: that would wake BLAS's own threads, which fight for busy cores (15
        # ms instead of 0.4 for 5,000 chunks), and sum equal vectors differently by place: they would not tie.
        if len(chosen) * _GATHER_SHARE <= self.used:
            scores = np.vecdot(self.rows[chosen], query)
        else:
            scores = np.vecdot(self.rows[:self.used], query)[chosen]
        return Chunks(owners[chosen], scores)


class TailSnapshot(Struct, frozen=True, kw_only=True):
    """The rows of one moment: where each one's chunks stand in `live`, and the hash of its text."""

    live: Live
    slots: Mapping[int, range]
    hashes: Mapping[int, bytes]

    def held(self, numbers: Iterable[int]) -> dict[int, Held]:
        """These rows; those that are not here are left out."""
        here = [no for no in numbers if no in self.slots]
        return {no: Held(self.live.rows[_part(self.slots[no])], self.hashes[no]) for no in here}


class Tail:
    """Rows in memory, 4 x dimension bytes a chunk. One thread changes it; `live` may be searched by any meanwhile.

    The invariant that allows this without a lock: what a `live` shows never changes. New chunks are written behind its
    `used`, removal marks a copy of `owners`, growth and compaction make new arrays; then `live` is replaced.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._slots: dict[int, range] = {}
        self._hashes: dict[int, bytes] = {}
        self._dead_count = 0
        self.live = self._empty(_CAPACITY_MIN)

    @property
    def count(self) -> int:
        """Rows."""
        return len(self._slots)

    @property
    def chunk_count(self) -> int:
        """Chunks of all rows."""
        return self.live.used - self._dead_count

    def hash_of(self, no: int) -> bytes | None:
        """The hash of the text of a row; None if it is not here."""
        return self._hashes.get(no)

    def numbers_between(self, low: int, high: int) -> list[int]:
        """Its rows numbered in [low, high)."""
        return [no for no in self._slots if low <= no < high]

    def held(self, numbers: Iterable[int]) -> dict[int, Held]:
        """These rows; those that are not here are left out."""
        return self.snapshot().held(numbers)

    def snapshot(self) -> TailSnapshot:
        """All rows as they are now, whatever comes later."""
        return TailSnapshot(live=self.live, slots=dict(self._slots), hashes=dict(self._hashes))

    def change(self, puts: Mapping[int, Held], removed: Collection[int]) -> None:
        """Set some rows, in place of what they were, and take others out; a search sees all of it or nothing."""
        live = self._without([*puts, *removed])
        added = sum(len(held.chunks) for held in puts.values())
        is_full = live.used + added > len(live.rows)
        if is_full or 2 * self._dead_count > max(live.used, _CAPACITY_MIN):
            live = self._rebuilt(live, added)
        end = live.used
        for no, held in puts.items():
            start, end = end, end + len(held.chunks)
            live.rows[start:end] = held.chunks
            live.owners[start:end] = no
            self._slots[no] = range(start, end)
            self._hashes[no] = held.text_hash
        self.live = Live(rows=live.rows, owners=live.owners, used=end)

    def _empty(self, capacity: int) -> Live:
        rows = np.empty((capacity, self._dimension), np.float32)
        return Live(rows=rows, owners=np.full(capacity, _DEAD, np.int64), used=0)

    def _without(self, numbers: Sequence[int]) -> Live:
        """The state with these rows' chunks dead; not published yet."""
        gone = [slots for no in numbers if (slots := self._slots.pop(no, None)) is not None]
        if not gone:
            return self.live
        owners = self.live.owners.copy()
        for slots in gone:
            owners[_part(slots)] = _DEAD
            self._dead_count += len(slots)
        for no in numbers:
            self._hashes.pop(no, None)
        return Live(rows=self.live.rows, owners=owners, used=self.live.used)

    def _rebuilt(self, live: Live, extra: int) -> Live:
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
        return Live(rows=new.rows, owners=new.owners, used=len(kept))


def _part(slots: range) -> slice:
    return slice(slots.start, slots.stop)
