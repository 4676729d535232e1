"""Streamable HTTP: MCP at /mcp, as an ASGI app that stands beside the API behind the same guard.

A message is one POST and its answer one JSON value. There is nothing to send a client unasked, so a GET, which would
open a stream for that, is answered 405, as the protocol has it. Sessions are kept by their clients (see `session`): no
number of clients fills anything up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final  # Any: ASGI's scope and messages are open mappings

import msgspec
import trio

from aimem.config import ApiConfig, McpProfile
from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.mcp.asked import (
    JSON_TYPE,
    SESSION_HEADER,
    STREAM_TYPE,
    Answer,
    Asked,
    Entrance,
    read_agent,
    read_headers,
    read_profile,
    require_json,
    wants_stream,
)
from aimem.mcp.framing import INVALID_REQUEST
from aimem.mcp.identity import HttpAgent
from aimem.mcp.session import EndedSessions, Session, read_session

if TYPE_CHECKING:
    from aimem.mcp.exchange import Exchange
    from aimem.ports import Chance, Threads

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Connect = Callable[[Scope], Entrance]
"""From a request that the guard let in to the way to the node with that request's credential, and whose it is."""

ALLOWED: Final = "POST, DELETE"
NONCE_BYTES: Final = 8

DEADLINE_MARGIN_S: Final = 1.0
"""What a call may take beyond the deadline of the API's request within it, whose refusal says more than ours."""


class McpApp:
    """The ASGI app. It raises AimemError for what is refused before it is a message; the rim around it answers."""

    def __init__(
        self, connect: Connect, *, identify: HttpAgent, settings: ApiConfig, profile: McpProfile, chance: Chance,
        threads: Threads,
    ) -> None:
        """Prepare; the SDK is loaded for the first message, in a thread, as that takes most of a second.

        Args:
          settings: body limit and deadline, those of the API.
          profile: which tools a client is shown that asks for none.
        """
        self._connect, self._identify, self._settings, self._profile = connect, identify, settings, profile
        self._chance, self._threads = chance, threads
        self._ended = EndedSessions()
        self._exchange: Exchange | None = None
        self._loading = trio.Lock()
        self._loader = trio.CapacityLimiter(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = read_headers(scope["headers"])
        match scope["method"]:
            case "POST":
                answer = await self._post(scope, headers, receive)
            case "DELETE":
                answer = self._end(headers)
            case _:
                answer = _refused(405, f"MCP takes {ALLOWED}; there is no stream to open", ("allow", ALLOWED))
        if answer is not None:
            await _send(send, answer, is_stream=wants_stream(headers))

    async def _post(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> Answer | None:
        require_json(headers)
        profile, agent_id = read_profile(scope["query_string"], self._profile), read_agent(headers)
        session = None
        if (token := headers.get(SESSION_HEADER)) is not None:
            session = self._session(token)
            if session is None:
                return _no_session()
        entrance = self._connect(scope)
        asked = Asked(
            client=entrance.client, agent_id=entrance.agent_id or agent_id, session=session, profile=profile,
            headers=headers,
        )
        outcome = "not_applied"
        try:
            with trio.fail_after(self._settings.request_deadline_s + DEADLINE_MARGIN_S):
                body = await _read_body(receive, self._settings.body_max_bytes)
                if body is None:
                    return None
                exchange = await self._loaded()
                outcome = "indeterminate"
                return await exchange.answer(body, asked)
        except trio.TooSlowError:
            raise Unavailable(
                f"no answer within {self._settings.request_deadline_s:g} s; try again",
                code=Code.DEADLINE_EXCEEDED, outcome=outcome,
            ) from None

    def _end(self, headers: Mapping[str, str]) -> Answer:
        session = self._session(headers.get(SESSION_HEADER, ""))
        if session is None:
            return _no_session()
        self._ended.add(session)
        return Answer(status=204)

    def _session(self, token: str) -> Session | None:
        session = read_session(token)
        return None if session is None or session in self._ended else session

    async def _loaded(self) -> Exchange:
        async with self._loading:
            if self._exchange is None:
                self._exchange = await self._threads.run(self._load, limiter=self._loader)
            return self._exchange

    def _load(self) -> Exchange:
        from aimem.mcp.exchange import Exchange

        return Exchange(self._identify, lambda: self._chance.token(NONCE_BYTES).hex())


async def _read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The whole body, or None if the client is gone. Raises: InvalidRequest(body_too_large)."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise InvalidRequest(
                f"the body is larger than {max_bytes} bytes; split it", code=Code.BODY_TOO_LARGE, limit_bytes=max_bytes
            )
        if not message.get("more_body", False):
            return bytes(body)


def _no_session() -> Answer:
    return _refused(404, "there is no such session (any more); send initialize to begin one")


def _refused(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    error = {"code": INVALID_REQUEST, "message": text}
    return Answer(
        status=status, content=msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error}), headers=headers
    )


async def _send(send: Send, answer: Answer, *, is_stream: bool) -> None:
    content, kind = answer.content, JSON_TYPE
    if is_stream and answer.status == 200:
        content, kind = b"event: message\ndata: " + content + b"\n\n", STREAM_TYPE
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    headers += [(b"content-length", str(len(content)).encode())]
    if content:
        headers.append((b"content-type", kind.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
