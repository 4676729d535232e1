"""The HTTP server: accepts on every listener, bounds what is open, drains."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import trio
from hypercorn.typing import ASGIFramework, LifespanState
from msgspec import Struct

from aimem.supervisor.connection import Connection, ConnectionBounds
from aimem.supervisor.listeners import TRANSPORT_EXTENSION, Listener, Transport

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 512
OWNER_CONNECTIONS_MAX: Final = 128
"""Of the Unix socket, beside the others: a crowd on TCP must not lock the owner's own commands out."""


class HttpCounts(Struct, frozen=True, kw_only=True):
    """Connections since the start, and now."""

    open: int
    accepted: int
    refused: int
    failed: int


class HttpServer:
    """Serves one ASGI app on several listeners.

    Beyond `connections_max` (on TCP; `owner_connections_max` on the Unix socket) the newest connection is closed at
    once, unanswered, and counted: those that are open keep what they have.
    """

    def __init__(
        self, app: ASGIFramework, *, bounds: ConnectionBounds | None = None, connections_max: int = CONNECTIONS_MAX,
        owner_connections_max: int = OWNER_CONNECTIONS_MAX,
    ) -> None:
        self._app = app
        self._bounds = bounds or ConnectionBounds()
        self._connections_max, self._owner_connections_max = connections_max, owner_connections_max
        self._open: dict[Connection, Transport] = {}
        self._accepted = self._refused = self._failed = 0
        self._draining = trio.Event()

    @property
    def counts(self) -> HttpCounts:
        """What was counted so far."""
        return HttpCounts(
            open=len(self._open), accepted=self._accepted, refused=self._refused, failed=self._failed
        )

    async def run(
        self, listeners: Sequence[Listener], *, stop: trio.Event, hurry: trio.Event, grace_s: float,
        state: LifespanState, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `stop`; then close the listeners, let requests in progress end, and cut what is left.

        Args:
          hurry: ends the grace when set.
          grace_s: how long requests in progress, streams included, may take after `stop`.
          state: the lifespan's.
        """
        async with trio.open_nursery() as cutting:
            async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(partial(
                        trio.serve_listeners, partial(self._serve, listener.transport, state), [listener.socket],
                        handler_nursery=connections,
                    ))
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel()
                self._draining.set()
                cutting.start_soon(self._cut_stragglers, hurry, grace_s)
            cutting.cancel_scope.cancel()

    async def _serve(self, transport: Transport, state: LifespanState, stream: trio.SocketStream) -> None:
        if self._is_full(transport):
            self._refused += 1
            log.warning("http.connection_refused", extra={"open_count": len(self._open)})
            stream.socket.close()
            return
        self._accepted += 1
        connection = Connection(
            self._app, stream, draining=self._draining, state=state, bounds=self._bounds,
            extensions={TRANSPORT_EXTENSION: transport.value},
        )
        self._open[connection] = transport
        try:
            await connection.run()
        except Exception:   # one connection's trouble must not end the others
            self._failed += 1
            log.exception("http.connection_failed")
        finally:
            connection.drop()
            del self._open[connection]

    def _is_full(self, transport: Transport) -> bool:
        owner_count = sum(one is Transport.UNIX for one in self._open.values())
        if transport is Transport.UNIX:
            return owner_count >= self._owner_connections_max
        return len(self._open) - owner_count >= self._connections_max

    async def _cut_stragglers(self, hurry: trio.Event, grace_s: float) -> None:
        with trio.move_on_after(grace_s):
            await hurry.wait()
        if self._open:
            log.warning("http.cut", extra={"open_count": len(self._open)})
        for connection in list(self._open):
            connection.drop()
