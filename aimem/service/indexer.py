"""The indexer: makes the vectors that commits left owing, and keeps the vector index beside the database.

Embedding happens after the commit, in batches; a memory is found by its words at once, by its meaning a moment later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.ports import Embedder
from aimem.search import ModelUnavailable, from_f16, to_f16
from aimem.service.node import Node
from aimem.store import embeddings
from aimem.wire import IndexStatus

log = logging.getLogger(__name__)

TEXTS_A_ROUND: Final = 32
LOAD_NUMBERS: Final = 5_000
DROP_UNUSED_BATCH: Final = 500
WAIT_MAX_S: Final = 10.0


async def run_indexer(
    node: Node, open_embedder: Callable[[], Embedder], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Load the model (in a thread), fill the index from the cache, then follow the commits until cancelled.

    Without a model recall stays by keyword, and says why. `started` is called at once: only recalls wait for the model.
    """
    task_status.started()
    recaller = node.recaller
    try:
        embedder = await node.threads.run(open_embedder, limiter=trio.CapacityLimiter(1))
    except ModelUnavailable as error:
        recaller.settle_on_keywords(error.message)
        node.warnings.append(f"recall is by keyword: {error.message}")
        await _pulse(node)
        return
    recaller.adopt(embedder)
    await _fill(node)
    recaller.settle()
    await _pulse(node)
    is_told = False
    while True:
        try:
            if not is_told:
                await node.store.write(embeddings.use_model, recaller.model)
                is_told = True
            while await _embed_round(node):
                pass
        except Unavailable as error:
            # The backlog is in the database; the next commit shows that the store can be written again.
            log.warning("indexer.waits", extra={"reason": error.code.value})
        changed = await node.store.feed.wait()
        if changed is None:
            await _fill(node)
        else:
            await _follow(node, sorted(changed))
        await _pulse(node)


async def _fill(node: Node) -> None:
    """Load every vector that the cache has for live memories and drop all others, in slices that let others run."""
    index, last = node.recaller.index, await node.store.read(embeddings.last_number)
    for begin in range(0, last, LOAD_NUMBERS):
        found = await node.store.read(embeddings.vectors_between, node.recaller.model, begin, begin + LOAD_NUMBERS)
        for no in range(begin + 1, begin + LOAD_NUMBERS + 1):
            if no in found:
                index.put(no, from_f16(found[no]))
            else:
                index.remove(no)
        await trio.lowlevel.checkpoint()


async def _follow(node: Node, changed: Sequence[int]) -> None:
    """Bring the index up to rows that commits touched: what is no longer live goes, what is embedded comes."""
    for begin in range(0, len(changed), LOAD_NUMBERS):
        part = changed[begin : begin + LOAD_NUMBERS]
        found = await node.store.read(embeddings.vectors_of, node.recaller.model, part)
        for no in part:
            if no in found:
                node.recaller.index.put(no, from_f16(found[no]))
            else:
                node.recaller.index.remove(no)


async def _embed_round(node: Node) -> bool:
    """Make the vectors of the next few texts. Returns: whether there were any."""
    waiting = await node.store.read(embeddings.backlog, TEXTS_A_ROUND)
    if not waiting:
        return False
    texts = {item.text_hash: item.text for item in waiting}
    vectors = await node.recaller.embed_documents(tuple(texts.values()))
    made = [(digest, to_f16(chunks)) for digest, chunks in zip(texts, vectors, strict=True)]
    # Rows with the same text are done too, though they were not among those that waited here.
    marked: tuple[int, ...] = (await node.store.write(embeddings.put, node.recaller.model, made)).value
    node.counters.embedded += len(made)
    await _follow(node, marked)
    await _pulse(node)
    return True


async def drop_unused_vectors(node: Node) -> int:
    """Forget vectors whose text no memory has any more. Returns: how many."""
    if node.recaller.mode == "keyword":
        return 0
    dropped: int = (await node.store.write(embeddings.drop_unused, node.recaller.model, DROP_UNUSED_BATCH)).value
    return dropped


async def _pulse(node: Node) -> None:
    async with node.index_changed:
        node.index_changed.notify_all()


async def index_status(node: Node, wait_below: int | None = None) -> IndexStatus:
    """How far embedding is; with `wait_below`, once the backlog is no greater, or after 10 s, whichever comes first."""
    if wait_below is not None:
        with trio.move_on_after(WAIT_MAX_S):
            # Read with the lock held: a pulse between reading and waiting would be missed.
            async with node.index_changed:
                while (await _status(node)).embedding_backlog > wait_below and not node.recaller.is_keyword_only:
                    await node.index_changed.wait()
    return await _status(node)


async def _status(node: Node) -> IndexStatus:
    backlog = await node.store.read(embeddings.count_backlog)
    embedded = await node.store.read(embeddings.count_embedded)
    return IndexStatus(
        mode=node.recaller.mode,
        model=node.recaller.model,
        embedding_backlog=backlog,
        embedded=embedded,
        reason=node.recaller.reason,
    )
