"""A real daemon at its real port: what arrives as bytes, of a client that means harm or knows no better."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from aimem.api import ROUTES
from aimem.store import SOCKET_SUFFIX
from tests.campaign.cases import asked, judge
from tests.campaign.plan import Thoroughness, examples, some
from tests.campaign.test_document import DOCUMENT
from tests.campaign.world import JSON, Answer, Asked, Headers, check
from tests.hostile import JSON_TEXTS, TEXTS
from tests.system.processes import Process, daemon

pytestmark = pytest.mark.slow

ANSWER_S = 30
STREAM = b"content-type: text/event-stream"
ILL_SHAPED = frozenset({501, 505})
"""Refusals of 5xx that are the client's fault: codings and versions of HTTP that are not spoken here."""


class Daemon:
    """A daemon's two doors."""

    def __init__(self, process: Process, port: int, db: Path) -> None:
        self.process, self.port, self.db = process, port, db

    async def send(self, data: bytes, *, to_socket: bool = False, is_all: bool = False) -> bytes:
        """Send bytes on a connection of their own; all that comes back until the daemon closes it.

        With `is_all` the daemon is told that no more will come, which it takes for a client that left.
        """
        if to_socket:
            stream = await trio.open_unix_socket(f"{self.db}{SOCKET_SUFFIX}")
        else:
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        received = bytearray()
        async with stream:
            with trio.fail_after(ANSWER_S):
                # It may refuse before all is sent, and its answer be lost with the connection.
                with contextlib.suppress(trio.BrokenResourceError, OSError):
                    await stream.send_all(data)
                    if is_all:
                        stream.socket.shutdown(socket.SHUT_WR)
                with contextlib.suppress(trio.BrokenResourceError):
                    while piece := await stream.receive_some(65_536):
                        received += piece
                        if STREAM in received[:4_096]:
                            break       # it has no end: whoever reads it leaves once it has begun
        return bytes(received)

    async def ask(self, request: Asked, *, to_socket: bool = False) -> Answer:
        """One well-formed request."""
        target = request.path + (b"?" + request.query if request.query else b"")
        lines = [request.method.encode() + b" " + target + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
        lines += [name + b": " + value for name, value in request.headers]
        if request.body:
            lines.append(b"Content-Length: %d" % len(request.body))
        return parsed(await self.send(b"\r\n".join([*lines, b"", request.body]), to_socket=to_socket))

    async def op_count(self) -> int:
        """How many writes there were."""
        answer = await self.ask(Asked(method="GET", path=b"/api/v1/stats"))
        return int(answer.json["op_log_count"])

    async def check_well(self) -> None:
        """It serves, and has nothing to say."""
        answer = await self.ask(Asked(method="GET", path=b"/api/v1/health"))
        assert (answer.status, answer.json["status"]) == (200, "ok"), answer


def parsed(data: bytes) -> Answer:
    """The first answer in what came back."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines))
    return Answer(status=int(first.split()[1]), headers=headers, body=body)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon that ends well, and has told of no failure while it ran."""
    db = tmp_path / "memory.db"
    async with daemon(db) as (process, url):
        door = Daemon(process, int(url.rpartition(":")[2].rstrip(",/")), db)
        yield door
        await door.check_well()
        process.terminate()
        said = await process.stderr_rest()
        assert await process.wait() == 0
        for word in ("Traceback", "api.failed", "request_failed", "task.restarting"):
            assert word not in said, said


@examples(brief=30, full=400)
@given(data=st.data())
async def test_a_daemon_answers_as_its_document_says(served: Daemon, data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(ROUTES))
    case = data.draw(DOCUMENT.cases(route))
    request = asked(case)
    if b"\n" in b"".join(value for _, value in request.headers) or request.method == "CONNECT":
        return
    before = await served.op_count()
    answer = await served.ask(request, to_socket=data.draw(st.booleans()))
    try:
        check(answer)
        judge(route, case, answer)
        assert answer.status < 400 or await served.op_count() == before
    except Exception as error:
        error.add_note(f"The request was: {request}")
        raise


async def test_hostile_bodies_and_headers_over_the_wire(served: Daemon, thoroughness: Thoroughness) -> None:
    before = await served.op_count()
    for place, (name, body) in enumerate(some(JSON_TEXTS.items(), thoroughness, one_in=2, label="daemon")):
        request = Asked(method="POST", path=b"/api/v1/links", headers=JSON, body=body)
        answer = await served.ask(request, to_socket=bool(place % 2))
        check(answer)
        assert 400 <= answer.status < 500, (name, answer)
    for name, text in TEXTS.items():
        value = text.encode("utf-8", "surrogatepass")
        headers: Headers = (*JSON, (b"X-Agent-Id", value), (b"Idempotency-Key", value), (b"X-" + value, b"a"))
        answer = await served.ask(Asked(method="POST", path=b"/api/v1/links", headers=headers, body=b"{}"))
        assert 400 <= answer.status < 500, (name, answer)
    await check_mcp(served)
    assert await served.op_count() == before


async def check_mcp(served: Daemon) -> None:
    """MCP over HTTP survives the same."""
    headers: Headers = (*JSON, (b"Accept", b"application/json, text/event-stream"))
    requests = [
        *JSON_TEXTS.values(),
        *(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "memory_link", "arguments": {"source_id": text, "target_id": text}}}).encode()
          for text in TEXTS.values()),
        *(json.dumps({"jsonrpc": "2.0", "id": text, "method": text, "params": {text: text}}).encode()
          for text in TEXTS.values()),
    ]
    for body in requests:
        answer = await served.ask(Asked(method="POST", path=b"/mcp", headers=headers, body=body))
        assert answer.status < 500, (body[:300], answer)
        assert b"-32603" not in answer.body, (body[:300], answer)


GET = b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
MEMORY = b'{"content": "smuggled"}'
NO_REQUESTS = {
    "nothing": b"", "line ends": b"\r\n\r\n\r\n", "zeros": b"\0" * 1_000, "bytes": bytes(range(256)) * 40,
    "tls": b"\x16\x03\x01\x02\x00\x01", "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http/0.9": b"GET /api/v1/stats\r\n", "http/9": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /api/v1/stats HTTP/1.1\r\n\r\n", "two hosts": GET + b"Host: evil.example\r\n\r\n",
    "half a request": GET, "half a body": POST + b"Content-Length: 100\r\n\r\n" + MEMORY,
    "two lengths": POST + b"Content-Length: 23\r\nContent-Length: 5\r\n\r\n" + MEMORY,
    "length and chunks": POST + b"Content-Length: 23\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + MEMORY + b"\r\n0\r\n\r\n",
    "endless chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + MEMORY,
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n17\r\n" + MEMORY,
    "unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n" + MEMORY,
    "length no number": POST + b"Content-Length: 0x17\r\n\r\n" + MEMORY,
    "negative length": POST + b"Content-Length: -1\r\n\r\n" + MEMORY,
    "huge length": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + MEMORY,
    "folded header": GET + b"X-A: a\r\n b\r\n\r\n", "space before colon": GET + b"X-A : a\r\n\r\n",
    "zero in a header": GET + b"X-A: a\0b\r\n\r\n", "huge header": GET + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "many headers": GET + b"X-A: a\r\n" * 20_000 + b"\r\n",
    "huge target": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "upgrade": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "h2c": GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "connect": b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "expect": POST + b"Expect: 100-continue\r\nContent-Length: 23\r\n\r\n",
    "foreign page": GET + b"Origin: https://evil.example\r\nConnection: close\r\n\r\n",
}


async def test_bytes_that_are_no_request_do_no_harm(served: Daemon) -> None:
    before = await served.op_count()
    for name, data in NO_REQUESTS.items():
        for to_socket in (False, True):
            received = await served.send(data, to_socket=to_socket, is_all=True)
            statuses = [int(line.split()[1]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")]
            assert all(status < 500 or status in ILL_SHAPED for status in statuses), (name, received[:500])
        await served.check_well()
    assert await served.op_count() == before
