"""One HTTP/1.1 connection on a Trio stream: hypercorn's connection class, with its known faults closed.

hypercorn 0.18 serves one connection well and guards it badly; each override below says which fault it closes: an
upgrade to WebSocket or HTTP/2 that lets one client end the server, a send without bound, a reader that waits for ever
behind an answered request, an idle timer that dies with the request, an answer lost to a reset.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast  # ASGI messages are dicts of mixed values by specification

import h11
import trio
from h11 import Connection as H11State
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState, H11SendableEvent, LifespanState
from hypercorn.utils import parse_socket_addr
from msgspec import Struct, json

from aimem.errors import Code
from aimem.ports import Secured

log = logging.getLogger(__name__)

Message = Any   # an ASGI message: a dict by specification
Send = Callable[[Message], Awaitable[None]]
PIECE_BYTES = 256 * 1024
UNREAD_MESSAGES = 8     # of a body, at most 64 KiB each; then the reader, and so the client, waits for the app

_REFUSALS = {
    400: "the request is not valid HTTP/1.1",
    408: "the request's head did not arrive in time",
    431: "the request's head is too large",
    501: "of the transfer codings only chunked is understood",
    505: "only HTTP/1.1 is spoken here",
}


class ConnectionBounds(Struct, frozen=True, kw_only=True):
    """What one connection may take. Times in seconds.

    Attributes:
      head_s: from a request's first byte to the end of its head.
      idle_s: without a request.
      send_s: for the peer to take one piece of an answer (256 KiB).
      linger_s: for a peer that still sends a body to read the answer that it got meanwhile.
      head_max_bytes: request line and headers together; a query of 64 KiB may be percent-escaped to thrice that.
    """

    head_s: float = 10.0
    idle_s: float = 75.0
    send_s: float = 10.0
    linger_s: float = 2.0
    head_max_bytes: int = 256 * 1024


class Connection:
    """A stream that an ASGI app is being served on."""

    def __init__(
        self,
        app: ASGIFramework,
        stream: trio.SocketStream | Secured,
        *,
        draining: trio.Event,
        extensions: Mapping[str, Any],      # values of ASGI extensions are of any type
        state: LifespanState,
        bounds: ConnectionBounds | None = None,
    ) -> None:
        """Prepare; nothing is read before `run`.

        Args:
          draining: when set, the connection ends as soon as no request is in progress on it.
          extensions: added to the `extensions` of each request's scope.
          state: the lifespan's state, copied into each scope.
        """
        self._stream = stream
        self._scope = trio.CancelScope()
        self._server = _Server(
            app, stream, bounds or ConnectionBounds(), draining=draining, extensions=extensions, state=state
        )

    async def run(self) -> None:
        """Serve until the peer leaves, the connection is idle for too long, or it is drained or dropped."""
        with self._scope:
            await self._server.run()

    def drop(self) -> None:
        """Cut it now, requests in progress included."""
        self._scope.cancel()
        self._stream.socket.close()     # wakes a shielded send


class _Server(TCPServer):
    protocol: _Http11   # type: ignore[assignment]  # never the wrapper that may turn into HTTP/2

    def __init__(
        self, app: ASGIFramework, stream: trio.SocketStream | Secured, bounds: ConnectionBounds,
        *, draining: trio.Event, extensions: Mapping[str, Any], state: LifespanState,
    ) -> None:
        self._asgi_app = app
        super().__init__(ASGIWrapper(app), _config(bounds), WorkerContext(None), state, cast(Any, stream))
        self._bounds = bounds
        self._draining = draining
        self._extensions = extensions
        self._reading = trio.CancelScope()
        self._idle = trio.CancelScope(deadline=trio.current_time() + bounds.idle_s)
        self._task_group: _Requests    # so named by TCPServer

    async def run(self) -> None:
        """Serve. hypercorn's own would shake hands, choose HTTP/2 and never end a reader that waits."""
        try:
            socket = self.stream.socket
            client = parse_socket_addr(socket.family, socket.getpeername())
            server = parse_socket_addr(socket.family, socket.getsockname())
            async with trio.open_nursery() as watch:
                watch.start_soon(self._close_when_quiet)
                watch.start_soon(self._close_when_idle)
                async with trio.open_nursery() as nursery:
                    self._task_group = _Requests(nursery, self)
                    self.protocol = _Http11(
                        self.app, self.config, self.context, self._task_group, ConnectionState(self.state),
                        isinstance(self.stream, Secured), client, server, self.protocol_send,
                    )
                    with self._reading:
                        await self._read_data()
                    await self.protocol.handle(Closed())
                watch.cancel_scope.cancel()
        except OSError:
            pass        # the peer was gone before it could be asked its name
        finally:
            await self._close()

    @property
    def is_draining(self) -> bool:
        """Whether the whole server is on its way out."""
        return self._draining.is_set()

    def finish_reading(self) -> None:
        """Take no further request; what is in progress gets a disconnect and ends."""
        self._reading.cancel()

    def finish_reading_if_quiet(self) -> None:
        """Do so unless a request is in progress: its answer would be cut."""
        if not self._task_group.active_count:
            self._reading.cancel()

    async def protocol_send(self, event: Event) -> None:
        """Carry out what the protocol asks for."""
        if isinstance(event, RawData):
            await self._send(event.data)
        elif isinstance(event, Closed):
            self.finish_reading()
        elif isinstance(event, Updated):
            # One timer for the connection's life, which is set anew: hypercorn starts and stops a task a request.
            self._idle.deadline = trio.current_time() + self._bounds.idle_s if event.idle else float("inf")

    async def _send(self, data: bytes) -> None:
        try:
            async with self.send_lock:
                for start in range(0, len(data), PIECE_BYTES):
                    # Shielded, as half a piece would leave the peer with a broken answer; bounded, as a peer that does
                    # not read would hold its request, and the shutdown, for ever.
                    with trio.fail_after(self._bounds.send_s, shield=True):
                        await self.stream.send_all(data[start:start + PIECE_BYTES])
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            self.stream.socket.close()
            self.finish_reading()

    async def _read_data(self) -> None:
        head_by = float("inf")
        while True:
            try:
                with trio.fail_at(head_by):
                    data = await self.stream.receive_some(MAX_RECV)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                return
            except trio.TooSlowError:
                await self.protocol.refuse(408)
                return
            await self.protocol.handle(RawData(bytes(data)))
            if not data:
                return
            in_head = self.protocol.is_mid_head
            head_by = min(head_by, trio.current_time() + self._bounds.head_s) if in_head else float("inf")

    async def _close_when_idle(self) -> None:
        while True:
            with self._idle:
                await trio.sleep_forever()
            self.finish_reading_if_quiet()
            self._idle = trio.CancelScope()     # a request came just then; its end sets the deadline

    async def _close_when_quiet(self) -> None:
        await self._draining.wait()
        self.finish_reading_if_quiet()

    async def _close(self) -> None:
        with trio.move_on_after(self._bounds.linger_s, shield=True):
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                await self.stream.send_eof()
                # Closing with unread bytes resets the connection, and the reset overtakes the answer: "too large"
                # would reach nobody.
                while self.protocol.is_mid_body and await self.stream.receive_some(MAX_RECV):
                    pass
        self.stream.socket.close()

    async def answer(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        """Run the app for one request; whatever it does, the peer gets an answer or a closed connection."""
        is_started = False

        async def tell(message: Message) -> None:
            nonlocal is_started
            is_start = message["type"] == "http.response.start"
            # Behind an answer to half a body the connection ends, too; unsaid, the next request would run into that.
            if is_start and (self.is_draining or self.protocol.is_mid_body):
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)
            is_started = is_started or is_start

        extended: Message = {**scope, "extensions": {**scope["extensions"], **self._extensions}}
        try:
            await self._asgi_app(extended, receive, tell)
        except Exception:   # a door's last line: an app that fails must not end the other connections
            log.exception("http.app_failed")
            if not is_started:
                await _send_internal_error(send)
        finally:
            await send(None)


class _Requests(TaskGroup):
    """The connection's requests in progress: what hypercorn calls a task group."""

    _nursery: trio.Nursery

    def __init__(self, nursery: trio.Nursery, server: _Server) -> None:
        super().__init__()
        self._nursery = nursery     # read by hypercorn's TrioSingleTask, too
        self._server = server
        self.active_count = 0

    async def spawn_app(self, app: AppWrapper, config: HypercornConfig, scope: Message, send: Send) -> Send:
        """Start the app; returns how to hand it what arrives.

        hypercorn's channel is never closed: behind an app that answered without reading its body, the reader, and the
        app's own last send, would wait for ever. Here its end is the disconnect, and messages to an app that ended are
        dropped.
        """
        to_app, from_peer = trio.open_memory_channel[Message](UNREAD_MESSAGES)
        self.active_count += 1
        self._nursery.start_soon(self._run, scope, from_peer, send)

        async def hand_over(message: Message) -> None:
            if message["type"] == "http.disconnect":
                to_app.close()
                return
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await to_app.send(message)

        return hand_over

    async def _run(self, scope: Message, from_peer: trio.MemoryReceiveChannel[Message], send: Send) -> None:
        async def receive() -> Message:
            try:
                return await from_peer.receive()
            except trio.EndOfChannel:
                return {"type": "http.disconnect"}

        try:
            with from_peer:
                await self._server.answer(scope, receive, send)
        finally:
            self.active_count -= 1
            if self._server.is_draining:
                self._server.finish_reading_if_quiet()


class _H11(H11State):
    """h11's state of one connection, deaf after the peer's last request.

    Bytes behind a request that closes (RFC 9112, 9.6), such as an old client's line end behind its body, are an error
    to h11: the request would be refused while its write is under way.
    """

    def next_event(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        """The next event."""
        return h11.NEED_DATA if self.their_state is h11.MUST_CLOSE else super().next_event()

    def receive_data(self, data: bytes) -> None:
        """Take what arrived."""
        if self.their_state is not h11.MUST_CLOSE:
            super().receive_data(data)


class _Http11(H11Protocol):
    """HTTP/1.1 and nothing else."""

    connection: H11State
    _head = b""     # of the answer; it waits for the first piece of the body, so that a small answer is one packet

    def __init__(self, app: AppWrapper, config: HypercornConfig, *args: Any) -> None:
        super().__init__(app, config, *args)
        self.connection = _H11(h11.SERVER, max_incomplete_event_size=config.h11_max_incomplete_size)

    @property
    def is_mid_head(self) -> bool:
        """Whether a part of a request's head is here."""
        return self.connection.their_state is h11.IDLE and bool(self.connection.trailing_data[0])

    @property
    def is_mid_body(self) -> bool:
        """Whether the peer may still be sending a request that was answered already."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR)

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        try:
            data = self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            self._head = data
            return
        data, self._head = self._head + data, b""
        if data:
            await self.send(RawData(data))

    async def refuse(self, status: int) -> None:
        """Answer without asking the app, and close."""
        if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send_error_response(status)
        await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        # hypercorn would turn into an HTTP/2 server here (h2c, prior knowledge), which one late frame can end.
        pass

    async def _create_stream(self, request: h11.Request) -> None:
        if request.http_version not in (b"1.0", b"1.1"):
            await self.refuse(505)
            return
        names = {name for name, _ in request.headers}
        if {b"content-length", b"transfer-encoding"} <= names:
            # Two lengths: a proxy before us may go by the other, and what it takes for a body we would serve.
            await self.refuse(400)
            return
        # An offered upgrade may be ignored (RFC 9110, 7.8); a byte behind a WebSocket's would end the server.
        kept = [(name, value) for name, value in request.headers if name != b"upgrade"]
        if len(kept) < len(request.headers):
            request = h11.Request(
                method=request.method, target=request.target, headers=kept, http_version=request.http_version
            )
        await super()._create_stream(request)

    async def _send_error_response(self, status_code: int) -> None:
        body = _envelope(_REFUSALS.get(status_code, _REFUSALS[400]), Code.INVALID_REQUEST)
        headers = [
            (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"), *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class _Envelope(Struct, frozen=True, kw_only=True):
    error: str
    code: Code


def _envelope(error: str, code: Code) -> bytes:
    return json.encode(_Envelope(error=error, code=code))


async def _send_internal_error(send: Send) -> None:
    body = _envelope("internal error", Code.INTERNAL)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _config(bounds: ConnectionBounds) -> HypercornConfig:
    config = HypercornConfig()
    config.accesslog, config.errorlog = None, log
    config.h11_max_incomplete_size = bounds.head_max_bytes
    config.include_server_header = False
    config.keep_alive_max_requests = sys.maxsize    # else every thousandth answer ends a peer's connection
    return config
