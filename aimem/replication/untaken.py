"""Streams of which a node takes no more: their next op cannot be applied there, and no more such ops can be held.

Whoever takes no more of a stream says so, and is sent none of it; everything else goes on between the two. A newer
version applies what is held, takes the rest, and says so no longer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from aimem.model import StreamId, Vector
from aimem.replication.peer import PeerState
from aimem.replication.renewal import without
from aimem.store import Store
from aimem.wire import stream_in

FULL_MAX: Final = 256
"""Streams that a message names as full."""
_ALL: Final = 1 << 62


def told_full(store: Store) -> tuple[str, ...]:
    """The streams of which this node takes no more, for others."""
    return tuple(sorted(store.log.full))[:FULL_MAX]


def full_in(sent: Sequence[str]) -> frozenset[StreamId]:
    """Full streams from their wire form; of too many the first ones. Raises: InvalidRequest(schema_mismatch)."""
    return frozenset(stream_in(stream) for stream in sent[:FULL_MAX])


def with_all_of(vector: Vector, streams: Collection[StreamId]) -> Vector:
    """A vector that lacks nothing of some streams: what is not taken is not sent."""
    return {**vector, **dict.fromkeys(streams, _ALL)} if streams else vector


def untaken_by(store: Store, state: PeerState) -> frozenset[StreamId]:
    """What a peer is not sent. This node's own stream is: a peer that does not take that is no peer to count on."""
    return state.full - {store.stream}


def shipped_to(store: Store, state: PeerState) -> Vector:
    """What a peer may lack of what is known."""
    return without(store.log.shipped, untaken_by(store, state))
