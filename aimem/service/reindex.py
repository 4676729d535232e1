"""Making the search index anew on an operator's order: what a repair of last resort or a doubt asks for."""

from __future__ import annotations

from typing import Final

from aimem.errors import Unavailable
from aimem.model import Principal
from aimem.service.indexer import index_status
from aimem.service.node import Node
from aimem.store import embeddings
from aimem.wire import IndexStatus, ReindexRequest

FORGET_COUNT: Final = 2_000
"""Rows whose vectors are forgotten in one transaction: some 50 ms of the writer."""


async def reindex(node: Node, who: Principal, request: ReindexRequest) -> IndexStatus:
    """Drop the vector index and have the indexer make it anew; with `embeddings`, the vectors in the cache too.

    Until the new index serves, the old one goes on answering; without the embeddings words do.

    Returns: the state right after the order; `index_status(wait_below=0)` waits for the end.

    Raises: Unavailable if recall is by keyword, or the files of the index cannot be removed.
    """
    del who  # whoever has the key or the socket is an operator
    recaller = node.recaller
    await recaller.wait_until_settled()
    if recaller.is_keyword_only:
        raise Unavailable(f"there is no vector index to make anew: recall is by keyword ({recaller.reason})")
    if request.embeddings:
        await _forget_embeddings(node)
    await recaller.discard_base()
    # Whoever waits from now on must not be told "all done" before the indexer has looked.
    recaller.pending_count = recaller.index.count
    node.store.feed.publish_all_nowait()
    return await index_status(node)


async def _forget_embeddings(node: Node) -> None:
    last = await node.store.read(embeddings.last_number)
    for low in range(0, last + 1, FORGET_COUNT):
        await node.store.write(embeddings.forget_between, low, low + FORGET_COUNT)
