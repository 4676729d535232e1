"""Who the members are and how much this node knows of what they know, as one value to judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from aimem.model import StreamId, dominates
from aimem.replication.peer import PeerState, Standing
from aimem.store import LogFeed

if TYPE_CHECKING:
    from aimem.replication.mesh import Mesh


class Roll(Struct, frozen=True, kw_only=True):
    """The members besides this node, as far as they have answered.

    Attributes:
      names: theirs.
      streams: those that they write now.
      is_complete: whether each of them has answered since this process began.
      is_covered: whether, beyond that, this node knows all that each of them said that it knows of others, and they
        know the stream that it writes: what one before it did and they have not heard of, they hear of no more.
    """

    names: frozenset[str] = frozenset()
    streams: frozenset[StreamId] = frozenset()
    is_complete: bool = True
    is_covered: bool = True


def roll_of(mesh: Mesh) -> Roll:
    """The members by what peers said last. May be read from any thread: each peer's state is replaced, not changed."""
    own = mesh.store.stream
    others = [peer.state for peer in mesh.peers if peer.state.standing is not Standing.SELF]
    known = [state for state in others if state.stream is not None]
    is_complete = len(known) == len(others)
    return Roll(
        names=frozenset(state.node for state in known),
        streams=frozenset(state.stream for state in known if state.stream is not None),
        is_complete=is_complete,
        is_covered=is_complete and all(
            state.acked.get(own, 0) > 0 and _knows_all_of(mesh.store.log, state) for state in known
        ),
    )


def _knows_all_of(log: LogFeed, state: PeerState) -> bool:
    """Whether what a peer told of is known here.

    What it writes itself comes by and by, and is no act of this node's. Of a stream with two histories nobody takes
    anything any more, and ends differ for ever: its rows are joined instead.
    """
    has_joined = all(state.stream in nodes for stream, nodes in log.closed.items() if stream in state.acked)
    passed_over = {state.stream, *log.closed, *log.full}
    return has_joined and dominates(log.vector, {
        stream: seq for stream, seq in state.acked.items() if stream not in passed_over
    })
