"""HTTP/1.1 to a few hosts that are asked again and again: kept connections, and nothing that an exchange does not need.

A pool for any host and purpose (httpcore's) takes six times as much processor time for the same request, and a write is
acknowledged only after two of them. It is the network port of exchanges; addresses with TLS go by httpx's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import h11
import httpx
import trio

LINKS_KEPT: Final = 8
"""To one host; further ones are closed after their answer."""
KEPT_S: Final = 60.0
"""How long an unused one is trusted: less than a node waits for a request (75 s)."""
_HEAD_MAX_BYTES: Final = 65_536
_PIECE_BYTES: Final = 65_536

_Host = tuple[str, int]


class Links(httpx.AsyncBaseTransport):
    """See the module. Deadlines are the caller's."""

    def __init__(self, beyond: httpx.AsyncBaseTransport) -> None:
        """Prepare; nothing is connected yet.

        Args:
          beyond: takes requests with another scheme than `http`; closed with this.
        """
        self._beyond = beyond
        self._idle: dict[_Host, list[_Link]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask on a kept connection, or on a new one. Raises: httpx.TransportError, of a kept one that broke too."""
        url = request.url
        if url.scheme != "http":
            return await self._beyond.handle_async_request(request)
        host = url.host, url.port or 80
        link = await self._take(host)
        try:
            answer = await link.ask(request)
        except BaseException:
            link.close()
            self._drop(host)        # what broke one has broken the others
            raise
        # Its headers are of bytes already; httpx's type for them is a list.
        headers = list(answer.headers.raw_items())
        return httpx.Response(answer.status_code, headers=headers, stream=_Body(self, host, link), request=request)

    async def aclose(self) -> None:
        """Close what is kept."""
        for host in list(self._idle):
            self._drop(host)
        await self._beyond.aclose()

    def give_back(self, host: _Host, link: _Link) -> None:
        """Keep a connection whose answer was read to its end."""
        kept = self._idle.setdefault(host, [])
        if len(kept) < LINKS_KEPT and link.recycle():
            kept.append(link)
        else:
            link.close()

    async def _take(self, host: _Host) -> _Link:
        kept = self._idle.get(host)
        while kept:
            link = kept.pop()
            if trio.current_time() - link.used_at < KEPT_S:
                return link
            link.close()
        try:
            return _Link(await trio.open_tcp_stream(*host))
        except (OSError, UnicodeError) as error:     # UnicodeError: IDNA cannot encode the name
            raise httpx.ConnectError(str(error) or type(error).__name__) from error

    def _drop(self, host: _Host) -> None:
        for link in self._idle.pop(host, ()):
            link.close()


class _Link:
    """One connection, with one request at a time."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.used_at = trio.current_time()
        self._stream = stream
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX_BYTES)

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
            raise httpx.WriteError(str(error)) from error
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
        self._stream.socket.close()

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        try:
            while (event := self._state.next_event()) is h11.NEED_DATA:
                self._state.receive_data(bytes(await self._stream.receive_some(_PIECE_BYTES)))
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpx.ReadError(str(error)) from error
        return event


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
