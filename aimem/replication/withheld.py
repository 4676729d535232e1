"""Members that name what they do not hand over: nobody waits for it, and nobody asks them for it without end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aimem.model import StopReason
from aimem.replication.peer import Withheld
from aimem.replication.untaken import full_in
from aimem.store import Received
from aimem.wire import ExchangeAnswer, ExchangeRequest

if TYPE_CHECKING:
    from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer

log = logging.getLogger(__name__)

_SENDERS_FAULTS: Final = frozenset({StopReason.GAP, StopReason.FORGED, StopReason.MALFORMED})
"""What an op is refused for that no sound node hands over; for the others this node has reasons of its own."""


def has_more(request: ExchangeRequest, answer: ExchangeAnswer) -> bool:
    """Whether there is more to come: then there is an op in the answer that the asker said that it lacks."""
    known = request.vector
    return answer.more and any(op.stream not in known or op.seq > known[op.stream].seq for op in answer.ops)


def note_withheld(
    mesh: Mesh, peer: Peer, request: ExchangeRequest, answer: ExchangeAnswer, received: Received
) -> None:
    """After the ops of an answer were taken: let what the peer named and did not send count for nothing.

    A sound node's answer holds all that the asker lacks of the vector in it, unless there is more to come, its log does
    not reach back, or this node did not take something. A stream may be the liar's own, and its proof sound.
    """
    stop, known = received.stop, mesh.store.log.vector
    if not request.wants or has_more(request, answer) or answer.trimmed:
        return
    if stop is not None and stop.reason not in _SENDERS_FAULTS:
        return
    named, untaken = peer.state.acked, mesh.store.log.closed.keys() | full_in(request.full)
    counted = {stream: seq if stream in untaken else min(seq, known.get(stream, 0)) for stream, seq in named.items()}
    if counted != named:
        log.warning("peer.withholds", extra={"peer": peer.url, "stream_count": len(named)})
        peer.apply(Withheld(vector={stream: seq for stream, seq in counted.items() if seq}))
        mesh.renewal.note_withheld(peer.url, known)
