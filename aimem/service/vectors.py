"""Keeps the vector index true to the database, and its base up to what came since.

What a restart, a damaged file or an overrun feed left open is found by comparing hashes of texts; only what differs is
read.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Final

import trio
from msgspec import Struct

from aimem.errors import Unavailable
from aimem.ports import Connection
from aimem.search import Held, IndexNotKept, WrongVectors, hold_halves
from aimem.service.node import Node
from aimem.store import embeddings

log = logging.getLogger(__name__)

LOAD_COUNT: Final = 1_000
"""Rows that are read and put at a time: some ten milliseconds of the event loop's thread."""

COMPARE_COUNT: Final = 5_000
_NUMBERS_END: Final = 2**62


class _Loaded(Struct, frozen=True):
    """Rows from the cache, and the hashes of texts whose vectors there cannot be used."""

    rows: Mapping[int, Held]
    refused: tuple[bytes, ...]


async def open_base(node: Node) -> None:
    """Take up the base of the last run; one that cannot be used is said and removed, and `fill` makes it again."""
    try:
        reason = await node.recaller.open_base()
    except IndexNotKept as error:
        _warn(node, error)
        return
    if reason:
        log.warning("index.rebuilding", extra={"reason": reason})
        node.warnings.append(f"the vector index was made anew: {reason}")


async def fill(node: Node) -> None:
    """Make the index hold what the database says: rows that it lacks come, rows that are gone go.

    Many missing rows go straight into a new base; until that serves, recall is let through and answers by words.
    """
    recaller = node.recaller
    missing = await _compare(node)
    recaller.pending_count = len(missing)
    is_large = recaller.keeps_base and len(missing) > recaller.index.bounds.exact_chunks
    if not (is_large and await _fill_base(node, missing)):
        async with aclosing(_rows_of(node, missing)) as batches:
            async for rows in batches:
                recaller.index.change(rows, ())
        recaller.index.trust()
    recaller.pending_count = 0
    await pulse(node)


async def _compare(node: Node) -> list[int]:
    """Take out what should not be there. Returns: the rows that are missing, or there with an older text."""
    index, missing, low = node.recaller.index, list[int](), 0
    last = await node.store.read(embeddings.last_number)
    while low < _NUMBERS_END:
        # Behind the last number nothing can be due; what the index has there is of another database.
        high = low + COMPARE_COUNT if low <= last else _NUMBERS_END
        found = index.differences(low, high, await node.store.read(embeddings.hashes_between, low, high))
        if found.surplus:
            index.change({}, found.surplus)
        missing += found.missing
        low = high
    return missing


async def _fill_base(node: Node, missing: Sequence[int]) -> bool:
    """Make a base that has these rows too. Returns: whether it could be written."""
    node.recaller.settle()
    # Some may be there with an older text, and a base takes each row once. What was distrusted goes on answering: none
    # of it is taken over.
    if not node.recaller.index.is_distrusted:
        node.recaller.index.change({}, missing)
    try:
        async with aclosing(_rows_of(node, missing)) as batches:
            await node.recaller.build_base(batches)
    except IndexNotKept as error:
        _warn(node, error)
        return False
    return True


async def _rows_of(node: Node, numbers: Sequence[int]) -> AsyncGenerator[Mapping[int, Held]]:
    """These rows, some at a time; `pending_count` falls as they go, but not to 0: a base serves once it is whole."""
    for part in _slices(numbers):
        yield await _load(node, part)
        node.recaller.pending_count = max(1, node.recaller.pending_count - len(part))
        await pulse(node)


async def follow(node: Node, changed: Sequence[int]) -> None:
    """Bring the index up to rows that commits touched: what is no longer live goes, what is embedded comes."""
    for part in _slices(changed):
        rows = await _load(node, part)
        node.recaller.index.change(rows, [no for no in part if no not in rows])


async def _load(node: Node, numbers: Sequence[int]) -> Mapping[int, Held]:
    recaller = node.recaller
    found = await node.store.read(_read, recaller.model, recaller.index.dimension, numbers)
    if found.refused:
        # They are made again; what the model itself makes wrong is kept from the cache, so this ends.
        log.warning("embedding.unusable", extra={"text_count": len(found.refused)})
        with contextlib.suppress(Unavailable):      # a full disk: the next start finds them again
            await node.store.write(embeddings.forget, found.refused)
    return found.rows


def _read(conn: Connection, model: str, dimension: int, numbers: Sequence[int]) -> _Loaded:
    rows: dict[int, Held] = {}
    refused: list[bytes] = []
    for no, found in embeddings.vectors_of(conn, model, numbers).items():
        try:
            rows[no] = hold_halves(found.vectors, dimension, found.text_hash)
        except WrongVectors:
            refused.append(found.text_hash)
    return _Loaded(rows, tuple(refused))


async def run_bases(node: Node, due: trio.MemoryReceiveChannel[None]) -> None:
    """Make a new base each time that one may be due, if it is. Cancelled, it leaves the last one in place."""
    recaller, at_least = node.recaller, 0
    async for _ in due:
        if recaller.index.chunk_count < at_least:
            continue
        try:
            if recaller.wants_base:
                begun = trio.current_time()
                await recaller.build_base()
                seconds = round(trio.current_time() - begun, 1)
                log.info("index.base_made", extra={"chunks": recaller.index.base_chunk_count, "seconds": seconds})
                await pulse(node)
            await recaller.grow_trees()
        except IndexNotKept as error:
            _warn(node, error)
            at_least = 2 * recaller.index.chunk_count   # a full disk is not asked at every write


def _warn(node: Node, error: IndexNotKept) -> None:
    log.warning("index.not_kept", extra={"reason": error.message})
    if error.message not in node.warnings:
        node.warnings.append(error.message)


@contextlib.contextmanager
def owing(node: Node, count: int) -> Iterator[None]:
    """Count rows as owed to the index while they are brought in: the database has them done a moment earlier."""
    node.recaller.pending_count += count
    try:
        yield
    finally:
        # An order to make the index anew may have counted afresh meanwhile.
        node.recaller.pending_count = max(0, node.recaller.pending_count - count)


async def keep(node: Node, made: Sequence[tuple[bytes, Sequence[bytes]]]) -> None:
    """Keep the vectors (halves) of some texts, and tell who follows the commits of the rows that have them.

    Raises: Unavailable.
    """
    with owing(node, len(made)):
        # Rows with the same text are done too, though they were not among those that waited here.
        marked: tuple[int, ...] = (await node.store.write(embeddings.put, node.recaller.model, made)).value
        node.store.feed.publish_nowait(marked)


async def pulse(node: Node) -> None:
    """Tell whoever waits for the index that something about it changed."""
    async with node.index_changed:
        node.index_changed.notify_all()


def _slices(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start:start + LOAD_COUNT] for start in range(0, len(numbers), LOAD_COUNT))
