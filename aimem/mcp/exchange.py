"""One JSON-RPC message over HTTP and its answer, by the SDK's server. Loading this loads the SDK.

The SDK's own HTTP transport keeps tasks and memory for each session and loads a web framework. We send a client nothing
that it did not ask for, so one message is one call of the SDK's kernel, with all that it must know of the client
carried by the request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final  # Any: JSON-RPC's params and results are open

import anyio
import mcp_types as types
import msgspec
import trio
from mcp.server.connection import Connection
from mcp.server.runner import serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundLadderRejection,
    classify_inbound_request,
    unsupported_protocol_version_rejection,
)
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from aimem.errors import Bug
from aimem.mcp.asked import SESSION_HEADER, VERSION_HEADER, Answer, Asked
from aimem.mcp.framing import Refusal, read_line
from aimem.mcp.identity import HttpAgent, client_part
from aimem.mcp.messages import clearer, error_body, typed_message
from aimem.mcp.profile import unlisted
from aimem.mcp.protocol import Context, server_for
from aimem.mcp.session import Session
from aimem.mcp.tools import Call

REQUEST_CANCELLED: Final = -32800
UNSAID_VERSION: Final = "2025-03-26"
"""What the protocol takes a request for that names no version."""

_CANCELLED: Final = "notifications/cancelled"

log = logging.getLogger("aimem.mcp")


class Exchange:
    """Answers messages, each on its own."""

    def __init__(self, identify: HttpAgent, new_nonce: Callable[[], str]) -> None:
        """Prepare.

        Args:
          identify: the identity of calls without `X-Agent-Id`.
          new_nonce: 16 hex digits for a new session, and for a caller of whom nothing is known.
        """
        self._identify, self._new_nonce = identify, new_nonce
        self._server = server_for(_call_of)
        # Of requests under way, by session and id; their number is bounded by that of connections.
        self._running: dict[tuple[str, str], trio.CancelScope] = {}

    async def answer(self, body: bytes, asked: Asked) -> Answer:
        """Serve one message."""
        value = read_line(body.strip())
        message = value if isinstance(value, Refusal) else typed_message(value)
        if isinstance(message, Refusal) or isinstance(value, Refusal):
            return Answer(status=400, content=error_body(message))  # type: ignore[arg-type]  # either is both
        if not isinstance(message, types.JSONRPCRequest):
            self._note(message, asked)
            return Answer(status=202)
        if _is_of_the_handshake(message, asked):
            return await self._answer_in_session(message, asked)
        return await self._answer_alone(message, value, asked)

    def _note(self, message: types.JSONRPCMessage, asked: Asked) -> None:
        """Take a notification: only a cancellation says anything to us."""
        if isinstance(message, types.JSONRPCNotification) and message.method == _CANCELLED and asked.session:
            scope = self._running.get((asked.session.nonce, str((message.params or {}).get("requestId"))))
            if scope is not None:
                scope.cancel()

    async def _answer_in_session(self, request: types.JSONRPCRequest, asked: Asked) -> Answer:
        said = asked.session
        version = asked.headers.get(VERSION_HEADER) or (said.version if said else UNSAID_VERSION)
        version = version if version in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
        connection = Connection.from_envelope(version, None, None)
        agent_id = asked.agent_id or self._identify(said.client if said else None, said.nonce if said else None)
        key = (said.nonce, str(request.id)) if said else None
        with trio.CancelScope() as scope:
            if key:
                self._running[key] = scope
            try:
                reply = await self._run(request, connection, self._call(asked, agent_id))
            finally:
                if key and self._running.get(key) is scope:
                    del self._running[key]
        if scope.cancelled_caught:
            error = types.ErrorData(code=REQUEST_CANCELLED, message="the request was cancelled")
            reply = types.JSONRPCError(jsonrpc="2.0", id=request.id, error=error)
        headers: tuple[tuple[str, str], ...] = ()
        if request.method == "initialize" and connection.client_params is not None:
            name = client_part(connection.client_params.client_info.name)
            begun = Session(nonce=self._new_nonce(), version=connection.protocol_version, client=name)
            headers = ((SESSION_HEADER, begun.token),)
        return Answer(status=200, content=_encoded(reply), headers=headers)

    async def _answer_alone(
        self, request: types.JSONRPCRequest, value: Mapping[str, Any], asked: Asked
    ) -> Answer:
        """Serve a request that says itself all there is to know: the protocol since 2026-07-28."""
        unknown = unsupported_protocol_version_rejection(asked.headers.get(VERSION_HEADER, MODERN_PROTOCOL_VERSIONS[0]))
        verdict = unknown or classify_inbound_request(value, headers=asked.headers)
        if isinstance(verdict, InboundLadderRejection):
            error = types.ErrorData(code=verdict.code, message=verdict.message, data=verdict.data)
            reply: types.JSONRPCResponse | types.JSONRPCError
            reply = types.JSONRPCError(jsonrpc="2.0", id=request.id, error=error)
        else:
            connection = Connection.from_envelope(
                verdict.protocol_version, verdict.client_info, verdict.client_capabilities
            )
            said = connection.client_params
            agent_id = asked.agent_id or self._identify(said.client_info.name if said else None, None)
            reply = await self._run(request, connection, self._call(asked, agent_id))
        status = ERROR_CODE_HTTP_STATUS.get(reply.error.code, 200) if isinstance(reply, types.JSONRPCError) else 200
        return Answer(status=status, content=_encoded(reply))

    def _call(self, asked: Asked, agent_id: str | None) -> Call:
        return Call(
            client=asked.client, agent_id=agent_id or f"anonymous:req-{self._new_nonce()[:8]}", profile=asked.profile,
            unlisted=unlisted(asked.profile),
        )

    async def _run(
        self, request: types.JSONRPCRequest, connection: Connection, call: Call
    ) -> types.JSONRPCResponse | types.JSONRPCError:
        dispatch = _Dispatch(request.id, call)
        try:
            result = await serve_one(
                self._server, dispatch, request.method, request.params, connection=connection, lifespan_state=None
            )
        except Exception as error:  # noqa: BLE001  # a door's last line
            return _failure(request, error)
        return types.JSONRPCResponse(jsonrpc="2.0", id=request.id, result=result)


def _failure(request: types.JSONRPCRequest, error: Exception) -> types.JSONRPCError:
    data = handler_exception_to_error_data(error)
    if data is None:
        log.error("mcp.request_failed", exc_info=error, extra={"method": request.method})
        data = types.ErrorData(code=types.INTERNAL_ERROR, message="internal error")
    return types.JSONRPCError(jsonrpc="2.0", id=request.id, error=data)


def _is_of_the_handshake(request: types.JSONRPCRequest, asked: Asked) -> bool:
    """Whether a request belongs to a protocol with a handshake: `initialize` does, whatever else it says."""
    if request.method == "initialize" or asked.headers.get(VERSION_HEADER) in HANDSHAKE_PROTOCOL_VERSIONS:
        return True
    meta = (request.params or {}).get("_meta")
    return VERSION_HEADER not in asked.headers and not (
        isinstance(meta, dict) and types.PROTOCOL_VERSION_META_KEY in meta
    )


def _encoded(reply: types.JSONRPCResponse | types.JSONRPCError) -> bytes:
    dumped = clearer(reply).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return msgspec.json.encode(dumped)


def _call_of(context: Context) -> Call:
    if not isinstance(context.request, Call):
        raise Bug("a request came without its caller")
    return context.request


class _Dispatch:
    """What the SDK's kernel is handed of one request: it can send the client nothing but the answer."""

    can_send_request = False

    def __init__(self, request_id: types.RequestId, call: Call) -> None:
        self.request_id = request_id
        self.transport = TransportContext(kind="streamable-http", can_send_request=False)
        self.message_metadata = ServerMessageMetadata(request_context=call)
        self.cancel_requested = anyio.Event()

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Refuse."""
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Drop it: the answer is one JSON value."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Drop it: the answer is one JSON value."""
