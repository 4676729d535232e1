"""Kept connections to peers: used again while they are sound, and never with the rest of another answer on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio

from aimem.supervisor import links
from aimem.supervisor.links import Links
from aimem.supervisor.secured import PeerTls

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Script = list[list[bytes]]


class Host:
    """Answers each request of each connection as it is told; after its last answer it closes."""

    def __init__(self, script: Script) -> None:
        self.script, self.asked, self.accepted = script, list[bytes](), 0
        self.url = ""
        self.left = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        answers = self.script[self.accepted]
        self.accepted += 1
        async with stream:
            for answer in answers:
                data = b""
                while not data.endswith((b"\r\n\r\n", b"!")):
                    piece = await stream.receive_some()
                    if not piece:
                        self.left.set()
                        return
                    data += piece
                self.asked.append(data)
                await stream.send_all(answer)


@asynccontextmanager
async def hosted(*script: list[bytes]) -> AsyncIterator[tuple[Host, Links]]:
    host = Host(list(script))
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, host.serve, 0)
        host.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/x?y=1"
        ways = Links(PeerTls())
        yield host, ways
        await ways.aclose()
        nursery.cancel_scope.cancel()


async def ask(ways: Links, url: str, body: bytes = b"body!") -> bytes:
    answer = await ways.handle_async_request(httpx.Request("POST", url, content=body))
    try:
        return await answer.aread()
    finally:
        await answer.aclose()


async def test_one_connection_serves_one_request_after_the_other() -> None:
    async with hosted([OK, OK, OK]) as (host, ways):
        assert [await ask(ways, host.url) for _ in range(3)] == [b"ok"] * 3
        assert host.accepted == 1
        assert all(data.startswith(b"POST /x?y=1 HTTP/1.1\r\n") and data.endswith(b"\r\n\r\nbody!")
                   for data in host.asked)
        assert b"content-length: 5" in host.asked[0].lower()


async def test_a_request_without_a_body_and_an_answer_in_chunks() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    async with hosted([b"HTTP/1.1 100 Continue\r\n\r\n" + chunked, OK]) as (host, ways):
        answer = await ways.handle_async_request(httpx.Request("GET", host.url))
        assert (answer.status_code, await answer.aread()) == (200, b"abc")
        await answer.aclose()
        assert await ask(ways, host.url) == b"ok"
        assert host.accepted == 1


async def test_two_at_once_have_a_connection_each() -> None:
    async with hosted([OK], [OK]) as (host, ways):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ways, host.url)
            nursery.start_soon(ask, ways, host.url)
        assert host.accepted == 2


@pytest.mark.parametrize("first", [
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", OK + b"more",
    b"HTTP/1.0 200 OK\r\n\r\nok",
])
async def test_one_that_closes_or_says_too_much_is_not_used_again(first: bytes) -> None:
    async with hosted([first], [OK]) as (host, ways):
        assert await ask(ways, host.url) == b"ok"
        assert await ask(ways, host.url) == b"ok"
        assert host.accepted == 2


async def test_an_answer_that_was_left_unread_ends_its_connection() -> None:
    async with hosted([OK], [OK]) as (host, ways):
        answer = await ways.handle_async_request(httpx.Request("POST", host.url, content=b"body!"))
        await answer.aclose()
        assert await ask(ways, host.url) == b"ok"
        assert host.accepted == 2


async def test_one_that_was_unused_for_long_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "KEPT_S", 0.0)
    async with hosted([OK, OK], [OK]) as (host, ways):
        assert [await ask(ways, host.url), await ask(ways, host.url)] == [b"ok", b"ok"]
        assert host.accepted == 2


async def test_when_one_broke_the_others_are_given_up_and_the_next_request_gets_a_new_one() -> None:
    async with hosted([OK], [OK], [OK]) as (host, ways):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ways, host.url)
            nursery.start_soon(ask, ways, host.url)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
            await ask(ways, host.url)
        assert await ask(ways, host.url) == b"ok"
        assert host.accepted == 3


async def test_no_more_than_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "LINKS_KEPT", 1)
    async with hosted([OK, OK], [OK, OK], [OK]) as (host, ways):
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, ways, host.url)
                nursery.start_soon(ask, ways, host.url)
        assert host.accepted == 3


async def test_one_that_was_unused_for_long_is_closed_though_another_is_used_all_the_time() -> None:
    async with hosted([OK, OK, OK], [OK, OK, OK]) as (host, ways):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ways, host.url)
            nursery.start_soon(ask, ways, host.url)
        [[unused, _]] = ways._idle.values()
        assert await ask(ways, host.url) == b"ok"
        assert not host.left.is_set()
        unused.used_at -= links.KEPT_S
        assert await ask(ways, host.url) == b"ok"
        with trio.fail_after(30):
            await host.left.wait()
        assert host.accepted == 2


@pytest.mark.parametrize("answer", [
    b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + bytes(70_000) + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
])
async def test_an_answer_that_is_none_is_an_error_of_the_network(answer: bytes) -> None:
    async with hosted([answer]) as (host, ways):
        with pytest.raises(httpx.TransportError):
            await ask(ways, host.url)


async def test_a_host_that_is_not_there_or_has_no_name_is_an_error_of_the_network() -> None:
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for host in ("127.0.0.1", f"{'a' * 70}.localhost"):
        with pytest.raises(httpx.ConnectError):
            await ask(Links(PeerTls()), f"http://{host}:{port}/")


async def test_other_schemes_are_refused() -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await ask(Links(PeerTls()), "ftp://127.0.0.1/")
