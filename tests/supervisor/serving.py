"""A server with small apps of the tests' own, on loopback and on a port that the kernel chose."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import trio

from aimem.supervisor.http import HttpServer
from aimem.supervisor.listeners import Listener, open_tcp


class Served:
    """A running server."""

    def __init__(self, server: HttpServer, port: int) -> None:
        self.server = server
        self.port = port
        self.stop, self.hurry = trio.Event(), trio.Event()
        self.ended = trio.Event()

    async def connect(self, send: bytes = b"") -> trio.SocketStream:
        """A raw connection; the request is written by hand."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        await stream.send_all(send)
        return stream

    async def ask(self, send: bytes) -> bytes:
        """All that comes back until the server closes; fails after 100 s."""
        stream = await self.connect(send)
        async with stream:
            return await read_to_end(stream)


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """All bytes until the peer closes; an answer that is followed by a reset counts as far as it came."""
    received = bytearray()
    with trio.fail_after(100), contextlib.suppress(trio.BrokenResourceError):
        while data := await stream.receive_some(65536):
            received += data
    return bytes(received)


@contextlib.asynccontextmanager
async def serving(app: Any, *others: Listener, grace_s: float = 5.0, **options: Any) -> AsyncIterator[Served]:
    """Serve `app` on TCP and on the other listeners; the end of the block stops the server and waits for its end."""
    server = HttpServer(app, **options)
    listeners = [*await open_tcp("127.0.0.1", 0, insecure=False), *others]
    served = Served(server, listeners[0].socket.socket.getsockname()[1])

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        await server.run(
            listeners, stop=served.stop, hurry=served.hurry, state={}, grace_s=grace_s, task_status=task_status
        )
        served.ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run))
        yield served
        served.stop.set()
        with trio.fail_after(100):
            await served.ended.wait()


def get(path: str, *headers: str) -> bytes:
    """A request that closes its connection."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def keep(path: str) -> bytes:
    """A request that keeps its connection."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def answer(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """One whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def read_answer(stream: trio.SocketStream) -> bytes:
    """One answer of the apps here on a connection that stays: head and the body `ok`."""
    received = b""
    with trio.fail_after(5):
        while not received.endswith(b"ok"):
            received += await stream.receive_some()
    return received
