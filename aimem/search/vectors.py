"""The vector index: a frozen base on disk, what came since in memory, and a search over both as if they were one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from aimem.search.halves import Floats
from aimem.search.numeric import np
from aimem.search.segment import HASH_BYTES, HASH_TYPE, Base, Bounds, Segment
from aimem.search.tail import Chunks, Held, Live, Tail, TailSnapshot
from aimem.search.writing import Block

_BLOCK_ROWS: Final = 2_048
NO_HASH: Final = bytes(HASH_BYTES)
_DEAD_SHARE: Final = 4
_TAIL_SHARE: Final = 16
_UNIT_SLACK: Final = 0.01       # halving moves the length of a unit vector by less than 0.001


class WrongVectors(ValueError):
    """Vectors that no index can hold: of another dimension, or with a number that is not finite."""


class Differences(Struct, frozen=True):
    """How the index differs from what it should hold: rows that it lacks or has of another text, and rows too many."""

    missing: list[int]
    surplus: list[int]


class _Shown(Struct, frozen=True):
    """What a search sees; replaced as a whole, never changed."""

    base: Base | None
    live: Live


class Snapshot(Struct, frozen=True):
    """The rows of one moment, for a segment that takes them all."""

    base: Base | None
    tail: TailSnapshot

    def blocks(self) -> Iterator[Block]:
        """All rows, some thousand at a time. Reads the disk: a worker thread's job."""
        if self.base is not None:
            segment = self.base.segment
            for start in range(0, segment.count, _BLOCK_ROWS):
                places = self.base.living(np.arange(start, min(start + _BLOCK_ROWS, segment.count)))
                chunks = segment.chunks_of(places)
                yield Block(
                    numbers=segment.numbers[places], hashes=segment.hashes[places], vectors=segment.rows[chunks],
                    counts=segment.starts[places + 1] - segment.starts[places],
                )
        numbers = sorted(self.tail.slots)
        for start in range(0, len(numbers), _BLOCK_ROWS):
            yield block_of(self.tail.held(numbers[start:start + _BLOCK_ROWS]))


class VectorIndex:
    """Unit vectors by row number, a row having one per chunk of its text.

    A small index is all tail: float32 in memory, scanned exactly. A large one has a base beside (`adopt`), which is
    memory-mapped and scanned by codes; rows that changed since are masked there and stand in the tail.

    One thread changes it, any thread may search meanwhile: a search sees every change whole or not at all, and rows as
    they were when it began. What it sees (`_Shown`) never changes; each change makes a new one and publishes it by one
    assignment.

    Attributes:
      is_distrusted: whether each row counts as different from what it should be (`distrust`).
    """

    def __init__(self, dimension: int, bounds: Bounds | None = None) -> None:
        self.dimension = dimension
        self.bounds = bounds or Bounds()
        self._tail = Tail(dimension)
        self._shown = _Shown(None, self._tail.live)
        self._changed: set[int] | None = None
        self.is_distrusted = False

    @property
    def count(self) -> int:
        """Rows that have a vector."""
        return self._tail.count + (self._shown.base.count if self._shown.base else 0)

    @property
    def chunk_count(self) -> int:
        """Vectors of all rows."""
        return self._tail.chunk_count + self.base_chunk_count

    @property
    def base_chunk_count(self) -> int:
        """Vectors of the rows that the base serves."""
        return self._shown.base.chunk_count if self._shown.base else 0

    @property
    def wants_base(self) -> bool:
        """Whether a new base should take in what is in memory, or leave out what is dead."""
        base = self._shown.base
        if base is None:
            return self._tail.chunk_count > self.bounds.exact_chunks
        # A sixteenth: what the rebuilds of a growing index write is then a small multiple of what the last one does.
        most = max(self.bounds.exact_chunks, base.chunk_count // _TAIL_SHARE)
        return self._tail.chunk_count > most or base.dead_chunk_count * _DEAD_SHARE > base.segment.chunk_count

    def put(self, no: int, vectors: Sequence[bytes]) -> None:
        """Set the vectors (little-endian float32) of one row whose text is not known: see `change`."""
        self.change({no: hold_floats(vectors, self.dimension)}, ())

    def remove(self, no: int) -> None:
        """Take one row out: see `change`."""
        self.change({}, (no,))

    def change(self, puts: Mapping[int, Held], removed: Collection[int]) -> None:
        """Set the vectors of some rows, in place of those that they had, and take others out, all at once.

        A row without any vector goes; one that is not there is no error.

        Raises: ValueError for another dimension or a negative row; then nothing changed.
        """
        if any(no < 0 or held.chunks.shape[1] != self.dimension for no, held in puts.items()):
            raise ValueError(f"a row is negative, or has not {self.dimension} dimensions")
        gone = [*removed, *(no for no, held in puts.items() if not len(held.chunks))]
        self._tail.change({no: held for no, held in puts.items() if len(held.chunks)}, gone)
        touched = np.array([*puts, *removed], np.int64)
        base = self._shown.base
        self._shown = _Shown(None if base is None else base.without(touched), self._tail.live)
        if self._changed is not None:
            self._changed.update(touched.tolist())

    def search(self, query: bytes, limit: int, *, allowed: Collection[int] | None = None) -> list[tuple[int, float]]:
        """Find the rows whose best chunk is nearest.

        Exact over memory, and over the base if at most `bounds.exact_chunks` of its chunks are eligible; else a chunk
        among the nearest may be missed (one of a hundred, about). What is found has its exact score, and as many rows
        as were asked for are found if there are so many.

        Args:
          query: little-endian float32, `dimension` long.
          limit: rows to return at most.
          allowed: rows to look among; None for all.

        Returns: (row, inner product of its best chunk), best first, ties by row.

        Raises: ValueError for a query of another dimension or with a number that is not finite.
        """
        vector, shown = read_vector(query, self.dimension), self._shown
        wanted = None if allowed is None else np.fromiter(allowed, np.int64, len(allowed))
        if limit < 1:
            return []
        found = shown.live.scan(vector, wanted)
        if shown.base is not None:
            found = _joined(found, shown.base.nearest(vector, limit, wanted, self.bounds))
        return _best_rows(found, limit)

    def similarities(self, query: bytes, numbers: Collection[int]) -> dict[int, float]:
        """The inner product of a query with the best chunk of each of these rows, exactly.

        Returns: by row; one that has no vector is left out.

        Raises: ValueError for a query of another dimension or with a number that is not finite.
        """
        vector, shown = read_vector(query, self.dimension), self._shown
        wanted = np.fromiter(numbers, np.int64, len(numbers))
        found = shown.live.scan(vector, wanted)
        if shown.base is not None:
            segment = shown.base.segment
            chunks = segment.chunks_of(shown.base.living(np.unique(segment.places_of(wanted))))
            found = _joined(found, segment.products(chunks, vector))
        return dict(_best_rows(found, len(wanted))) if len(wanted) else {}

    # Keeping it true to the database, and the base up to the tail.

    def distrust(self) -> None:
        """Take every row as different from what it should be, until a new base or new vectors have replaced it."""
        self.is_distrusted = True

    def trust(self) -> None:
        """Everything was replaced: compare by hashes again."""
        self.is_distrusted = False

    def differences(self, low: int, high: int, wanted: Sequence[tuple[int, bytes]]) -> Differences:
        """Compare the rows numbered in [low, high) with what should be there: (row, hash of its text), by row."""
        due = dict(wanted)
        surplus = [no for no in self._tail.numbers_between(low, high) if no not in due]
        if self._shown.base is not None:
            surplus += self._shown.base.numbers_between(low, high, besides=due)
        if self.is_distrusted:
            return Differences(list(due), surplus)
        missing = [no for no, digest in wanted if self._tail.hash_of(no) != digest]
        if self._shown.base is not None:
            missing = self._shown.base.lacks([(no, due[no]) for no in missing])
        return Differences(missing, surplus)

    def begin_base(self) -> Snapshot:
        """The rows as they are now, for a new base; what changes from here on is noted until `adopt` or `give_up`.

        Of a distrusted index there are none: whoever makes its base brings them all.
        """
        self._changed = set()
        nothing = Tail(self.dimension)
        if self.is_distrusted:
            return Snapshot(None, nothing.snapshot())
        return Snapshot(self._shown.base, self._tail.snapshot())

    def adopt(self, segment: Segment | None) -> None:
        """Serve from a segment of the snapshot's rows and of such as the index lacked; what changed since stays.

        None stands for a segment without rows.
        """
        changed = self._changed if self._changed is not None else set()
        tail = Tail(self.dimension)
        tail.change(self._tail.held(changed), ())
        gone = np.fromiter(changed, np.int64, len(changed))
        base = None if segment is None else Base.of(segment).without(gone)
        self._tail, self._changed, self.is_distrusted = tail, None, False
        self._shown = _Shown(base, tail.live)

    def give_up(self) -> None:
        """The new base did not come about; after `adopt` this does nothing."""
        self._changed = None


def hold_floats(vectors: Sequence[bytes], dimension: int, text_hash: bytes = NO_HASH) -> Held:
    """A row of little-endian float32 vectors. Raises: WrongVectors."""
    chunks = [read_vector(vector, dimension) for vector in vectors]
    return Held(np.array(chunks, np.float32).reshape((len(chunks), dimension)), text_hash)


def hold_halves(vectors: Sequence[bytes], dimension: int, text_hash: bytes) -> Held:
    """A row of little-endian float16 vectors, as `to_f16` makes them. Raises: WrongVectors."""
    if any(len(vector) != 2 * dimension for vector in vectors):
        raise WrongVectors(f"a vector has not the {2 * dimension} bytes of {dimension} halves")
    chunks = np.frombuffer(b"".join(vectors), "<f2").reshape((len(vectors), dimension)).astype(np.float32)
    if not np.isfinite(chunks).all():
        raise WrongVectors("a vector holds a number that is not finite")
    return Held(chunks, text_hash)


def check_units(vectors: Sequence[bytes], dimension: int) -> None:
    """Make sure that vectors from elsewhere are unit vectors, as `to_f16` makes them. Raises: WrongVectors."""
    lengths = np.linalg.norm(hold_halves(vectors, dimension, b"").chunks, axis=1)
    if (np.abs(lengths - 1.0) > _UNIT_SLACK).any():
        raise WrongVectors("a vector is not of length 1")


def read_vector(data: bytes, dimension: int) -> Floats:
    """One vector of little-endian float32. Raises: WrongVectors."""
    if len(data) != 4 * dimension:
        raise WrongVectors(f"a vector has {len(data)} bytes; {4 * dimension} are needed")
    vector = np.frombuffer(data, "<f4")
    if not np.isfinite(vector).all():
        raise WrongVectors("a vector holds a number that is not finite")
    return vector


def block_of(rows: Mapping[int, Held]) -> Block:
    """Some rows, as a segment takes them."""
    return Block(
        numbers=np.array(list(rows), np.int64),
        hashes=np.frombuffer(b"".join(held.text_hash for held in rows.values()), HASH_TYPE),
        counts=np.array([len(held.chunks) for held in rows.values()], np.int64),
        vectors=np.concatenate([held.chunks for held in rows.values()]).astype(np.float16),
    )


def _joined(one: Chunks, other: Chunks) -> Chunks:
    return Chunks(np.concatenate([one.numbers, other.numbers]), np.concatenate([one.scores, other.scores]))


def _best_rows(found: Chunks, limit: int) -> list[tuple[int, float]]:
    """The best chunk of each row, of the `limit` best rows.

    Looks at the best chunks only, and at more of them if they belong to too few rows.
    """
    scores, owners, wide = found.scores, found.numbers, 0
    if not len(scores):
        return []
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
