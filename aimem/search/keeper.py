"""Keeps the index's base beside the database: opens it, makes new ones in the background, and swaps them in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio

from aimem.errors import Unavailable
from aimem.ports import Threads
from aimem.search.folder import DamagedIndex, Kept, VectorFolder
from aimem.search.tail import Held
from aimem.search.vectors import Snapshot, VectorIndex, block_of
from aimem.search.writing import Block, SegmentWriter

T = TypeVar("T")
_DONE: Final = object()


class IndexNotKept(Unavailable):
    """The folder of the index cannot be read or written; recall goes on from memory. The message says why."""


async def nothing_more() -> AsyncIterator[Mapping[int, Held]]:
    """No rows but those that the index has."""
    nothing: tuple[Mapping[int, Held], ...] = ()
    for rows in nothing:
        yield rows


class BaseKeeper:
    """Owner of the folder of index files. One of its methods runs at a time; searches go on meanwhile.

    The work is done in a worker thread, in steps of some ten milliseconds, so that it can be cancelled between two and
    keeps neither the interpreter nor the event loop for long.
    """

    def __init__(self, folder: Path, threads: Threads) -> None:
        self._folder, self._threads = VectorFolder(folder), threads
        self._limiter = trio.CapacityLimiter(1)
        self._one_at_a_time = trio.Lock()
        self._kept: Kept | None = None

    async def open(self, index: VectorIndex, model: str) -> str:
        """Serve from the base that is there, as it is: the caller compares it with the database.

        Returns: why what is there cannot be used (it is removed then), one sentence; empty if it can, or is not there.

        Raises: IndexNotKept.
        """
        async with self._one_at_a_time:
            try:
                self._kept = await self._run(partial(self._folder.open, model=model, dimension=index.dimension))
            except DamagedIndex as error:
                await self._run(self._folder.discard)
                return str(error)
            if self._kept is not None:
                index.begin_base()
                index.adopt(self._kept.segment)
                await self._run(partial(self._folder.sweep, self._kept.folder))
            return ""

    async def build(self, index: VectorIndex, model: str, more: AsyncIterator[Mapping[int, Held]]) -> None:
        """Make a base of the index's rows and of `more`, and serve from it.

        Raises: IndexNotKept; what `more` raises. The index is then as it was.
        """
        async with self._one_at_a_time:
            snapshot = index.begin_base()
            try:
                self._kept = await self._written(index, model, snapshot, more)
                index.adopt(None if self._kept is None else self._kept.segment)
            finally:
                index.give_up()     # of what was not adopted

    async def grow_trees(self, index: VectorIndex) -> None:
        """Build trees over the base, if it is large enough to gain from them and has none. Raises: IndexNotKept."""
        async with self._one_at_a_time:
            kept = self._kept
            if kept is None or kept.segment.trees or kept.segment.chunk_count < index.bounds.trees_chunks:
                return
            await self._drive(self._folder.grow_trees(kept))

    async def discard(self, index: VectorIndex) -> None:
        """Remove the files, and make the index take each of its rows as one to be replaced. Raises: IndexNotKept."""
        async with self._one_at_a_time:
            self._kept = None
            index.distrust()
            await self._run(self._folder.discard)

    async def _written(
        self, index: VectorIndex, model: str, snapshot: Snapshot, more: AsyncIterator[Mapping[int, Held]]
    ) -> Kept | None:
        with await self._run(partial(self._folder.begin, model=model, dimension=index.dimension)) as writer:
            await self._drive(_writing(writer, snapshot.blocks()))
            async for rows in more:
                await self._run(partial(_add, writer, rows))
            if not writer.chunk_count:      # every row is gone
                await self._run(self._folder.discard)
                return None
            await self._drive(writer.finish())
        return await self._run(partial(self._folder.publish, dimension=index.dimension))

    async def _drive(self, steps: Iterator[object]) -> None:
        while await self._run(partial(next, steps, _DONE)) is not _DONE:
            pass

    async def _run(self, fn: Callable[[], T]) -> T:
        try:
            return await self._threads.run(fn, limiter=self._limiter)
        except OSError as error:
            where = self._folder.path
            raise IndexNotKept(f"the vector index cannot be kept in {where}: {error.strerror or error}") from error


def _writing(writer: SegmentWriter, blocks: Iterator[Block]) -> Iterator[None]:
    for block in blocks:
        writer.add(block)
        yield


def _add(writer: SegmentWriter, rows: Mapping[int, Held]) -> None:
    if rows:
        writer.add(block_of(rows))
