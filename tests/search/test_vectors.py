"""The exact index, against a plain oracle."""

from __future__ import annotations

import math
import struct
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aimem.search import VectorIndex, from_f16, to_f16

DIMENSION = 3
small = st.integers(-4, 4).map(float)
vectors = st.lists(small, min_size=DIMENSION, max_size=DIMENSION).map(lambda numbers: struct.pack("<3f", *numbers))
chunks = st.lists(vectors, max_size=5)


def unit(*numbers: float) -> bytes:
    row = np.array(numbers, "<f4")
    return bytes((row / np.linalg.norm(row)).astype("<f4").tobytes())


class IndexMachine(RuleBasedStateMachine):
    """Whatever is put and removed, a search answers as a plain dictionary would."""

    def __init__(self) -> None:
        super().__init__()
        self.index = VectorIndex(DIMENSION)
        self.known: dict[int, list[bytes]] = {}

    @rule(no=st.integers(0, 40), given_chunks=chunks)
    def put(self, no: int, given_chunks: list[bytes]) -> None:
        self.index.put(no, given_chunks)
        self.known.pop(no, None)
        if given_chunks:
            self.known[no] = given_chunks

    @rule(start=st.integers(0, 40), count=st.integers(20, 40), chunk=vectors)
    def put_many(self, start: int, count: int, chunk: bytes) -> None:
        for no in range(start, start + count):
            self.put(no, [chunk, chunk])

    @rule(start=st.integers(0, 60), count=st.integers(1, 60))
    def remove(self, start: int, count: int) -> None:
        for no in range(start, start + count):
            self.index.remove(no)
            self.known.pop(no, None)

    @rule(query=vectors, limit=st.integers(0, 9), allowed=st.none() | st.sets(st.integers(-1, 60)))
    def search(self, query: bytes, limit: int, allowed: set[int] | None) -> None:
        wanted = np.frombuffer(query, "<f4")
        best = [
            (no, max(float(np.frombuffer(chunk, "<f4") @ wanted) for chunk in held))
            for no, held in self.known.items() if allowed is None or no in allowed
        ]
        expected = sorted(best, key=lambda row: (-row[1], row[0]))[:limit]
        assert self.index.search(query, limit, allowed=allowed) == expected

    @invariant()
    def counts_hold(self) -> None:
        assert self.index.count == len(self.known)
        assert self.index.chunk_count == sum(map(len, self.known.values()))


test_index_answers_like_a_dictionary = IndexMachine.TestCase


def test_row_counts_with_its_best_chunk_and_once() -> None:
    index = VectorIndex(2)
    index.put(7, [unit(0, 1), unit(1, 0), unit(1, 1)])
    index.put(8, [unit(3, 1)])
    assert index.search(unit(1, 0), 10) == [(7, 1.0), (8, pytest.approx(0.9486833))]


def test_row_with_many_near_chunks_does_not_crowd_others_out() -> None:
    index = VectorIndex(2)
    index.put(1, [unit(1, 0)] * 64)
    for no in range(2, 6):
        index.put(no, [unit(1, no)])
    assert [no for no, _ in index.search(unit(1, 0), 5)] == [1, 2, 3, 4, 5]


def test_equal_vectors_tie_by_row_wherever_they_lie() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(203, 384))
    index = VectorIndex(384)
    twin, query = unit(*rows[0]), unit(*rows[1])
    for no in range(203):
        index.put(no, [twin if no % 7 == 0 else unit(*rows[no])])
    twins = list(range(0, 203, 7))
    found = index.search(twin, len(twins))
    assert found == [(no, pytest.approx(1.0)) for no in twins]
    assert [no for no, _ in index.search(query, 203) if no % 7 == 0] == twins
    assert [no for no, _ in index.search(query, 203, allowed=twins)] == twins


@pytest.mark.parametrize(
    "bad", [b"", bytes(4), bytes(16), struct.pack("<3f", 0, math.nan, 0), struct.pack("<3f", 0, 0, math.inf)]
)
def test_wrong_vectors_are_refused_and_change_nothing(bad: bytes) -> None:
    index = VectorIndex(DIMENSION)
    index.put(1, [unit(1, 0, 0)])
    for call in (lambda: index.put(1, [unit(0, 1, 0), bad]), lambda: index.search(bad, 1)):
        with pytest.raises(ValueError, match="vector"):
            call()
    with pytest.raises(ValueError, match="negative"):
        index.put(-1, [unit(0, 1, 0)])
    assert index.search(unit(1, 0, 0), 5) == [(1, 1.0)]


@pytest.mark.slow
def test_search_in_another_thread_sees_every_change_whole() -> None:
    """Each row always holds exactly one of two orthogonal vectors: a search that saw half a change would miss a row."""
    index = VectorIndex(2)
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
        for step in range(20_000):
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
