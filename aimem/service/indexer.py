"""The indexer: makes the vectors that commits left owing, and has the vector index follow.

Embedding happens after the commit, in batches; a memory is found by its words at once, by its meaning a moment later.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.model import rules
from aimem.ports import Embedder
from aimem.search import ModelUnavailable, WrongVectors, hold_floats, hold_halves, to_f16
from aimem.service.node import Node
from aimem.service.vectors import fill, follow, open_base, pulse, run_bases
from aimem.store import embeddings, fulltext
from aimem.wire import IndexStatus

log = logging.getLogger(__name__)

TEXTS_A_ROUND: Final = 32
DROP_UNUSED_BATCH: Final = 500
WAIT_MAX_S: Final = 10.0
ASK_AGAIN_S: Final = 30.0

_WARMING: Final = "no memory has its vectors yet; they are being made"


async def run_indexer(
    node: Node, *makers: Callable[[], Embedder], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Load the model (in a thread), bring the index up to the database, then follow the commits until cancelled.

    The first of the models that can be loaded is used. Without any recall stays by keyword, and says why. `started` is
    called at once: only recalls wait for the model.
    """
    task_status.started()
    embedder = await _load_first(node, makers)
    if embedder is None:
        await pulse(node)
        return
    node.recaller.adopt(embedder)
    # One place: whoever is told that a base may be due looks at everything.
    told, due = trio.open_memory_channel[None](1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_bases, node, due)
        async with told:
            await _follow_commits(node, told)


async def _load_first(node: Node, makers: Sequence[Callable[[], Embedder]]) -> Embedder | None:
    reason = ""
    for open_embedder in makers:
        try:
            embedder = await node.threads.run(open_embedder, limiter=trio.CapacityLimiter(1))
        except ModelUnavailable as error:
            reason = error.message
            continue
        if reason:
            log.warning("indexer.other_model", extra={"model": embedder.model, "reason": reason})
            node.warnings.append(f"vectors are made by {embedder.model} until the next start: {reason}")
        return embedder
    node.recaller.settle_on_keywords(reason)
    node.warnings.append(f"recall is by keyword: {reason}")
    return None


async def _follow_commits(node: Node, base_due: trio.MemorySendChannel[None]) -> None:
    is_told = await _tell_model(node)
    await open_base(node)
    await _fill(node)
    node.recaller.settle()
    await pulse(node)
    while True:
        _tell(base_due)
        if not is_told and (is_told := await _tell_model(node)):
            await _fill(node)
        is_stuck = not await _embed_backlog(node, base_due)
        changed: frozenset[int] | None = frozenset()
        # What a model that went away owes is asked for again; nothing in the database would tell that it came back.
        with trio.move_on_after(ASK_AGAIN_S if is_stuck else math.inf):
            changed = await node.store.feed.wait()
        if changed is None:
            await _fill(node)
        else:
            with _owing(node, len(changed)):
                await follow(node, sorted(changed))
        await pulse(node)


async def _tell_model(node: Node) -> bool:
    """Tell the store which model's vectors count. Returns: whether it could be told."""
    try:
        await node.store.write(embeddings.use_model, node.recaller.model)
    except Unavailable as error:
        _note_waiting(error)
        return False
    return True


def _note_waiting(error: Unavailable) -> None:
    # The backlog is in the database; the next commit shows that the store can be written again.
    log.warning("indexer.waits", extra={"reason": error.code.value})


def _tell(base_due: trio.MemorySendChannel[None]) -> None:
    with contextlib.suppress(trio.WouldBlock):      # it was told already and has not looked yet
        base_due.send_nowait(None)


async def _fill(node: Node) -> None:
    await fill(node)
    await _warm_up(node)


async def _warm_up(node: Node) -> None:
    """With texts and no vector (a new model, or none before), recall is by keyword until the first ones are there."""
    if node.recaller.index.count == 0 and await node.store.read(embeddings.count_backlog) > 0:
        node.recaller.warm(_WARMING)


async def _embed_backlog(node: Node, base_due: trio.MemorySendChannel[None]) -> bool:
    """Make the vectors of all texts that wait for them, as far as the store can take them.

    Returns: whether the model did its part.
    """
    try:
        while await _embed_round(node):
            _tell(base_due)
    except Unavailable as error:
        _note_waiting(error)
        return not isinstance(error, ModelUnavailable)
    return True


@contextlib.contextmanager
def _owing(node: Node, count: int) -> Iterator[None]:
    """Count rows as owed to the index while they are brought in: the database has them done a moment earlier."""
    node.recaller.pending_count += count
    try:
        yield
    finally:
        # An order to make the index anew may have counted afresh meanwhile.
        node.recaller.pending_count = max(0, node.recaller.pending_count - count)


async def _embed_round(node: Node) -> bool:
    """Make the vectors of the next few texts. Returns: whether there were any."""
    waiting = await node.store.read(embeddings.backlog, TEXTS_A_ROUND)
    if not waiting:
        return False
    texts = {item.text_hash: item.text for item in waiting}
    vectors = await node.recaller.embed_documents(tuple(texts.values()))
    dimension = node.recaller.index.dimension
    made = [(digest, _usable(chunks, dimension)) for digest, chunks in zip(texts, vectors, strict=True)]
    with _owing(node, len(made)):
        # Rows with the same text are done too, though they were not among those that waited here.
        marked: tuple[int, ...] = (await node.store.write(embeddings.put, node.recaller.model, made)).value
        node.counters.embedded += len(made)
        await follow(node, marked)
    node.recaller.end_warming()
    await pulse(node)
    return True


def _usable(vectors: Sequence[bytes], dimension: int) -> Sequence[bytes]:
    """The vectors in halves; none if one cannot be used: its text is found by words alone, and not tried for ever."""
    try:
        hold_floats(vectors, dimension)
        halves = to_f16(vectors)
        hold_halves(halves, dimension, b"")
    except WrongVectors as error:
        log.warning("embedding.refused", extra={"reason": str(error)})
        return ()
    return halves


async def drop_unused_vectors(node: Node) -> int:
    """Forget vectors whose text no memory has any more. Returns: how many."""
    if node.recaller.model == "none":
        return 0
    dropped: int = (await node.store.write(embeddings.drop_unused, node.recaller.model, DROP_UNUSED_BATCH)).value
    return dropped


async def index_status(node: Node, wait_below: int | None = None) -> IndexStatus:
    """How far embedding and the index are.

    With `wait_below`, once no more memories than that wait for their vectors or to come into an index, or after 10 s,
    whichever comes first. Without a model nobody waits for vectors.

    Raises: InvalidRequest naming `wait_below`; Unavailable.
    """
    if wait_below is not None:
        rules.bounded(wait_below, 0, 2**31, field="wait_below")
        await _wait_below(node, wait_below)
    return await _status(node)


async def _wait_below(node: Node, count: int) -> None:
    deadline = trio.current_time() + WAIT_MAX_S
    # Read with the lock held: a pulse between reading and waiting would be missed.
    async with node.index_changed:
        # Before it is settled nobody has compared the index with the database.
        while not node.recaller.is_settled or await _is_owed_more(node, count):
            with trio.move_on_at(deadline) as patience:     # around the waiting alone: a read would be broken off
                await node.index_changed.wait()
            if patience.cancelled_caught:
                break


async def _is_owed_more(node: Node, count: int) -> bool:
    """Whether more than that is owed; asked at each round of whoever pays it, so nothing is counted beyond."""
    owed = await node.store.read(fulltext.count_unindexed, count + 1)
    if not node.recaller.is_keyword_only:
        owed += _owed_to_index(node) + await node.store.read(embeddings.count_backlog, count + 1)
    return owed > count


def _owed_to_index(node: Node) -> int:
    """Rows that are embedded and not in the index yet, those included that a commit touched just now."""
    return 0 if node.recaller.is_keyword_only else node.recaller.pending_count + node.store.feed.pending_count


async def _status(node: Node) -> IndexStatus:
    backlog = await node.store.read(embeddings.count_backlog)
    embedded = await node.store.read(embeddings.count_embedded)
    texts = await node.store.read(fulltext.count_unindexed, embeddings.ALL)
    recaller = node.recaller
    return IndexStatus(
        mode=recaller.mode, model=recaller.model, embedding_backlog=backlog, embedded=embedded, reason=recaller.reason,
        indexed=recaller.row_count, index_backlog=_owed_to_index(node), text_backlog=texts,
    )
