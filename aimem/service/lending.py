"""Vectors between nodes: each makes those of the texts that it wrote, and the others fetch them from it.

A node takes vectors from the one that wrote the text and from nobody else, so a peer can spoil how its own texts are
found, and no more. What does not come in time is made here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import trio

from aimem.errors import AimemError, Corrupt, Unavailable
from aimem.model import Principal, StreamId, rules
from aimem.replication import Mesh, Peer, Standing, run_for_peers
from aimem.search import WrongVectors, check_units
from aimem.service.awaited import Share
from aimem.service.mesh import refuse_protocol, refuse_stranger
from aimem.service.node import Node
from aimem.service.vectors import keep
from aimem.store import embeddings
from aimem.wire import copies

log = logging.getLogger(__name__)

FIRST_ASK_S: Final = 0.5
"""After a text came, before its vectors are asked for: its writer makes them once it has a moment."""
LONGEST_PAUSE_S: Final = 4.0
FETCH_DEADLINE_S: Final = 10.0


async def embeddings_for(
    node: Node, who: Principal, request: copies.EmbeddingsRequest
) -> copies.EmbeddingsAnswer:
    """The vectors of some texts, as far as this node has them. Raises: InvalidRequest, Denied, Unavailable."""
    refuse_stranger(who)
    refuse_protocol(request.protocol)
    rules.bounded(len(request.hashes), 1, copies.EMBEDDINGS_TEXTS, field="hashes")
    model = node.recaller.model
    if model != request.model:
        return copies.EmbeddingsAnswer(protocol=request.protocol, model=model, found=(), missing=request.hashes)
    lent = await node.store.read(embeddings.vectors_by_hash, model, request.hashes, copies.EMBEDDINGS_BYTES)
    found = tuple(copies.TextVectors(one.text_hash, tuple(one.vectors)) for one in lent.found)
    node.counters.embeddings_lent += len(found)
    return copies.EmbeddingsAnswer(protocol=request.protocol, model=model, found=found, missing=lent.missing)


def lenders(node: Node) -> Mapping[StreamId, str]:
    """The streams that peers write of whom vectors may be had now, and their addresses."""
    mesh = node.mesh
    if mesh is None or not mesh.settings.serves or node.policy.embedding_grace_s <= 0:
        return {}
    return {peer.state.stream: peer.url for peer in mesh.peers if peer.state.stream is not None and _is_there(peer)}


def _is_there(peer: Peer) -> bool:
    return peer.state.standing is Standing.PEER and not peer.state.failures and peer.state.answered_at is not None


async def run_fetchers(node: Node) -> None:
    """Fetch from each peer what is awaited of it, one request at a time, until cancelled."""
    if node.mesh is None or not node.mesh.settings.serves:
        return
    await run_for_peers(node.mesh, partial(_run_fetcher, node, node.mesh))


async def _run_fetcher(node: Node, mesh: Mesh, peer: Peer) -> None:
    share = node.embedding.share(peer.url)
    try:
        await _fetch_awaited(node, mesh, peer, share)
    finally:
        node.embedding.release(share, tuple(share.texts))   # it may be no peer any more, and then nobody asks it


async def _fetch_awaited(node: Node, mesh: Mesh, peer: Peer, share: Share) -> None:
    while True:
        await share.bell.wait()
        pause_s = FIRST_ASK_S
        while share.texts:
            await trio.sleep(pause_s)
            try:
                got_any = await _fetch(node, mesh, peer, share)
            except Unavailable as error:
                log.warning("embedding.not_kept", extra={"reason": error.code.value})
                got_any = False
            pause_s = 0.0 if got_any else min(max(FIRST_ASK_S, 2 * pause_s), LONGEST_PAUSE_S)


async def _fetch(node: Node, mesh: Mesh, peer: Peer, share: Share) -> bool:
    """Ask once. Returns: whether that got anywhere. Raises: Unavailable if this node's store cannot take it."""
    work, model = node.embedding, node.recaller.model
    asked = share.first(copies.EMBEDDINGS_TEXTS)
    texts = await node.store.read(embeddings.texts_owed, asked)
    work.settle(share, [text_hash for text_hash in asked if text_hash not in texts])
    if not texts:
        return True
    request = copies.EmbeddingsRequest(protocol=peer.tongue.protocol, model=model, hashes=tuple(texts))
    answer = await _ask(mesh, peer, request)
    if answer is None or answer.model != model or model != node.recaller.model:
        work.release(share, tuple(share.texts))
        return True
    found = {one.hash: one.vectors for one in answer.found if one.hash in texts}
    if found:
        await _take(node, share, peer, texts, found)
    lacking = [text_hash for text_hash in texts if text_hash not in found]
    share.put_back(set(answer.missing).intersection(lacking))
    work.release(share, share.overdue(lacking, trio.current_time(), node.policy.embedding_grace_s))
    return bool(found)


async def _ask(mesh: Mesh, peer: Peer, request: copies.EmbeddingsRequest) -> copies.EmbeddingsAnswer | None:
    """The peer's answer; None if it gives none that can be used."""
    if not _is_there(peer):
        return None
    reason = "timeout"
    try:
        with trio.move_on_after(FETCH_DEADLINE_S):
            return await mesh.road.embeddings(peer.url, request)
    except Corrupt:
        raise
    except AimemError as error:
        reason = error.message
    log.warning("embedding.not_fetched", extra={"peer": peer.url, "reason": reason})
    return None


async def _take(
    node: Node, share: Share, peer: Peer, texts: Mapping[bytes, str], found: Mapping[bytes, Sequence[bytes]]
) -> None:
    """Keep what can be used of the vectors that a peer sent; of the other texts this node makes them."""
    counts = await node.recaller.count_chunks([texts[text_hash] for text_hash in found])
    dimension = node.recaller.index.dimension
    good = [
        (text_hash, vectors) for (text_hash, vectors), count in zip(found.items(), counts, strict=True)
        if _is_usable(vectors, count, dimension)
    ]
    if good:
        await keep(node, good)
        share.progress_at = trio.current_time()
        node.counters.embeddings_fetched += len(good)
    kept = {text_hash for text_hash, _ in good}
    refused = [text_hash for text_hash in found if text_hash not in kept]
    if refused:
        log.warning("embedding.refused", extra={"peer": peer.url, "text_count": len(refused)})
        node.counters.embeddings_refused += len(refused)
    node.embedding.settle(share, kept)
    node.embedding.release(share, refused)


def _is_usable(vectors: Sequence[bytes], count: int, dimension: int) -> bool:
    """Whether these can be the vectors of a text of so many pieces; none at all where its writer could make none."""
    try:
        check_units(vectors, dimension)
    except WrongVectors:
        return False
    return len(vectors) in (0, count)
