"""The index, in memory alone and with a base, against a plain oracle."""

from __future__ import annotations

import math
import shutil
import struct
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aimem.search import Bounds, VectorIndex, WrongVectors, check_units, from_f16, hold_halves, to_f16
from aimem.search.folder import VectorFolder
from tests.search.vectors import clustered, hash_of, held, packed, rebuild, unit

DIMENSION = 3
small = st.integers(-4, 4).map(float)
vectors = st.lists(small, min_size=DIMENSION, max_size=DIMENSION).map(lambda numbers: struct.pack("<3f", *numbers))
chunks = st.lists(vectors, max_size=5)


class IndexMachine(RuleBasedStateMachine):
    """Whatever is put and removed, a search answers as a plain dictionary would."""

    bounds = Bounds()

    def __init__(self) -> None:
        super().__init__()
        self.index = VectorIndex(DIMENSION, self.bounds)
        self.known: dict[int, list[bytes]] = {}

    @rule(no=st.integers(0, 40), given_chunks=chunks)
    def put(self, no: int, given_chunks: list[bytes]) -> None:
        self.index.change({no: held(given_chunks, DIMENSION)}, ())
        self.known.pop(no, None)
        if given_chunks:
            self.known[no] = given_chunks

    @rule(start=st.integers(0, 40), count=st.integers(20, 40), chunk=vectors, gone=st.sets(st.integers(0, 20)))
    def change_many(self, start: int, count: int, chunk: bytes, gone: set[int]) -> None:
        puts = {no: [chunk, chunk] for no in range(start, start + count)}
        self.index.change({no: held(two, DIMENSION) for no, two in puts.items()}, gone - puts.keys())
        self.known = {no: two for no, two in self.known.items() if no not in gone} | puts

    @rule(start=st.integers(0, 60), count=st.integers(1, 60))
    def remove(self, start: int, count: int) -> None:
        for no in range(start, start + count):
            self.index.remove(no)
            self.known.pop(no, None)

    @rule(query=vectors, limit=st.integers(0, 9), allowed=st.none() | st.sets(st.integers(-1, 80)))
    def search(self, query: bytes, limit: int, allowed: set[int] | None) -> None:
        best = self.best_chunks(query)
        wanted = [(no, score) for no, score in best.items() if allowed is None or no in allowed]
        expected = sorted(wanted, key=lambda row: (-row[1], row[0]))[:limit]
        assert self.index.search(query, limit, allowed=allowed) == expected

    @rule(query=vectors, numbers=st.lists(st.integers(-1, 80)))
    def compare(self, query: bytes, numbers: list[int]) -> None:
        best = self.best_chunks(query)
        assert self.index.similarities(query, numbers) == {no: best[no] for no in set(numbers) & best.keys()}

    def best_chunks(self, query: bytes) -> dict[int, float]:
        wanted = np.frombuffer(query, "<f4")
        return {
            no: max(float(np.frombuffer(chunk, "<f4") @ wanted) for chunk in held_chunks)
            for no, held_chunks in self.known.items()
        }

    @invariant()
    def counts_hold(self) -> None:
        assert self.index.count == len(self.known)
        assert self.index.chunk_count == sum(map(len, self.known.values()))


class BasedMachine(IndexMachine):
    """The same, while bases are made, swapped in, closed and opened again; with room to look at every chunk."""

    bounds = Bounds(exact_chunks=4, wide_chunks=1_000)

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="aimem-index-"))
        self.folder = VectorFolder(self.path)
        self.writing = False

    def teardown(self) -> None:
        shutil.rmtree(self.path)

    @precondition(lambda self: not self.writing)
    @rule()
    def begin_base(self) -> None:
        snapshot = self.index.begin_base()
        with self.folder.begin(model="m", dimension=DIMENSION) as writer:
            for block in snapshot.blocks():
                writer.add(block)
            if not writer.chunk_count:
                self.index.adopt(None)
                self.folder.discard()
                return
            for _ in writer.finish():
                pass
        self.writing = True

    @precondition(lambda self: self.writing)
    @rule()
    def adopt(self) -> None:
        self.index.adopt(self.folder.publish(dimension=DIMENSION).segment)
        self.writing = False

    @precondition(lambda self: self.writing)
    @rule()
    def give_up(self) -> None:
        self.index.give_up()
        self.writing = False

    @precondition(lambda self: not self.writing)
    @rule(step=st.integers(1, 50))
    def reopen(self, step: int) -> None:
        """As after a restart: what the disk has, brought up to what is known."""
        self.index = VectorIndex(DIMENSION, self.bounds)
        kept = self.folder.open(model="m", dimension=DIMENSION)
        if kept is not None:
            self.index.adopt(kept.segment)
        self.catch_up(step)

    @rule()
    def distrust(self) -> None:
        self.index.distrust()
        assert set(self.catch_up(1_000)) == set(self.known)
        self.index.trust()
        assert self.catch_up(1_000) == []

    def catch_up(self, step: int) -> list[int]:
        done: list[int] = []
        for low in range(0, 200, step):
            high = low + step
            wanted = [(no, hash_of(self.known[no])) for no in sorted(self.known) if low <= no < high]
            found = self.index.differences(low, high, wanted)
            self.index.change({no: held(self.known[no], DIMENSION) for no in found.missing}, found.surplus)
            done += found.missing
        return done


IndexMachine.TestCase.settings = settings(deadline=None)
BasedMachine.TestCase.settings = settings(deadline=None, max_examples=60)
test_index_answers_like_a_dictionary = IndexMachine.TestCase
test_index_with_a_base_answers_like_a_dictionary = BasedMachine.TestCase


def test_row_counts_with_its_best_chunk_and_once() -> None:
    index = VectorIndex(2)
    index.put(7, [unit(0, 1), unit(1, 0), unit(1, 1)])
    index.put(8, [unit(3, 1)])
    assert index.search(unit(1, 0), 10) == [(7, 1.0), (8, pytest.approx(0.9486833))]


@pytest.mark.parametrize("has_base", [False, True])
def test_row_with_many_near_chunks_does_not_crowd_others_out(has_base: bool, tmp_path: Path) -> None:
    index = VectorIndex(2, Bounds(exact_chunks=3, wide_chunks=4))
    index.put(1, [unit(1, 0)] * 64)
    for no in range(2, 6):
        index.put(no, [unit(1, no)])
    if has_base:
        rebuild(index, tmp_path / "vectors")
    assert [no for no, _ in index.search(unit(1, 0), 5)] == [1, 2, 3, 4, 5]
    assert [no for no, _ in index.search(unit(1, 0), 4, allowed={1, 2, 3, 4})] == [1, 2, 3, 4]


def test_equal_vectors_tie_by_row_wherever_they_lie(tmp_path: Path) -> None:
    rows = from_f16(to_f16([unit(*row) for row in np.random.default_rng(1).normal(size=(203, 384))]))
    index = VectorIndex(384, Bounds(exact_chunks=10))
    twin, query = rows[0], rows[1]
    twins = list(range(0, 203, 7))
    for no in range(203):
        index.put(no, [twin if no in twins else rows[no]])
        if no == 100:
            rebuild(index, tmp_path / "vectors")
    assert index.base_chunk_count == 101
    found = index.search(twin, len(twins))
    assert found == [(no, pytest.approx(1.0, abs=1e-3)) for no in twins]
    assert len({score for _, score in found}) == 1
    assert [no for no, _ in index.search(query, 203) if no % 7 == 0] == twins
    assert [no for no, _ in index.search(query, 203, allowed=twins)] == twins


@pytest.mark.parametrize(
    "bad", [b"", bytes(4), bytes(16), struct.pack("<3f", 0, math.nan, 0), struct.pack("<3f", 0, 0, math.inf)]
)
def test_wrong_vectors_are_refused_and_change_nothing(bad: bytes) -> None:
    index = VectorIndex(DIMENSION)
    index.put(1, [unit(1, 0, 0)])
    for call in (
        lambda: index.put(1, [unit(0, 1, 0), bad]), lambda: index.search(bad, 1), lambda: index.similarities(bad, [1]),
    ):
        with pytest.raises(WrongVectors, match="vector"):
            call()
    with pytest.raises(ValueError, match="negative"):
        index.put(-1, [unit(0, 1, 0)])
    with pytest.raises(ValueError, match="dimensions"):
        index.change({1: held([packed(1, 2)], 2)}, ())
    assert index.search(unit(1, 0, 0), 5) == [(1, 1.0)]


@pytest.mark.parametrize("bad", [(1, math.nan, 0), (1, 0, math.inf), (1, 0), (1, 0, 0, 0), ()])
def test_wrong_halves_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(WrongVectors, match="vector"):
        hold_halves([bytes(6), np.array(bad, "<f2").tobytes()], DIMENSION, bytes(16))


def test_a_base_is_wanted_when_memory_holds_much_or_the_base_is_mostly_dead(tmp_path: Path) -> None:
    index = VectorIndex(2, Bounds(exact_chunks=10))
    index.change({no: held([unit(1, no)] * 2, 2) for no in range(5)}, ())
    assert not index.wants_base
    index.put(5, [unit(1, 0)])
    assert index.wants_base
    rebuild(index, tmp_path / "vectors")
    assert not index.wants_base
    assert (index.base_chunk_count, index.chunk_count) == (11, 11)
    index.change({}, (0, 5))
    assert index.wants_base
    rebuild(index, tmp_path / "vectors")
    assert not index.wants_base
    assert index.count == 4


def test_base_finds_almost_all_of_the_nearest_of_clustered_vectors(tmp_path: Path) -> None:
    """The bound of the issue is 0.95; this is a set that is hard on codes: 30,000 in 150 tight topics."""
    rows = clustered(30_000)
    index = VectorIndex(384, Bounds(exact_chunks=5_000))
    index.change({no: hold_halves([row.tobytes()], 384, bytes(16)) for no, row in enumerate(rows)}, ())
    queries = [row.astype("<f4").tobytes() for row in clustered(60, seed=2)]
    truth = [index.search(query, 100) for query in queries]
    rebuild(index, tmp_path / "vectors")
    found = [index.search(query, 100) for query in queries]
    for count, least in ((10, 0.99), (100, 0.95)):
        shares = [
            len({no for no, _ in one[:count]} & {no for no, _ in other[:count]}) / count
            for one, other in zip(found, truth, strict=True)
        ]
        assert np.mean(shares) >= least
    for one, other in zip(found, truth, strict=True):
        exact = dict(other)
        assert all(score == exact[no] for no, score in one if no in exact)


def test_of_few_rows_allowed_the_base_gives_the_exact_best(tmp_path: Path) -> None:
    rows = clustered(3_000)
    index = VectorIndex(384, Bounds(exact_chunks=100, wide_chunks=5))
    index.change({no: hold_halves([row.tobytes()], 384, bytes(16)) for no, row in enumerate(rows)}, ())
    query, few = rows[7].astype("<f4").tobytes(), set(range(0, 3_000, 40))
    truth = index.search(query, 20, allowed=few)
    rebuild(index, tmp_path / "vectors")
    assert index.search(query, 20, allowed=few) == truth
    many = set(range(2_000))
    assert len(index.search(query, 500, allowed=many)) == 500
    assert {no for no, _ in index.search(query, 500, allowed=many)} <= many


@pytest.mark.slow
@pytest.mark.parametrize("has_base", [False, True])
def test_search_in_another_thread_sees_every_change_whole(has_base: bool, tmp_path: Path) -> None:
    """Each row always holds exactly one of two orthogonal vectors: a search that saw half a change would miss a row."""
    index = VectorIndex(2, Bounds(exact_chunks=50))
    sides = (unit(1, 0), unit(0, 1))
    for no in range(200):
        index.put(no, [sides[0]] * 2)
    stop = threading.Event()
    torn: list[int] = []

    def look() -> None:
        while not stop.is_set():
            torn.append(abs(200 - len(index.search(unit(1, 1), 500))))
    searcher = threading.Thread(target=look)
    searcher.start()
    try:
        for step in range(10_000):
            if has_base and step % 500 == 0:
                rebuild(index, tmp_path / "vectors")
            index.put(step % 200, [sides[step // 200 % 2]] * (1 + step % 3))
    finally:
        stop.set()
        searcher.join()
    assert len(torn) > 10
    assert not any(torn)


@given(st.lists(st.floats(-1, 1, width=32), min_size=8, max_size=8))
def test_half_precision_survives_the_disk(numbers: list[float]) -> None:
    vector = struct.pack("<8f", *numbers)
    halves = to_f16([vector, vector])
    assert [len(half) for half in halves] == [16, 16]
    back = from_f16(halves)
    assert np.allclose(np.frombuffer(back[1], "<f4"), numbers, atol=5e-4)
    assert to_f16(back) == halves


def test_only_unit_vectors_pass_for_what_another_node_made() -> None:
    good = to_f16([np.array([0.6, 0.8], "<f4").tobytes()])[0]
    check_units([], 2)
    check_units([good, good], 2)
    for bad in (good[:2], np.array([0.6, 0.9], "<f2").tobytes(), bytes(4), np.array([np.nan, 0], "<f2").tobytes()):
        with pytest.raises(WrongVectors):
            check_units([good, bad], 2)
