"""What is done about a stream of which two histories were written.

Its writer goes on in a new one (see `renewal`). Which of the histories a node has, its vector does not say; so nobody
sends or takes ops of that stream any more, all tell each other that it is closed, and each joins the rows of every
node that knows it. Rows join in any order, and a tie of stamps falls to the greater value: all end with the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from aimem.model import Dot, StopReason, StreamHead, StreamId
from aimem.replication.peer import Standing
from aimem.store import Received, Store, closure, oplog
from aimem.wire import STREAMS_MAX, ExchangeAnswer, copies, heads_in

if TYPE_CHECKING:
    from aimem.replication.mesh import Mesh, Peer

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


def twins(one: Mapping[StreamId, StreamHead], other: Mapping[StreamId, StreamHead]) -> set[StreamId]:
    """Streams of which two nodes know equally many ops, and other ones."""
    return {
        stream for stream, head in one.items()
        if (there := other.get(stream)) is not None and there.seq == head.seq and there.chain_hash != head.chain_hash
    }


async def close_streams(store: Store, streams: Iterable[StreamId], reason: str) -> None:
    """Take no more ops of these, here and, once others hear of it, anywhere. Raises: Unavailable, Corrupt."""
    fresh = sorted(set(streams) - store.log.closed.keys())[:copies.CLOSED_MAX]
    if fresh:
        await store.write(closure.close, fresh, reason)
        store.log.close_nowait(dict.fromkeys(fresh, frozenset()))
        log.warning("stream.closed", extra={"streams": fresh, "reason": reason})


async def hear_closed(store: Store, heads: Mapping[StreamId, StreamHead], said: closure.Closed) -> None:
    """Close what a node says is closed, and what its vector shows to have two histories. Raises: Unavailable."""
    apart = twins(heads, store.log.heads) - store.log.closed.keys() - said.keys()
    room = max(0, STREAMS_MAX - len(store.log.closed))     # as many as can be known; what is seen here has no bound
    await close_streams(store, sorted(said.keys() - store.log.closed.keys())[:room], "a node said so")
    await close_streams(store, apart, "two nodes know another last op")


def note_received(store: Store, received: Received) -> None:
    """What a batch that was taken, or not, says of what is to be looked at."""
    if received.held:
        store.note_held_nowait()
    stop = received.stop
    if stop is not None and stop.reason is StopReason.FORK and stop.dot is not None:
        store.log.close_nowait({stop.dot.stream: store.log.closed.get(stop.dot.stream, frozenset())})


async def look_at_histories(mesh: Mesh, peer: Peer, answer: ExchangeAnswer) -> None:
    """Before an answer counts: whether what it says is about the ops that are known here.

    Raises: Unavailable, InvalidRequest for nonsense; Corrupt.
    """
    store, heads = mesh.store, heads_in(answer.vector)
    peer.joined = copies.closed_in(answer.closed)
    await hear_closed(store, heads, peer.joined)
    own = store.stream
    if answer.stopped == StopReason.FORK and answer.stopped_at.startswith(own):
        mesh.renewal.call("a peer knows other ops of this stream")
    if peer.state.answered_at is None:
        await _look_back(mesh, heads)


async def _look_back(mesh: Mesh, heads: Mapping[StreamId, StreamHead]) -> None:
    """At first sight: whether what a peer knows of this node's streams is the beginning of what is known here.

    Later nobody else adds to it, or it shows when this node sends what follows.
    """
    store = mesh.store
    for stream in {store.stream, *mesh.renewal.former}:
        there, here = heads.get(stream), store.log.heads.get(stream)
        if there is None or here is None or not 0 < there.seq < here.seq:
            continue
        known = await store.read(oplog.hash_at, Dot(stream, there.seq))
        if known is not None and known != there.chain_hash:
            await close_streams(store, [stream], "a peer knows other ops of it")


def to_join(mesh: Mesh, peer: Peer) -> list[StreamId]:
    """The closed streams for which this peer's rows are to be joined; it takes no more ops of them, too."""
    if peer.state.standing is not Standing.PEER or peer.state.stream is None:
        return []
    node = peer.state.stream
    return [stream for stream, nodes in mesh.store.log.closed.items() if stream in peer.joined and node not in nodes]


async def note_joined(mesh: Mesh, peer: Peer, streams: Iterable[StreamId], node: StreamId) -> None:
    """A peer's rows are joined, and with them all that it had joined itself. Raises: Unavailable, Corrupt."""
    joined = {stream: frozenset({node, *peer.joined.get(stream, ())}) for stream in streams}
    mesh.store.log.close_nowait((await mesh.store.write(closure.note_joined, joined)).value)
