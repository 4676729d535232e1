"""HTTP without a network: requests of this process go straight to the app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any  # ASGI messages are dicts of mixed values by specification

import httpx
import trio

from aimem.supervisor.listeners import TRANSPORT_EXTENSION, Transport

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

Message = Any


class InProcessTransport(httpx.AsyncBaseTransport):
    """Runs the app in the caller's task; a caller that is cancelled takes its request along.

    httpx's own ASGI transport says nothing of how a request came in, which the app's guard must know.
    """

    def __init__(self, app: ASGIFramework, *, extensions: Mapping[str, object] | None = None) -> None:
        """Prepare.

        Args:
          extensions: what else the app is to know of how these requests came.
        """
        self._app = app
        self._extensions = {TRANSPORT_EXTENSION: Transport.IN_PROCESS.value, **(extensions or {})}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, and collect the whole answer: at most what the app bounds."""
        exchange = _Exchange(await request.aread())
        await self._app(_scope(request, self._extensions), exchange.receive, exchange.send)
        return exchange.response(request)


class _Exchange:
    def __init__(self, body: bytes) -> None:
        self._messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._start: Message = None
        self._body = bytearray()
        self._is_done = trio.Event()

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop()
        await self._is_done.wait()      # a disconnect before the end would cancel the request
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                self._is_done.set()

    def response(self, request: httpx.Request) -> httpx.Response:
        if self._start is None or not self._is_done.is_set():
            raise httpx.RemoteProtocolError("the app ended without an answer", request=request)
        return httpx.Response(
            self._start["status"], headers=self._start.get("headers", []), content=bytes(self._body), request=request
        )


def _scope(request: httpx.Request, extensions: Mapping[str, object]) -> Message:
    return {
        "type": "http", "asgi": {"spec_version": "2.1", "version": "3.0"}, "http_version": "1.1",
        "method": request.method, "scheme": request.url.scheme, "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0], "query_string": request.url.query, "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": None, "server": None, "state": {},
        "extensions": dict(extensions),
    }
