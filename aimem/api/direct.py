"""The door of the routes that come often: exchanges of nodes, and single memories that are stored.

Behind it is the same pipeline as behind the framework, which for these spends more time on finding the route, wrapping
the request and sending the answer than the node does on answering it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import trio
from werkzeug.http import parse_options_header

from aimem.api.answering import answered, too_large
from aimem.api.exchange import EXCHANGE_KEY, send_reply
from aimem.api.guard import AsgiApp, Receive, Scope, Send
from aimem.api.refusals import Reply
from aimem.api.route import Route, Surface
from aimem.service import Node

OFTEN: Final = frozenset({("POST", "/api/v1/sync/push"), ("POST", "/api/v1/memories")})
"""Method and path; without variable parts, and never answered by a stream. Their other methods are the framework's."""


def directly(app: AsgiApp, routes: Iterable[Route], node: Node, surface: Surface) -> AsgiApp:
    """The app behind this door, which answers the routes that come often by itself."""
    table = {(route.method, route.path): route for route in routes if (route.method, route.path) in OFTEN}

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        route = table.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await app(scope, receive, send)
        else:
            scope[EXCHANGE_KEY].route = route.path
            await _answer(route, node, surface, scope, receive, send)

    return door


async def _answer(
    route: Route, node: Node, surface: Surface, scope: Scope, receive: Receive, send: Send
) -> None:
    limit_bytes = route.body_limit_bytes or surface.settings.body_max_bytes
    async with trio.open_nursery() as nursery:
        incoming = _Direct(scope, receive, limit_bytes, nursery)
        reply = await answered(route, node, surface, incoming, {})
        if isinstance(reply, Reply):
            await send_reply(send, reply)
        nursery.cancel_scope.cancel()


class _Direct:
    """A request as it came; once its body is read, its work is cancelled should its caller leave."""

    def __init__(self, scope: Scope, receive: Receive, limit_bytes: int, nursery: trio.Nursery) -> None:
        self.scope, self.method, self.path = scope, scope["method"], scope["path"]
        self.query_string: bytes = scope["query_string"]
        self._receive, self._limit_bytes, self._nursery = receive, limit_bytes, nursery
        self._headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            self._headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    @property
    def mimetype(self) -> str:
        return parse_options_header(next(iter(self.values_of("Content-Type")), ""))[0].lower()

    def values_of(self, header: str) -> Sequence[str]:
        return self._headers.get(header.lower(), ())

    async def read(self) -> bytes:
        length = next(iter(self.values_of("Content-Length")), "")
        if length.isdecimal() and int(length) > self._limit_bytes:
            raise too_large(self._limit_bytes)
        data = bytearray()
        has_more = True
        while has_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._nursery.cancel_scope.cancel()
                await trio.lowlevel.checkpoint()
            data += message.get("body", b"")
            if len(data) > self._limit_bytes:
                raise too_large(self._limit_bytes)
            has_more = message.get("more_body", False)
        self._nursery.start_soon(self._watch)
        return bytes(data)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._nursery.cancel_scope.cancel()
