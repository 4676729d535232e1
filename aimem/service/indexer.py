"""The indexer: has the model loaded and the vectors made that commits leave owing, and the vector index follow.

Embedding happens after the commit, in batches; a memory is found by its words at once, by its meaning a moment later.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final

import trio

from aimem.model import rules
from aimem.ports import Embedder
from aimem.search import ModelUnavailable
from aimem.service.embedding import run_embedder, tell_model, wait_lull
from aimem.service.lending import run_fetchers
from aimem.service.node import Node
from aimem.service.vectors import fill, follow, open_base, owing, pulse, run_bases
from aimem.store import embeddings, fulltext
from aimem.wire import IndexStatus

log = logging.getLogger(__name__)

DROP_UNUSED_BATCH: Final = 500
WAIT_MAX_S: Final = 10.0

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
    node.embedding.begin()
    async with trio.open_nursery() as nursery, told:
        nursery.start_soon(run_bases, node, due)
        await tell_model(node)
        await open_base(node)
        await _fill(node)
        node.recaller.settle()
        await pulse(node)
        nursery.start_soon(run_embedder, node)
        nursery.start_soon(run_fetchers, node)
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
    """Bring into the index what commits and the vectors that were made change; it alone changes the index."""
    while True:
        _tell(base_due)
        await node.store.feed.wait_any()
        await wait_lull(node)
        changed = node.store.feed.take_nowait()
        if changed is None:
            await _fill(node)
            node.embedding.look_from(0)
            node.embedding.bell.ring()
        elif changed:
            await _follow(node, changed)
        await pulse(node)


async def _follow(node: Node, changed: frozenset[int]) -> None:
    with owing(node, len(changed)):
        await follow(node, sorted(changed))
        # Nothing to wait for either where no vector can be made of any text.
        if node.recaller.index.count or not await node.store.read(embeddings.count_backlog, 1):
            node.recaller.end_warming()
        first = await node.store.read(embeddings.first_owed, changed)
    if first is not None:
        node.embedding.look_from(first)
    if first is not None or node.embedding.is_stuck:
        node.embedding.bell.ring()


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
        embedding_awaited=node.embedding.count,
    )
