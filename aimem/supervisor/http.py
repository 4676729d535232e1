"""The HTTP server: accepts on every listener, bounds what is open, drains."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import trio
from hypercorn.typing import ASGIFramework, LifespanState
from msgspec import Struct

from aimem.ports import Secured
from aimem.supervisor.connection import Connection, ConnectionBounds
from aimem.supervisor.handshakes import HandshakeBounds, Handshakes
from aimem.supervisor.listeners import TRANSPORT_EXTENSION, Listener, Scheme, Transport
from aimem.supervisor.tales import Tales
from aimem.supervisor.trust import TLS_EXTENSION, Gate, tls_extension

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 512
OWNER_CONNECTIONS_MAX: Final = 128
"""Of the Unix socket, beside the others: a crowd on TCP must not lock the owner's own commands out."""


class HttpCounts(Struct, frozen=True, kw_only=True):
    """Connections since the start, and now.

    Attributes:
      shaking: TLS handshakes under way; such a connection is neither open nor accepted yet.
      handshakes: how many ended in each way, `done` or a HandshakeFailure; empty without TLS.
    """

    open: int
    accepted: int
    refused: int
    failed: int
    shaking: int
    handshakes: tuple[tuple[str, int], ...]


class HttpServer:
    """Serves one ASGI app on several listeners.

    Beyond `connections_max` (on TCP; `owner_connections_max` on the Unix socket) the newest connection is closed at
    once, unanswered, and counted: those that are open keep what they have. On a listener with TLS a connection counts
    only once its client is admitted: see `Handshakes`.
    """

    def __init__(
        self, app: ASGIFramework, *, bounds: ConnectionBounds | None = None, connections_max: int = CONNECTIONS_MAX,
        owner_connections_max: int = OWNER_CONNECTIONS_MAX, gate: Gate | None = None,
        handshake_bounds: HandshakeBounds | None = None,
    ) -> None:
        """Prepare.

        Args:
          gate: for listeners with TLS; without it, what connects to one is closed.
        """
        self._app = app
        self._bounds = bounds or ConnectionBounds()
        self._connections_max, self._owner_connections_max = connections_max, owner_connections_max
        self._open: dict[Connection, Transport] = {}
        self._accepted = self._refused = self._failed = 0
        self._draining = trio.Event()
        self._failures, self._refusals = Tales(_log_failure), Tales(_log_refusal)
        self._gate = gate
        self._handshakes = None if gate is None else Handshakes(gate, handshake_bounds)

    @property
    def counts(self) -> HttpCounts:
        """What was counted so far."""
        shaking, results = (0, ()) if self._handshakes is None else self._handshakes.figures
        return HttpCounts(
            open=len(self._open), accepted=self._accepted, refused=self._refused, failed=self._failed,
            shaking=shaking, handshakes=results,
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
            cutting.start_soon(self._failures.run)
            cutting.start_soon(self._refusals.run)
            if self._handshakes is not None:
                cutting.start_soon(self._handshakes.run_log)
            async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(partial(
                        trio.serve_listeners, partial(self._greet, listener, state), [listener.socket],
                        handler_nursery=connections,
                    ))
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel()
                self._draining.set()
                if self._handshakes is not None:
                    self._handshakes.stop()
                cutting.start_soon(self._cut_stragglers, hurry, grace_s)
            cutting.cancel_scope.cancel()

    async def _greet(self, listener: Listener, state: LifespanState, stream: trio.SocketStream) -> None:
        """Serve what has connected, behind its handshake if the listener asks for one."""
        try:
            if listener.scheme is Scheme.HTTP:
                await self._serve(listener.transport, state, stream)
            elif self._handshakes is not None:
                secured = await self._handshakes.shake(stream)
                if secured is not None:
                    with contextlib.ExitStack() as ended:
                        ended.callback(secured.release)
                        await self._serve(listener.transport, state, secured)
        except Exception as error:  # noqa: BLE001 - one connection's trouble must not end the others
            self._failed += 1
            self._failures.note(_kind(error), error)
        finally:
            stream.socket.close()

    async def _serve(self, transport: Transport, state: LifespanState, stream: trio.SocketStream | Secured) -> None:
        if self._is_full(transport):
            self._refused += 1
            self._refusals.note(transport.value, len(self._open))
            return
        self._accepted += 1
        extensions: dict[str, Any] = {TRANSPORT_EXTENSION: transport.value}     # their values are of any type
        app = self._app
        if isinstance(stream, Secured):
            extensions[TLS_EXTENSION] = tls_extension(stream)
            app = _retiring(app, stream.retired)
        connection = Connection(
            app, stream, draining=self._draining, state=state, bounds=self._bounds, extensions=extensions
        )
        self._open[connection] = transport
        try:
            with self._watched(connection, stream):
                await connection.run()
        finally:
            connection.drop()
            del self._open[connection]

    @contextlib.contextmanager
    def _watched(self, connection: Connection, stream: trio.SocketStream | Secured) -> Iterator[None]:
        """Over TLS it lasts as long as its client is admitted, and its certificate is valid."""
        if self._gate is None or not isinstance(stream, Secured):
            yield
            return
        with self._gate.entered(stream.client, connection.drop) as expires_at, trio.CancelScope(deadline=expires_at):
            yield

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


def _kind(error: Exception) -> str:
    """What an error is called; of a group, its first."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


def _log_failure(kind: str, count: int, error: Exception) -> None:
    log.error("http.connection_failed", extra={"kind": kind, "count": count}, exc_info=error)


def _log_refusal(transport: str, count: int, open_count: int) -> None:
    log.warning(
        "http.connection_refused", extra={"transport": transport, "count": count, "open_count": open_count}
    )


def _retiring(app: ASGIFramework, retired: trio.Event) -> ASGIFramework:
    """The app on a connection that ends behind its next answer once it is retired.

    Its client comes again and sees the new certificate; who asks without a pause would see the old one for ever.
    """

    async def serve(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:    # of any type in ASGI
        async def tell(message: Any) -> None:
            if retired.is_set() and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, tell)

    return serve
