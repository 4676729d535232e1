"""Bases are made while others search and change; a maker that is stopped leaves the last one in place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from aimem.ports import trio_threads
from aimem.search import Bounds, Held, IndexNotKept, VectorIndex
from aimem.search.keeper import BaseKeeper, nothing_more
from tests.search.vectors import held, unit

T = TypeVar("T")
BOUNDS = Bounds(exact_chunks=4)


class SteppingThreads:
    """Runs inline, and does something before a certain hop."""

    def __init__(self, at: int, act: Callable[[], object]) -> None:
        self.left, self.act = at, act

    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        self.left -= 1
        if self.left == 0:
            self.act()
        await trio.lowlevel.checkpoint()
        return fn()

    def is_late(self) -> Callable[[], bool]:
        return lambda: False


def some_index() -> VectorIndex:
    index = VectorIndex(2, BOUNDS)
    index.change({no: held([unit(1, no)], 2) for no in range(10)}, ())
    return index


def numbers(index: VectorIndex) -> list[int]:
    return sorted(no for no, _ in index.search(unit(1, 1), 100))


@pytest.mark.parametrize("at", range(1, 12))
async def test_changes_at_any_step_outlive_the_swap(tmp_path: Path, at: int) -> None:
    index = some_index()

    def change() -> None:
        index.change({3: held([unit(-1, 0)], 2), 50: held([unit(0, 1)], 2)}, (1, 2))
    threads = SteppingThreads(at, change)
    keeper = BaseKeeper(tmp_path / "vectors", threads)
    await keeper.build(index, "m", nothing_more())
    if threads.left > 0:
        change()
    assert numbers(index) == [0, *range(3, 10), 50]
    assert index.similarities(unit(1, 0), [3]) == {3: -1.0}
    await keeper.build(index, "m", nothing_more())
    assert (index.base_chunk_count, numbers(index)) == (9, [0, *range(3, 10), 50])


@pytest.mark.parametrize("at", range(1, 9))
async def test_a_maker_that_is_cancelled_leaves_the_index_as_it_was(tmp_path: Path, at: int) -> None:
    index = some_index()
    await BaseKeeper(tmp_path / "vectors", trio_threads()).build(index, "m", nothing_more())
    index.remove(4)
    with trio.CancelScope() as scope:
        keeper = BaseKeeper(tmp_path / "vectors", SteppingThreads(at, scope.cancel))
        await keeper.build(index, "m", nothing_more())
    assert scope.cancelled_caught
    assert numbers(index) == [no for no in range(10) if no != 4]
    again = VectorIndex(2, BOUNDS)
    assert await BaseKeeper(tmp_path / "vectors", trio_threads()).open(again, "m") == ""
    assert again.count == 10
    assert [path.name for path in (tmp_path / "vectors").iterdir()] == ["segment-1"]


async def test_more_rows_come_into_the_base_with_those_of_the_index(tmp_path: Path) -> None:
    index = some_index()

    async def more() -> AsyncIterator[Mapping[int, Held]]:
        for start in (20, 30):
            yield {no: held([unit(1, no)], 2) for no in range(start, start + 5)}
        yield {}
    await BaseKeeper(tmp_path / "vectors", trio_threads()).build(index, "m", more())
    assert numbers(index) == [*range(10), *range(20, 25), *range(30, 35)]
    assert index.base_chunk_count == 20


async def test_of_a_distrusted_index_nothing_comes_into_the_base_but_it_answers_until_then(tmp_path: Path) -> None:
    index, seen = some_index(), list[list[int]]()
    keeper = BaseKeeper(tmp_path / "vectors", trio_threads())
    await keeper.build(index, "m", nothing_more())
    await keeper.discard(index)
    assert list((tmp_path / "vectors").iterdir()) == []

    async def more() -> AsyncIterator[Mapping[int, Held]]:
        seen.append(numbers(index))
        yield {no: held([unit(1, no)], 2) for no in range(5)}
    await keeper.build(index, "m", more())
    assert seen == [list(range(10))]
    assert numbers(index) == list(range(5))
    assert not index.is_distrusted


async def test_an_index_without_rows_has_no_base(tmp_path: Path) -> None:
    index, keeper = some_index(), BaseKeeper(tmp_path / "vectors", trio_threads())
    await keeper.build(index, "m", nothing_more())
    index.change({}, range(10))
    await keeper.build(index, "m", nothing_more())
    assert (index.chunk_count, index.wants_base, list((tmp_path / "vectors").iterdir())) == (0, False, [])


async def test_a_folder_that_cannot_be_used_is_said_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "vectors").write_text("in the way")
    index = some_index()
    with pytest.raises(IndexNotKept, match=r"cannot be kept in .*vectors: File exists"):
        await BaseKeeper(tmp_path / "vectors", trio_threads()).build(index, "m", nothing_more())
    index.remove(3)
    assert numbers(index) == [no for no in range(10) if no != 3]


async def test_trees_grow_over_a_base_that_is_large_enough(tmp_path: Path) -> None:
    index = VectorIndex(2, Bounds(exact_chunks=4, wide_chunks=20, trees_chunks=8))
    index.change({no: held([unit(1, no)], 2) for no in range(10)}, ())
    keeper = BaseKeeper(tmp_path / "vectors", trio_threads())
    await keeper.grow_trees(index)
    await keeper.build(index, "m", nothing_more())
    await keeper.grow_trees(index)
    await keeper.grow_trees(index)
    assert sorted(path.name for path in (tmp_path / "vectors" / "segment-1").glob("trees*")) == [
        "trees.ann", "trees.json"]
    assert numbers(index) == list(range(10))
