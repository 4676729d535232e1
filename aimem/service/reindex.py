"""Making the search indexes anew on an operator's order: what a repair of last resort or a doubt asks for."""

from __future__ import annotations

from typing import Final

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import Principal
from aimem.service.callers import require_operator
from aimem.service.indexer import index_status
from aimem.service.node import Node
from aimem.store import embeddings, fulltext
from aimem.wire import IndexStatus, ReindexRequest

FORGET_COUNT: Final = 2_000
"""Rows whose vectors are forgotten in one transaction: some 50 ms of the writer."""


async def reindex(node: Node, who: Principal, request: ReindexRequest) -> IndexStatus:
    """Drop the vector index, the indexes of words or both, and have their tasks make them anew.

    The old vector index goes on answering until the new one serves; with `embeddings` the cached vectors go too, and
    words answer. Of words, searches find less until their index is whole again. Asked for all, a node without a model
    makes its indexes of words.

    Returns: the state right after the order; `index_status(wait_below=0)` waits for the end.

    Raises: Unavailable if only vectors were asked for and recall is by keyword, or the index's files cannot be removed;
      InvalidRequest for embeddings without vectors; Denied(operator_required).
    """
    require_operator(who, "making the indexes anew")
    if request.embeddings and request.what == "text":
        raise InvalidRequest("embeddings go with vectors or all, not with text", field="embeddings")
    if request.what != "text":
        await _reindex_vectors(node, request)
    if request.what != "vectors":
        await node.store.write(fulltext.clear)
        node.store.worded.publish_all_nowait()
    return await index_status(node)


async def _reindex_vectors(node: Node, request: ReindexRequest) -> None:
    recaller = node.recaller
    await recaller.wait_until_settled()
    if recaller.is_keyword_only:
        if request.what == "vectors":
            raise Unavailable(
                f"there is no vector index to make anew: recall is by keyword ({recaller.reason})",
                code=Code.EMBEDDER_UNAVAILABLE,
            )
        return
    if request.embeddings:
        last = await node.store.read(embeddings.last_number)
        for low in range(0, last + 1, FORGET_COUNT):
            await node.store.write(embeddings.forget_between, low, low + FORGET_COUNT)
    await recaller.discard_base()
    # Whoever waits from now on must not be told "all done" before the indexer has looked.
    recaller.pending_count = recaller.index.count
    node.store.feed.publish_all_nowait()
