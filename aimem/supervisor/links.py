"""HTTP/1.1 to a few hosts that are asked again and again: kept connections, and nothing that an exchange does not need.

A pool for any host and purpose (httpcore's) takes six times as much processor time for the same request, and a write is
acknowledged only after two of them. It is the network port of exchanges, with TLS and without.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import h11
import httpx
import trio
from msgspec import Struct

from aimem.model import SERVER_CERTIFICATE, PresentedCertificate
from aimem.replication import NotSecured
from aimem.supervisor.secured import PeerTls, failure_of, secure

LINKS_KEPT: Final = 8
"""To one host; further ones are closed after their answer."""
KEPT_S: Final = 60.0
"""How long an unused one is trusted: less than a node waits for a request (75 s)."""
_HEAD_MAX_BYTES: Final = 65_536
_PIECE_BYTES: Final = 65_536

_PORTS: Final = {"http": 80, "https": 443}

_Host = tuple[str, str, int]
_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Links(httpx.AsyncBaseTransport):
    """See the module. Deadlines are the caller's."""

    def __init__(self, tls: PeerTls) -> None:
        """Prepare; nothing is connected yet. When `tls` is renewed what is kept is closed at once."""
        self._tls = tls
        self._idle: dict[_Host, list[_Link]] = {}
        tls.watch(self._drop_all)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask on a kept connection, or on a new one.

        Returns: the answer; its extensions name the server's certificate (`SERVER_CERTIFICATE`) if it has one.
        Raises: httpx.TransportError, of a kept one that broke too.
        """
        url = request.url
        if url.scheme not in _PORTS:
            raise httpx.UnsupportedProtocol(f"{url.scheme[:20]!r} is neither http nor https")
        host = url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]
        link = await self._take(host)
        try:
            answer = await link.ask(request)
        except BaseException:
            link.close()
            self._drop(host)        # what broke one has broken the others
            raise
        # Its headers are of bytes already; httpx's type for them is a list.
        headers = list(answer.headers.raw_items())
        shown = {} if link.certificate is None else {SERVER_CERTIFICATE: link.certificate}
        body = _Body(self, host, link)
        return httpx.Response(answer.status_code, headers=headers, stream=body, request=request, extensions=shown)

    async def aclose(self) -> None:
        """Close what is kept."""
        self._tls.leave(self._drop_all)
        self._drop_all()

    def give_back(self, host: _Host, link: _Link) -> None:
        """Keep a connection whose answer was read to its end."""
        kept = self._idle.setdefault(host, [])
        # The last one that came back is taken first, so that what is not needed any more stays in front, and grows old.
        while kept and not kept[0].is_fresh():
            kept.pop(0).close()
        if len(kept) < LINKS_KEPT and link.is_of(self._tls) and link.recycle():
            kept.append(link)
        else:
            link.close()

    async def _take(self, host: _Host) -> _Link:
        kept = self._idle.get(host)
        while kept:
            link = kept.pop()
            if link.is_fresh():
                return link
            link.close()
        scheme, name, port = host
        try:
            stream = await trio.open_tcp_stream(name, port)
        except (OSError, UnicodeError) as error:     # UnicodeError: IDNA cannot encode the name
            raise httpx.ConnectError(str(error) or type(error).__name__) from error
        return _Link(stream) if scheme == "http" else await self._secured(stream, name, port)

    async def _secured(self, stream: trio.SocketStream, name: str, port: int) -> _Link:
        try:
            edition = self._tls.edition
            secured, certificate = await secure(stream, self._tls.context, name)
            self._tls.seen[f"{name}:{port}".lower()] = certificate
        except ValueError as error:
            stream.socket.close()
            raise NotSecured(f"the authorities that are trusted here: {error}") from error
        except BaseException:
            stream.socket.close()
            raise
        return _Link(stream, _Security(stream=secured, edition=edition, certificate=certificate, name=name))

    def _drop_all(self) -> None:
        for host in list(self._idle):
            self._drop(host)

    def _drop(self, host: _Host) -> None:
        for link in self._idle.pop(host, ()):
            link.close()


class _Security(Struct, frozen=True, kw_only=True):
    """What a connection has from its TLS handshake; `name` is the host's."""

    stream: trio.SSLStream[trio.SocketStream]
    edition: int
    certificate: PresentedCertificate
    name: str


class _Link:
    """One connection, with one request at a time."""

    def __init__(self, stream: trio.SocketStream, security: _Security | None = None) -> None:
        self.used_at = trio.current_time()
        self._transport, self._security = stream, security
        self._stream: _Stream = stream if security is None else security.stream
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX_BYTES)

    @property
    def certificate(self) -> PresentedCertificate | None:
        """Whose it is; None without TLS."""
        return None if self._security is None else self._security.certificate

    def is_fresh(self) -> bool:
        """Whether it was used a short while ago."""
        return trio.current_time() - self.used_at < KEPT_S

    def is_of(self, tls: PeerTls) -> bool:
        """Whether it would be made today as it was."""
        return self._security is None or self._security.edition == tls.edition

    async def ask(self, request: httpx.Request) -> h11.Response:
        """Send a request and wait for the head of its answer."""
        body = await request.aread()
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        state = self._state
        try:
            data = (state.send(head) or b"") + (state.send(h11.Data(body)) or b"" if body else b"")
            data += state.send(h11.EndOfMessage()) or b""
            await self._stream.send_all(data)
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._trouble(error, httpx.WriteError) from error
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("it closed the connection without an answer")

    async def next_piece(self) -> bytes | None:
        """The next of the answer's body, as it comes; None at its end."""
        event = await self._next_event()
        if isinstance(event, h11.EndOfMessage):
            return None
        if not isinstance(event, h11.Data):
            raise httpx.RemoteProtocolError("its answer broke off")
        return bytes(event.data)

    def recycle(self) -> bool:
        """Make ready for the next request. Returns: whether there can be one."""
        state = self._state
        if state.our_state is not h11.DONE or state.their_state is not h11.DONE or state.trailing_data[0]:
            return False
        state.start_next_cycle()
        self.used_at = trio.current_time()
        return True

    def close(self) -> None:
        """Close it at once, whatever is under way."""
        self._transport.socket.close()

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        try:
            while (event := self._state.next_event()) is h11.NEED_DATA:
                self._state.receive_data(bytes(await self._stream.receive_some(_PIECE_BYTES)))
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._trouble(error, httpx.ReadError) from error
        return event

    def _trouble(self, error: Exception, kind: type[httpx.TransportError]) -> httpx.TransportError:
        if self._security is not None and isinstance(error, trio.BrokenResourceError):
            reason = failure_of(error, self._security.name)
            if reason:      # to try again would meet the same
                return NotSecured(reason)
        return kind(str(error))


class _Body(httpx.AsyncByteStream):
    def __init__(self, links: Links, host: _Host, link: _Link) -> None:
        self._links, self._host, self._link = links, host, link
        self._is_whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._link.next_piece()) is not None:
            yield piece
        self._is_whole = True

    async def aclose(self) -> None:
        # Left before its end, the rest of the answer would be taken for the next one's.
        if self._is_whole:
            self._links.give_back(self._host, self._link)
        else:
            self._link.close()
