"""What is done about a stream of which two histories were written.

Its writer goes on in a new one (see `renewal`). Which of the histories a node has, its vector does not say; so nobody
sends or takes ops of that stream any more, all tell each other that it is closed, and each joins the rows of every
node that knows it. Rows join in any order, and a tie of stamps falls to the greater value: all end with the same.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from aimem.errors import Code, InvalidRequest
from aimem.model import Attestation, Dot, Evidence, HeadProof, StopReason, StreamHead, StreamId
from aimem.replication.counts import HeadCounts
from aimem.replication.headproof import (
    PROVE_MAX,
    counted,
    forged,
    is_beyond,
    is_news,
    is_proven,
    is_shown,
    proven,
)
from aimem.replication.peer import Standing
from aimem.store import Received, Store, closure, headproofs
from aimem.wire import STREAMS_MAX, ExchangeAnswer, copies, heads_in, stream_in

if TYPE_CHECKING:
    from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer

log = logging.getLogger(__name__)

OTHER_HISTORY: Final = "other history"


def closed_reason(store: Store, joined: closure.Closed, dots: Iterable[Dot]) -> str:
    """Why a peer does not count for ops, whatever its vector says: which history it knows shows only once it joined.

    Args:
      joined: of each closed stream whose rows the peer joined, as it last said.
    """
    closed = store.log.closed
    if any(dot.stream in closed and store.stream not in joined.get(dot.stream, ()) for dot in dots):
        return OTHER_HISTORY
    return ""


def told(store: Store) -> dict[str, tuple[str, ...]]:
    """The closed streams, for others. Not the one that this node still writes: its rows are not all there yet."""
    closed, heads = store.log.closed, store.log.heads
    # Those first of which something is known: whoever names others must not crowd these out.
    names = sorted((stream for stream in closed if stream != store.stream), key=lambda stream: stream not in heads)
    names = names[:copies.CLOSED_MAX]
    return {stream: tuple(sorted(store.log.closed[stream])) for stream in names}


def evidence_for(store: Store, theirs: Collection[str]) -> dict[str, Evidence]:
    """What shows others that the streams are closed of which they do not say so themselves."""
    evidence = store.log.evidence
    return {stream: evidence[StreamId(stream)] for stream in told(store) if stream in evidence and stream not in theirs}


async def close_streams(store: Store, evidence: Mapping[StreamId, Evidence | None], reason: str) -> None:
    """Take no more ops of these, here and, once others are shown why, anywhere. Raises: Unavailable, Corrupt.

    Args:
      evidence: what shows it to others; None if this node alone can see it.
    """
    fresh = sorted(evidence.keys() - store.log.closed.keys())[:copies.CLOSED_MAX]
    if fresh:
        shown = {stream: found for stream in fresh if (found := evidence[stream]) is not None}
        await store.write(closure.close, fresh, shown, reason)
        store.log.evidence.update(shown)
        store.log.close_nowait(dict.fromkeys(fresh, frozenset()))
        log.warning("stream.closed", extra={"streams": fresh, "reason": reason})


async def hear_closed(store: Store, said: Mapping[str, Evidence]) -> None:
    """Close what a node shows to be closed; what it only says counts for nothing.

    Raises: InvalidRequest(forged) for what shows nothing of the kind, schema_mismatch; Unavailable, Corrupt.
    """
    if len(said) > copies.CLOSED_MAX:
        raise InvalidRequest(f"evidence about more than {copies.CLOSED_MAX} streams", code=Code.SCHEMA_MISMATCH)
    evidence = {stream_in(stream): found for stream, found in said.items()}
    fresh = {stream: found for stream, found in evidence.items() if stream not in store.log.closed}
    for stream, found in fresh.items():
        if not is_shown(stream, found):
            raise forged(f"nothing shows that {stream} is closed")
    # As many as can be known, but for those that are: whoever closes streams of its own making crowds these not out.
    room = max(0, STREAMS_MAX - len(store.log.closed))
    made_up = sorted(fresh.keys() - store.log.heads.keys())[room:]
    closing = {stream: fresh[stream] for stream in fresh if stream not in made_up}
    await close_streams(store, closing, "another node showed why")


async def close_twins(
    store: Store, said: Mapping[StreamId, StreamHead], shown: Mapping[StreamId, HeadProof]
) -> None:
    """Close the streams of which somebody knows as many ops as this node, and other ones. Raises: Unavailable."""
    for stream, proof in shown.items():
        there, here = said[stream], store.log.heads.get(stream)
        if here is not None and here.seq == there.seq and here.chain_hash != there.chain_hash:
            await _close_shown(store, there, proof, "two nodes know another last op")


async def close_passed_over(
    store: Store, said: Mapping[StreamId, StreamHead], shown: Mapping[StreamId, HeadProof]
) -> None:
    """Close the streams whose next op, by its proof, does not follow the last one that is known here.

    Where more is between nobody can see that; where the op itself comes it is seen then. Raises: Unavailable, Corrupt.
    """
    for stream, proof in shown.items():
        there, here = said[stream], store.log.heads.get(stream)
        if here is not None and there.seq == here.seq + 1 and proof.previous != here.chain_hash:
            await _close_shown(store, there, proof, "a snapshot has another op in the place of the last one known here")


async def _close_shown(store: Store, there: StreamHead, proof: HeadProof, reason: str) -> None:
    """Close a stream for an op that its owner signed and that does not fit to what is known here."""
    if there.stream not in store.log.closed:
        theirs = Attestation(there.seq, there.hlc, proof)
        found = await store.read(headproofs.evidence_against, there.stream, theirs)
        await close_streams(store, {there.stream: found}, reason)


def note_received(store: Store, received: Received) -> None:
    """What a batch that was taken, or not, says of what is to be looked at."""
    if received.held:
        store.note_held_nowait()
    if not received.full <= store.log.full:
        log.error("stream.full", extra={"streams": sorted(received.full), "reason": "no more ops can be held"})
        store.log.full |= received.full
    stop = received.stop
    if stop is not None and stop.reason is StopReason.FORK and stop.dot is not None:
        stream = stop.dot.stream
        if received.evidence is not None:
            store.log.evidence.setdefault(stream, received.evidence)
        store.log.close_nowait({stream: store.log.closed.get(stream, frozenset())})


async def look_at_histories(mesh: Mesh, peer: Peer, answer: ExchangeAnswer) -> dict[StreamId, StreamHead]:
    """Before an answer counts: whether what it says is about the ops that are known here, and signed by their owners.

    Returns: its vector, as far as it counts.
    Raises: Unavailable, InvalidRequest for nonsense, also `forged`; Corrupt.
    """
    store, said = mesh.store, heads_in(answer.vector)
    peer.joined = copies.closed_in(answer.closed)
    await hear_closed(store, answer.evidence)
    shown = await proven(store, mesh.counts.heads, said, answer.proofs, answer.ops)
    peer.ahead = frozenset(stream for stream in shown if is_beyond(said[stream], store.log.heads.get(stream)))
    await close_twins(store, said, shown)
    if peer.state.answered_at is None or store.lacks_past or peer.doubted:
        await _look_back(mesh, peer, said, answer.proofs)
    heads = counted(store, said, shown)
    doubted = peer.doubted - store.log.closed.keys()
    return {stream: head for stream, head in heads.items() if stream not in doubted}


async def heads_heard(
    store: Store, counts: HeadCounts, said: Mapping[StreamId, StreamHead], proofs: Mapping[str, HeadProof]
) -> Mapping[StreamId, StreamHead]:
    """The vector of a node that asks, without what it says of this node's own stream and cannot show.

    Of others it is taken as it is: it decides what this node sends to the asker, and nothing else.
    Raises: InvalidRequest(forged); Unavailable, Corrupt.
    """
    own = store.stream
    if own not in said or not is_news(said[own], store.log.heads.get(own)):
        return said
    of_own = {own: said[own]}
    shown = await proven(store, counts, of_own, proofs)
    await close_twins(store, of_own, shown)
    return said if shown else {stream: head for stream, head in said.items() if stream != own}


def to_prove(mesh: Mesh, peer: Peer) -> tuple[StreamId, ...]:
    """The streams that a peer is asked about: see `_look_back`. This node's at first sight, then what is doubted."""
    if peer.state.answered_at is not None:
        return tuple(sorted(peer.doubted))[:PROVE_MAX]
    return (mesh.store.stream, *sorted(mesh.renewal.former))[:PROVE_MAX]


async def _look_back(
    mesh: Mesh, peer: Peer, said: Mapping[StreamId, StreamHead], proofs: Mapping[str, HeadProof]
) -> None:
    """At first sight: whether what a peer knows of this node's streams is the beginning of what is known here.

    Later nobody else adds to it, or it shows when this node sends what follows. A peer that names another op and does
    not show it counts for nothing of that stream. A node that lacks its past has what it knows from one peer, perhaps
    without the ops: until it is ready it looks at all streams, each time.
    """
    store = mesh.store
    looked_at = {store.stream, *mesh.renewal.former, *(said if store.lacks_past else peer.doubted)}
    peer.doubted = frozenset()
    for stream in looked_at - store.log.closed.keys():
        there, here = said.get(stream), store.log.heads.get(stream)
        if there is None or here is None or not 0 < there.seq < here.seq:
            continue
        known = await store.read(headproofs.hash_at, Dot(stream, there.seq))
        if known is None or known == there.chain_hash:
            continue
        proof = proofs.get(stream)
        if proof is None:
            peer.doubted |= {stream}
        elif is_proven(there, proof):
            await _close_shown(store, there, proof, "a peer knows other ops of it")
        else:
            raise forged(f"what it says of {stream} is not what its owner signed")


def to_join(mesh: Mesh, peer: Peer) -> list[StreamId]:
    """The closed streams for which this peer's rows are to be joined; it takes no more ops of them, too.

    Once for the peer itself, and again where it has what is missing here, as it joined somebody since, or showed that
    it knows more: who wrote that may be gone for ever.
    """
    log, node = mesh.store.log, peer.state.stream
    if peer.state.standing is not Standing.PEER or node is None:
        return []
    return [
        stream for stream, nodes in log.closed.items() if stream in peer.joined and (
            node not in nodes or stream in peer.ahead or _has_more(mesh.store, nodes, peer.joined[stream])
        )
    ]


def _has_more(store: Store, own: Collection[StreamId], theirs: Collection[StreamId]) -> bool:
    """Whether somebody joined the rows of a node that this one did not, and knows of. Not where they are too many."""
    is_whole = len(own) < closure.JOINED_MAX
    return is_whole and any(node in store.log.heads and node not in {*own, store.stream} for node in theirs)


def unsettled(mesh: Mesh, peer: Peer) -> frozenset[StreamId]:
    """The closed streams of which this node and a peer may show different rows, for one of them has joined more.

    Both have joined the other's and those of the same members once all is settled. By what the peer last said.
    """
    store = mesh.store
    own, node = store.stream, peer.state.stream
    members = {own, *(other.state.stream for other in mesh.peers)}
    return frozenset(
        stream for stream in store.log.closed.keys() | peer.joined.keys()
        if stream not in store.log.closed or stream not in peer.joined
        or not ({own, *store.log.closed[stream]} ^ {node, *peer.joined[stream]}).isdisjoint(members)
    )


async def note_joined(mesh: Mesh, peer: Peer, streams: Iterable[StreamId], node: StreamId) -> None:
    """A peer's rows are joined, and with them all that it had joined itself. Raises: Unavailable, Corrupt."""
    joined = {stream: frozenset({node, *peer.joined.get(stream, ())}) for stream in streams}
    mesh.store.log.close_nowait((await mesh.store.write(closure.note_joined, joined)).value)
