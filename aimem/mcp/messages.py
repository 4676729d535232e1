"""JSON-RPC messages as both transports read and write them, in the SDK's types. Loading this loads the SDK."""

from __future__ import annotations

from typing import Final

import mcp_types as types
import msgspec

from aimem.mcp.framing import INVALID_REQUEST, Refusal

_VAGUE: Final = "Invalid request parameters"
_CLEARER: Final = "the params are not those that MCP defines for this method, or initialize has not been sent before it"


def typed_message(value: dict[str, object]) -> types.JSONRPCMessage | Refusal:
    """A JSON-RPC object as one of MCP's messages, or why it is none."""
    try:
        message: types.JSONRPCMessage = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValueError:
        given = value.get("id")
        return Refusal(
            id=given if isinstance(given, str | int) else None, code=INVALID_REQUEST,
            message="method must be a text and params an object",
        )
    return message


def error_body(refusal: Refusal) -> bytes:
    """A refusal as JSON-RPC; the id is null where the message had none."""
    error = {"code": refusal.code, "message": refusal.message}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": refusal.id, "error": error})


def clearer(message: types.JSONRPCMessage) -> types.JSONRPCMessage:
    """The SDK has one sentence, which says nothing, for parameters that do not fit and for a missing handshake."""
    if not isinstance(message, types.JSONRPCError) or message.error.message != _VAGUE:
        return message
    error = types.ErrorData(code=message.error.code, message=_CLEARER)
    return types.JSONRPCError(jsonrpc="2.0", id=message.id, error=error)
