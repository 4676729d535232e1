"""Which version of the language between nodes is spoken with a peer: the newest that both know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import trio
from msgspec.structs import replace

from aimem.errors import Unavailable
from aimem.replication.thin import thin_request, whole_answer
from aimem.store import cluster
from aimem.wire import PROTOCOL, PROTOCOL_OLDEST, ExchangeAnswer, ExchangeRequest

if TYPE_CHECKING:
    from aimem.replication.mesh import Mesh
    from aimem.replication.neighbour import Peer

RETRY_S: Final = 600.0
"""After so long a peer that refused our version is asked in it again: it may have been started anew unseen."""


class Tongue:
    """What is spoken with one peer.

    Attributes:
      protocol: to ask it in; ours until it refuses that.
      belonging: what it said last of the id of its mesh; None while it said nothing.
    """

    def __init__(self) -> None:
        self.protocol = PROTOCOL
        self.belonging: cluster.Belonging | None = None
        self._refused_at: float | None = None

    def note_refused(self, protocols: Iterable[int], now: float) -> bool:
        """It refused the version that was spoken, and named those that it knows. Returns: whether there is another."""
        both = [known for known in protocols if PROTOCOL_OLDEST <= known <= PROTOCOL and known != self.protocol]
        if not both:
            return False
        self.protocol, self._refused_at = max(both), now
        return True

    def note_asked(self, protocol: int) -> None:
        """It asked in a version, so it knows that one."""
        self.protocol = max(self.protocol, min(protocol, PROTOCOL))

    def note_lost(self) -> None:
        """It did not answer: it may be another version that comes back."""
        self.protocol = PROTOCOL

    def for_exchange(self, now: float) -> int:
        """The version of the next exchange."""
        if self._refused_at is not None and now > self._refused_at + RETRY_S:
            self.protocol, self._refused_at = PROTOCOL, None
        return self.protocol


async def exchange(mesh: Mesh, peer: Peer, request: ExchangeRequest) -> ExchangeAnswer:
    """Exchange in the newest version that both know, without what both know. Raises: as PeerRoad.exchange."""
    tongue = peer.tongue
    try:
        return whole_answer(await mesh.road.exchange(peer.url, thin_request(request)), request)
    except Unavailable as error:
        known = error.details.get("protocols")
        if not isinstance(known, tuple) or not tongue.note_refused(known, trio.current_time()):
            raise
    request = replace(request, protocol=tongue.protocol)
    return whole_answer(await mesh.road.exchange(peer.url, thin_request(request)), request)


def mismatch(protocols: tuple[int, ...]) -> str:
    """What to tell a person where there is no version that both know."""
    theirs = ", ".join(map(str, protocols[:_NAMED_MAX])) or "none that it names"
    where = "this node" if protocols and min(protocols) > PROTOCOL else "the peer"
    return (
        f"another protocol: it speaks {theirs} of the mesh, and this node {PROTOCOL_OLDEST} to {PROTOCOL}; install a "
        f"newer version on {where}"
    )


_NAMED_MAX: Final = 8
