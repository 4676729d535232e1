"""The phase before a connection counts: TLS handshakes, bounded in time and number; those that fail are told of."""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from typing import Final

import trio
from msgspec import Struct

from aimem.ports import HandshakeFailure, Secured
from aimem.supervisor.tales import Tales
from aimem.supervisor.trust import Gate

log = logging.getLogger(__name__)

SHOWN_DIGITS: Final = 16    # of a fingerprint: enough to find it in a list
DONE: Final = "done"


class HandshakeBounds(Struct, frozen=True, kw_only=True):
    """What clients may take that are not admitted yet.

    Attributes:
      handshake_s: from the connection to the end of its handshake, in seconds.
      handshakes_max: at once; beyond it one is closed: of the addresses that have most of them under way, the one that
        has waited longest. A crowd crowds out itself, and not a member far away, whose handshake takes its time.
    """

    handshake_s: float = 10.0
    handshakes_max: int = 256


class _Waiting:
    def __init__(self, origin: bytes, patience_s: float) -> None:
        self.origin = origin
        self.scope = trio.CancelScope(deadline=trio.current_time() + patience_s)
        self.reason = HandshakeFailure.SLOW


class Handshakes:
    """The handshakes of one server."""

    def __init__(self, gate: Gate, bounds: HandshakeBounds | None = None) -> None:
        self._gate, self._bounds = gate, bounds or HandshakeBounds()
        self._waiting: dict[_Waiting, None] = {}    # oldest first
        self._results: Counter[str] = Counter({DONE: 0} | {failure.value: 0 for failure in HandshakeFailure})
        self._tales = Tales(_log)

    @property
    def figures(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        """How many are under way, and how many ended in each way: `done`, or a HandshakeFailure."""
        return len(self._waiting), tuple(self._results.items())

    async def shake(self, stream: trio.SocketStream) -> Secured | None:
        """Find out who has connected. Returns: None if it is not admitted; `stream` is to be closed then."""
        if len(self._waiting) >= self._bounds.handshakes_max:
            self._crowd_out()
        waiting, result = _Waiting(_origin(stream), self._bounds.handshake_s), None
        self._waiting[waiting] = None
        secured: Secured | None = None
        try:
            with waiting.scope:
                # One that says nothing costs next to nothing: a crowd of them is accepted in half the time.
                await trio.lowlevel.wait_readable(stream.socket)
                edition, secured = self._gate.edition, self._gate.secure(stream)
                failure = await secured.do_handshake()
                if failure is None and edition != self._gate.edition and not self._gate.admits(secured.client):
                    failure = HandshakeFailure.UNLISTED     # by the list that came while hands were shaken
                result = self._note(failure, secured)
                if failure is not None:
                    await secured.part()
        finally:
            self._waiting.pop(waiting, None)
            if secured is not None and result != DONE:
                secured.release()
        if result is None:
            self._note(waiting.reason, secured)
        return secured if result == DONE else None

    def stop(self) -> None:
        """End those under way: the server takes no further connections."""
        for waiting in list(self._waiting):
            self._end(waiting, HandshakeFailure.STOPPED)

    def _crowd_out(self) -> None:
        counts = Counter(waiting.origin for waiting in self._waiting)
        most = max(counts.values())
        self._end(next(one for one in self._waiting if counts[one.origin] == most), HandshakeFailure.CROWDED_OUT)

    def _end(self, waiting: _Waiting, reason: HandshakeFailure) -> None:
        del self._waiting[waiting]      # at once: the next newcomer is to end another
        waiting.reason = reason
        waiting.scope.cancel()

    async def run_log(self) -> None:
        """Log what came too soon after a line of its kind, until cancelled."""
        await self._tales.run()

    def _note(self, failure: HandshakeFailure | None, secured: Secured | None) -> str:
        if failure is None:
            self._results[DONE] += 1
            return DONE
        self._results[failure.value] += 1
        self._tales.note(failure.value, None if secured is None else secured.fingerprint)
        return failure.value


def _log(reason: str, count: int, fingerprint: str | None) -> None:
    shown = "none" if fingerprint is None else fingerprint[:SHOWN_DIGITS]
    log.warning("tls.refused", extra={"reason": reason, "count": count, "fingerprint": shown})


def _origin(stream: trio.SocketStream) -> bytes:
    """Where a client comes from, as far as whoever is there could not choose it: of IPv6, the network."""
    try:
        host = stream.socket.getpeername()[0]
    except OSError:
        return b""      # it has left already
    address = ipaddress.ip_address(host.partition("%")[0])
    return address.packed[:8]
