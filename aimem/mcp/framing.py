"""Lines of bytes to JSON-RPC objects: plain functions of what was read, without a stream and without the SDK."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.wire import decode_body

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600

LINE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Twice the largest HTTP body, since a text may double in size when JSON escapes it."""


class Overlong(Struct, frozen=True):
    """Stands for a line that was longer than allowed and is not kept."""


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a line is not served, as a JSON-RPC error.

    Attributes:
      id: of the request, if the line said one.
    """

    id: str | int | None = None
    code: int
    message: str


class LineSplitter:
    """Cuts a stream of bytes into lines and keeps at most one line of the bound in memory."""

    def __init__(self, max_bytes: int = LINE_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._is_overlong = False

    def feed(self, chunk: bytes) -> list[bytes | Overlong]:
        """The lines that this chunk completes, in order, without their line feeds. Blank lines are left out."""
        first, *others = chunk.split(b"\n")
        self._keep(first)
        lines: list[bytes | Overlong] = []
        for part in others:
            lines.extend(self._take())
            self._keep(part)
        return lines

    def finish(self) -> list[bytes | Overlong]:
        """What is left at the end of input: a last line may lack its line feed."""
        return self._take()

    def _keep(self, part: bytes) -> None:
        if self._is_overlong or len(self._rest) + len(part) > self._max_bytes:
            self._is_overlong = True
            self._rest.clear()
        else:
            self._rest += part

    def _take(self) -> list[bytes | Overlong]:
        line, was_overlong = bytes(self._rest).strip(), self._is_overlong
        self._rest.clear()
        self._is_overlong = False
        if was_overlong:
            return [Overlong()]
        return [line] if line else []


def read_line(line: bytes | Overlong) -> dict[str, object] | Refusal:
    """Read one line as a JSON-RPC object, as far as JSON-RPC itself goes; MCP's own types are the SDK's.

    A message with a `method` and without an `id` (or with a null one) is a notification and is never answered.
    """
    if isinstance(line, Overlong):
        return Refusal(code=INVALID_REQUEST, message=f"a line has more than {LINE_MAX_BYTES} bytes; send less at once")
    try:
        value = decode_body(object, line)
    except InvalidRequest:
        return Refusal(code=PARSE_ERROR, message="parse error: the line is not one JSON value in UTF-8")
    if isinstance(value, list):
        return Refusal(code=INVALID_REQUEST, message="batches are not supported; send one message a line")
    if not isinstance(value, dict):
        return Refusal(code=INVALID_REQUEST, message="a message is a JSON object")
    return _refusal_of(value) or value


def _refusal_of(message: dict[str, object]) -> Refusal | None:
    given = message.get("id")
    request_id = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    if given is not None and request_id is None:
        return Refusal(code=INVALID_REQUEST, message="id must be a text or an integer")
    if message.get("jsonrpc") != "2.0":
        return Refusal(id=request_id, code=INVALID_REQUEST, message='jsonrpc must be "2.0"')
    if "method" not in message and "result" not in message and "error" not in message:
        return Refusal(id=request_id, code=INVALID_REQUEST, message="method is required")
    return None
