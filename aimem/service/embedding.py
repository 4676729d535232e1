"""Makes the vectors that commits left owing, in batches.

Of a mesh each node makes those of the texts that it wrote, so that they are paid once, not once a node, and those that
no other node is going to send; see `service.lending`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.model import StreamId
from aimem.search import ModelUnavailable, WrongVectors, hold_floats, hold_halves, to_f16
from aimem.service.lending import lenders
from aimem.service.node import Node
from aimem.service.vectors import keep
from aimem.store import embeddings

log = logging.getLogger(__name__)

ROWS_A_PAGE: Final = 512
TEXTS_A_ROUND: Final = 32
ASK_AGAIN_S: Final = 30.0

LULL_S: Final = 0.02
"""Without a commit for so long, a mesh has a moment for the model; writes and exchanges come first."""

LULL_MAX_S: Final = 0.25
"""Waited for a lull at most: where writes never cease, the model has less than half of a core."""

_NOBODY: Final = StreamId("")


async def run_embedder(node: Node) -> None:
    """Make what is owed, whenever something may be, until cancelled."""
    if node.mesh is not None:
        # Of whom it has heard nothing yet, it does not know what that peer wrote.
        await node.mesh.wait_met()
    while True:
        if not node.embedding.is_told and await tell_model(node):
            node.store.feed.publish_all_nowait()
        could_embed = await _embed_backlog(node)
        # What a model that went away owes is asked for again; nothing in the database would tell that it came back.
        with trio.move_on_after(math.inf if could_embed else ASK_AGAIN_S):
            await node.embedding.bell.wait()


async def wait_lull(node: Node) -> None:
    """In a mesh, wait until nothing was written or taken for a moment."""
    if node.mesh is None or node.mesh.is_alone:
        return
    known = node.store.log
    with trio.move_on_after(LULL_MAX_S):
        while True:
            with trio.move_on_after(LULL_S) as quiet:
                await known.wait_change(known.change_count)
            if quiet.cancelled_caught:
                return


async def tell_model(node: Node) -> bool:
    """Tell the store which model's vectors count. Returns: whether it could be told."""
    try:
        await node.store.write(embeddings.use_model, node.recaller.model)
    except Unavailable as error:
        _note_waiting(error)
        return False
    node.embedding.is_told = True
    return True


def _note_waiting(error: Unavailable) -> None:
    # The backlog is in the database; the next commit shows that the store can be written again.
    log.warning("indexer.waits", extra={"reason": error.code.value})


async def _embed_backlog(node: Node) -> bool:
    """Make the vectors of all texts that wait for them here, as far as the store can take them.

    Returns: whether the model did its part.
    """
    work = node.embedding
    work.is_stuck, released = True, work.released()
    try:
        while await _embed_page(node):
            pass
    except Unavailable as error:
        _note_waiting(error)
        return not isinstance(error, ModelUnavailable)
    work.is_stuck = not work.is_told
    work.forget_released(released)
    return True


async def _embed_page(node: Node) -> bool:
    """Look at some rows of the backlog, and make what is to be made here. Returns: whether there were any."""
    work, now, from_whom = node.embedding, trio.current_time(), lenders(node)
    page = await node.store.read(
        embeddings.owed, work.begin_page(), ROWS_A_PAGE, node.store.stream, tuple(from_whom)
    )
    mine: dict[bytes, None] = {}
    asked = frozenset(lenders(node).values())       # who was one when this began may be no peer any more
    for owed in page:
        url = from_whom.get(owed.member or _NOBODY)
        if url is None or url not in asked or work.is_released(owed.text_hash):
            mine[owed.text_hash] = None
        else:
            work.share(url).expect(owed.text_hash, owed.no, now)
    hashes = list(mine)
    for start in range(0, len(hashes), TEXTS_A_ROUND):
        await wait_lull(node)
        await _embed_round(node, hashes[start:start + TEXTS_A_ROUND])
    if page:
        work.end_page(page[-1].no)
    return bool(page)


async def _embed_round(node: Node, hashes: Sequence[bytes]) -> None:
    """Make the vectors of these texts, as far as they are still owed."""
    texts = await node.store.read(embeddings.texts_owed, hashes)
    if not texts:
        return
    vectors = await node.recaller.embed_documents(tuple(texts.values()))
    dimension = node.recaller.index.dimension
    await keep(
        node, [(text_hash, _usable(chunks, dimension)) for text_hash, chunks in zip(texts, vectors, strict=True)]
    )
    node.counters.embedded += len(texts)


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
