"""The stdio transport on Trio: one JSON-RPC message a line, in on one stream, out on another.

Unlike the SDK's own it can be cancelled, bounds a line, answers a line that it cannot serve, bounds how many requests
run at once, and at the end of input first answers what it accepted (`echo … | ai-memory mcp` gets its answer).
"""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final  # Any: the SDK's server is generic over a lifespan value that we do not use

import anyio
import mcp_types as types
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.shared.message import SessionMessage

from aimem.errors import InvalidRequest
from aimem.mcp.framing import LineSplitter, Overlong, Refusal, read_line
from aimem.mcp.messages import clearer, error_body, typed_message

IN_FLIGHT_MAX: Final = 64
"""Requests that may be unanswered at once; when they are, the client's next line waits unread."""

EOF_DRAIN_S: Final = 30.0
"""How long accepted requests may take after the end of input: the deadline of a request at its node."""

STOP_DRAIN_S: Final = 5.0
"""The same after `stop`: clients kill a server that does not end soon after it was asked to."""

FLUSH_GRACE_S: Final = 1.0
_CHUNK_BYTES: Final = 65_536

log = logging.getLogger("aimem.mcp")


@asynccontextmanager
async def open_stdio() -> AsyncIterator[tuple[trio.abc.ReceiveStream, trio.abc.SendStream]]:
    """Take this process's stdin and stdout for the protocol.

    From then on file descriptor 0 reads nothing and 1 writes to stderr, so that a stray print or a library that talks
    cannot reach the wire. This is not undone: text that waits in a buffer would otherwise reach it at the end.

    Raises: InvalidRequest if one of them is closed.
    """
    # Python notes here which of the three were closed at its start; the numbers may belong to something else by now.
    if None in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        raise InvalidRequest("stdin, stdout and stderr must be open, for the protocol is spoken there")
    wire_in, wire_out = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    async with trio.lowlevel.FdStream(wire_in) as stdin, trio.lowlevel.FdStream(wire_out) as stdout:
        yield stdin, stdout


async def serve_streams(
    server: Server[Any], stdin: trio.abc.ReceiveStream, stdout: trio.abc.SendStream, *, stop: trio.Event
) -> None:
    """Serve one client until its input ends, it is gone, or `stop` is set; accepted requests are answered first.

    Args:
      server: ours, serving this client alone.
      stdin: the client's messages, one a line.
      stdout: ours, one a line.
      stop: when set, no further input is read and what runs has STOP_DRAIN_S to end.
    """
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](1)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](1)
    wire = _Wire(stdout)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write, from_server, wire)
            nursery.start_soon(_read, stdin, to_server, wire, stop)
            await server.run(from_client, to_client, server.create_initialization_options())
            # The writer ends by itself, for the server closed its channel; a client that reads no more is left.
            nursery.cancel_scope.deadline = trio.current_time() + FLUSH_GRACE_S
    except* trio.BrokenResourceError:
        log.info("mcp.client_gone")


class _Wire:
    """The way out, and which accepted requests were not answered on it yet."""

    def __init__(self, stdout: trio.abc.SendStream) -> None:
        self._stdout = stdout
        self._turn = trio.Lock()
        self._unanswered: Counter[str] = Counter()
        self._settled = trio.Event()

    async def send(self, line: bytes) -> None:
        """Write one whole line."""
        async with self._turn:
            await self._stdout.send_all(line + b"\n")

    async def admit(self, request_id: types.RequestId) -> None:
        """Note a request, once there is room for it."""
        while self._unanswered.total() >= IN_FLIGHT_MAX:
            await self._settled.wait()
        self._unanswered[str(request_id)] += 1

    def settle(self, request_id: object) -> None:
        """Note that a request was answered, or was cancelled and never will be; unknown ids are ignored."""
        key = str(request_id)
        if self._unanswered[key] > 0:
            self._unanswered[key] -= 1
        self._unanswered += Counter()  # drops the keys that came to zero
        self._settled.set()
        self._settled = trio.Event()

    async def wait_all_answered(self) -> None:
        """Return once nothing is owed."""
        while self._unanswered.total():
            await self._settled.wait()


async def _write(from_server: MemoryObjectReceiveStream[SessionMessage], wire: _Wire) -> None:
    async with from_server:
        async for item in from_server:
            await wire.send(clearer(item.message).model_dump_json(by_alias=True, exclude_unset=True).encode())
            if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError):
                wire.settle(item.message.id)


async def _read(
    stdin: trio.abc.ReceiveStream,
    to_server: MemoryObjectSendStream[SessionMessage | Exception],
    wire: _Wire,
    stop: trio.Event,
) -> None:
    splitter = LineSplitter()
    async with to_server:
        while chunk := await _receive(stdin, stop):
            for line in splitter.feed(chunk):
                await _accept(line, to_server, wire)
        for line in splitter.finish():
            await _accept(line, to_server, wire)
        await _drain(wire, stop)


async def _receive(stdin: trio.abc.ReceiveStream, stop: trio.Event) -> bytes:
    """The next bytes of input; empty at its end and once `stop` is set."""
    chunk = b""
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            await stop.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(give_up)
        chunk = bytes(await stdin.receive_some(_CHUNK_BYTES))
        nursery.cancel_scope.cancel()
    return chunk


async def _accept(
    line: bytes | Overlong, to_server: MemoryObjectSendStream[SessionMessage | Exception], wire: _Wire
) -> None:
    """Hand one line to the server, or refuse it."""
    value = read_line(line)
    message = value if isinstance(value, Refusal) else typed_message(value)
    if isinstance(message, Refusal):
        await wire.send(error_body(message))
        return
    if isinstance(message, types.JSONRPCRequest):
        await wire.admit(message.id)
    await to_server.send(SessionMessage(message))
    if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
        wire.settle((message.params or {}).get("requestId"))


async def _drain(wire: _Wire, stop: trio.Event) -> None:
    """Wait for the answers that are owed, as long as the end of input or `stop` allows."""
    with trio.move_on_after(EOF_DRAIN_S) as draining:
        async with trio.open_nursery() as nursery:

            async def hurry() -> None:
                await stop.wait()
                draining.deadline = min(draining.deadline, trio.current_time() + STOP_DRAIN_S)

            nursery.start_soon(hurry)
            await wire.wait_all_answered()
            nursery.cancel_scope.cancel()
