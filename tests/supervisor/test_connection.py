"""What one client does on its connection reaches nobody else, and ends in a bounded time."""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Any

import pytest
import trio
from quart import request
from quart_trio import QuartTrio
from trio.testing import MockClock, wait_all_tasks_blocked

from aimem.supervisor.connection import Connection
from tests.supervisor.serving import answer, get, keep, read_to_end, serving

UPGRADE = "Connection: Upgrade\r\nUpgrade: {}\r\n"


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Answers without reading; some paths misbehave."""
    path = scope["path"]
    if path in MISBEHAVING:
        await MISBEHAVING[path](receive, send)
    elif path == "/who":
        await answer(send, 200, repr(scope["extensions"]).encode())
    else:
        await answer(send, *ANSWERS.get(path, (200, b"ok")))


ANSWERS = {"/big": (200, b"x" * 50_000_000), "/early": (413, b"too much")}     # more than the socket buffers take


async def echo(receive: Any, send: Any) -> None:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    await answer(send, 200, body)


async def slow(receive: Any, send: Any) -> None:
    await trio.sleep(5)
    await answer(send, 200, b"slept")


async def crash(receive: Any, send: Any) -> None:
    raise ValueError("secret")


async def crash_midway(receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    raise ValueError("secret")


async def silent(receive: Any, send: Any) -> None:
    pass


MISBEHAVING = {"/echo": echo, "/slow": slow, "/crash": crash, "/crash-midway": crash_midway, "/silent": silent}


def quart() -> QuartTrio:
    """The framework that the product uses: it cancels a request as soon as its answer is complete."""
    app = QuartTrio("aimem")

    @app.get("/")
    async def root() -> str:
        return "ok"

    @app.post("/echo")
    async def echo() -> bytes:
        return bytes(await request.get_data())

    return app


async def test_request_carries_its_transport() -> None:
    async with serving(plain) as served:
        assert b"{'aimem.transport': 'tcp-loopback'}" in await served.ask(get("/who"))


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_bytes_after_an_offered_upgrade_leave_the_server_standing(
    upgrade: str, autojump_clock: MockClock
) -> None:
    async with serving(plain) as served:
        head = f"GET / HTTP/1.1\r\nHost: x\r\n{UPGRADE.format(upgrade)}HTTP2-Settings: AAMAAABk\r\n"
        keys = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bKdPyn3u98cTfZJSh4TNeQ==\r\n\r\n"
        received = await served.ask((head + keys + "x").encode())
        assert received.startswith(b"HTTP/1.1 200")
        assert (await served.ask(get("/"))).startswith(b"HTTP/1.1 200")


async def test_http2_preface_is_refused_and_the_server_stands() -> None:
    async with serving(plain) as served:
        received = await served.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100)
        assert received.startswith(b"HTTP/1.1 505") and b'"code":"invalid_request"' in received
        assert (await served.ask(get("/"))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("app", [plain, quart()], ids=["plain", "quart"])
async def test_idle_connection_is_closed_after_its_time(app: Any, autojump_clock: MockClock) -> None:
    async with serving(app) as served, await served.connect(keep("/")) as stream:
        began = trio.current_time()
        assert b"200" in await read_to_end(stream)
        assert trio.current_time() - began == pytest.approx(75, abs=1)


async def test_connection_that_never_asks_is_closed(autojump_clock: MockClock) -> None:
    async with serving(plain) as served, await served.connect() as stream:
        began = trio.current_time()
        assert await read_to_end(stream) == b""
        assert trio.current_time() - began == pytest.approx(75, abs=1)


async def test_slow_head_gets_408_though_bytes_keep_coming(autojump_clock: MockClock) -> None:
    async with serving(plain) as served:
        async with await served.connect(b"GET / HT") as stream, trio.open_nursery() as nursery:
            async def drip() -> None:
                while True:
                    await trio.sleep(1)
                    try:
                        await stream.send_all(b"T")
                    except trio.BrokenResourceError:
                        return
            nursery.start_soon(drip)
            received = await read_to_end(stream)
            nursery.cancel_scope.cancel()
        assert received.startswith(b"HTTP/1.1 408")


async def test_peer_that_does_not_read_delays_no_shutdown(autojump_clock: MockClock) -> None:
    async with serving(plain, grace_s=3) as served, await served.connect(keep("/big")):
        await wait_all_tasks_blocked()
        served.stop.set()
        began = trio.current_time()
        await served.ended.wait()
        assert trio.current_time() - began == pytest.approx(3, abs=0.5)


async def test_peer_that_does_not_read_is_cut_in_time(autojump_clock: MockClock) -> None:
    async with serving(plain) as served, await served.connect(keep("/big")):
        await wait_all_tasks_blocked()
        assert served.server.counts.open == 1
        await trio.sleep(600)    # 10 s for a piece, and the kernel may take some pieces late
        assert served.server.counts.open == 0


class SlowStream:
    """A peer that takes 8 s for each piece, and the little of a socket that is asked of it."""

    family = socket.AF_UNIX

    def __init__(self, request: bytes) -> None:
        self.socket = self
        self.requests, self.taken = [request], 0

    async def send_all(self, data: bytes) -> None:
        await trio.sleep(8)
        self.taken += len(data)

    async def receive_some(self, max_bytes: int) -> bytes:
        return self.requests.pop() if self.requests else await trio.sleep_forever()

    async def send_eof(self) -> None:
        pass

    def getpeername(self) -> str:
        return ""

    getsockname = getpeername

    def close(self) -> None:
        pass


async def test_slow_reader_gets_all_as_long_as_it_reads(autojump_clock: MockClock) -> None:
    stream: Any = SlowStream(get("/big"))
    await Connection(plain, stream, draining=trio.Event(), extensions={}, state={}).run()
    assert stream.taken > 50_000_000
    assert trio.current_time() > 100 * 8


@pytest.mark.parametrize("app", [plain, quart()], ids=["plain", "quart"])
async def test_refused_body_neither_holds_the_connection_nor_loses_the_answer(app: Any) -> None:
    async with serving(app) as served:
        size = 8_000_000
        stream = await served.connect(f"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        async with stream:
            received = b""
            async with trio.open_nursery() as nursery:
                async def push() -> None:
                    with contextlib.suppress(trio.BrokenResourceError):
                        await stream.send_all(b"x" * size)
                nursery.start_soon(push)
                received = await read_to_end(stream)
                nursery.cancel_scope.cancel()
        assert received.startswith((b"HTTP/1.1 413", b"HTTP/1.1 404"))
        await wait_all_tasks_blocked(0.05)
        assert served.server.counts.open == 0


async def test_pipelined_requests_are_answered_in_order(autojump_clock: MockClock) -> None:
    async with serving(plain) as served:
        received = await served.ask(keep("/slow") + keep("/") + get("/silent"))
        assert received.index(b"slept") < received.index(b"ok") < received.index(b"500")


async def test_app_that_fails_gets_500_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with serving(plain) as served:
        for path in ("/crash", "/silent"):
            received = await served.ask(get(path))
            assert received.startswith(b"HTTP/1.1 500") and b"secret" not in received
        assert (await served.ask(get("/crash-midway"))).endswith(b"part")
        assert (await served.ask(get("/"))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("raw", "status"), [
    (b"nonsense\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\n\r\n", b"400"),                                            # no Host
    (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"x" * 400_000, b"431"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"501"),
])
async def test_malformed_request_is_refused_with_an_envelope(raw: bytes, status: bytes) -> None:
    async with serving(plain) as served:
        received = await served.ask(raw)
        assert received.startswith(b"HTTP/1.1 " + status) and b'"code":"invalid_request"' in received


async def test_body_arrives_whole_by_length_and_by_chunks() -> None:
    for app in (plain, quart()):
        async with serving(app) as served:
            body = b"x" * 1_000_000
            head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            by_length = head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
            chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
            by_chunks = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
            for raw in (by_length, by_chunks):
                assert (await served.ask(raw)).endswith(b"\r\n\r\n" + body)


async def test_request_with_two_lengths_brings_no_second_request_in() -> None:
    async with serving(plain) as served:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        received = await served.ask(head + b"0\r\n\r\n" + get("/who"))
        assert received.count(b"HTTP/1.1 400") == 1 and b"aimem.transport" not in received


async def test_bytes_behind_a_closing_request_do_not_refuse_it(autojump_clock: MockClock) -> None:
    async with serving(plain) as served:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
        assert (await served.ask(head + b"\r\n")).endswith(b"hi")
        assert (await served.ask(head + b"}}" + get("/who"))).endswith(b"\r\n\r\nhi")
        async with await served.connect(get("/slow")) as stream:
            await trio.sleep(1)
            for _ in range(100):
                await stream.send_all(b"x" * 65536)
            assert (await read_to_end(stream)).endswith(b"slept")
