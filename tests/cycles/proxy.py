"""A link between two nodes that passes bytes on, late, slowly, or not for long."""

from __future__ import annotations

import contextlib
import socket
import struct
from enum import StrEnum
from typing import Final

import trio

CHUNK_BYTES: Final = 65_536
DELAY_S: Final = 0.3
DRIP_BYTES: Final = 512
DRIP_S: Final = 0.05
RESET_BYTES: Final = 6_000
"""More than a handshake of TLS takes, so that some are cut in a request and some in an answer."""
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class Manner(StrEnum):
    """How a link treats what is sent over it."""

    PLAIN = "plain"
    DELAY = "delay"     # every piece comes so much later
    DRIP = "drip"       # a few bytes at a time
    RESET = "reset"     # every connection is reset after a few bytes
    HOLD = "hold"       # nothing comes through, and nothing is closed


class Link:
    """One direction of asking: connections that one node opens to another. What is asked and answered goes through.

    Attributes:
      manner: of now, for open connections too.
    """

    def __init__(self, listen: tuple[str, int], to: tuple[str, int]) -> None:
        self.listen, self._to = listen, to
        self.manner = Manner.PLAIN
        self._changed = trio.Event()

    def turn(self, manner: Manner) -> None:
        """Treat everything so from now on."""
        self.manner = manner
        self._changed.set()
        self._changed = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(self.listen[1], host=self.listen[0])
            task_status.started()
            await trio.serve_listeners(self._connected, listeners, handler_nursery=nursery)

    async def _connected(self, asker: trio.SocketStream) -> None:
        try:
            answerer = await trio.open_tcp_stream(*self._to)
        except OSError:
            _reset(asker)
            return
        async with asker, answerer:
            left = [RESET_BYTES]
            async with trio.open_nursery() as nursery:
                for source, target in ((asker, answerer), (answerer, asker)):
                    nursery.start_soon(self._pump, source, target, left, nursery.cancel_scope)
            if left[0] < 0:
                _reset(asker)
                _reset(answerer)

    async def _pump(
        self, source: trio.SocketStream, target: trio.SocketStream, left: list[int], both: trio.CancelScope
    ) -> None:
        """Pass bytes on, until there are no more; a connection that breaks, or is to be reset, ends both ways."""
        try:
            while data := await source.receive_some(CHUNK_BYTES):
                await self._pass(data, target, left)
            await target.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            both.cancel()

    async def _pass(self, data: bytes, target: trio.SocketStream, left: list[int]) -> None:
        while self.manner is Manner.HOLD:
            await self._changed.wait()
        if self.manner is Manner.DELAY:
            await trio.sleep(DELAY_S)
        if self.manner is Manner.RESET:
            left[0] -= len(data)
            if left[0] < 0:
                raise trio.BrokenResourceError
        while data and self.manner is Manner.DRIP:
            await target.send_all(data[:DRIP_BYTES])
            data = data[DRIP_BYTES:]
            await trio.sleep(DRIP_S)
        if data:
            await target.send_all(data)


def _reset(stream: trio.SocketStream) -> None:
    """Close a connection as one whose machine is gone."""
    with contextlib.suppress(OSError):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    stream.socket.close()
