"""GET /events over real connections: the text of the stream, its place, its end, and readers that do not read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from aimem import service
from aimem.api import Transport, make_app
from aimem.config import ApiConfig
from aimem.service import Node
from aimem.wire import EventsQuery
from tests.api.conftest import arriving_by
from tests.nodes import FakeClock, InlineThreads, open_node
from tests.service.steps import ALICE
from tests.service.steps import put as put_here
from tests.supervisor.serving import Served, read_to_end, serving

PATH = "/api/v1/events"


@pytest.fixture
async def node(anyio_backend: object, tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), threads=InlineThreads()) as node:
        yield node


@asynccontextmanager
async def served(node: Node, **options: object) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """The surface on a real port, and a client for its other routes."""
    app = arriving_by(make_app(node, ApiConfig()), Transport.TCP_LOOPBACK)
    async with trio.open_nursery() as nursery, serving(app, **options) as server:
        await nursery.start(service.run_events, node, server.stop)
        base = f"http://127.0.0.1:{server.port}/api/v1"
        async with httpx.AsyncClient(base_url=base, headers={"X-Agent-Id": "alice"}) as http:
            yield server, http
        server.stop.set()
        await server.ended.wait()
        nursery.cancel_scope.cancel()


async def put(http: httpx.AsyncClient, title: str) -> str:
    answer = await http.post("/memories", json={"title": title, "content": "text", "namespace": "team/ops"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def request(path: str = PATH, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


async def read_until(stream: trio.SocketStream, mark: bytes, so_far: bytes = b"") -> bytes:
    with trio.fail_after(20):
        while mark not in so_far:
            piece = await stream.receive_some(65536)
            assert piece, so_far
            so_far += piece
    return so_far


async def test_the_stream_begins_at_once_and_each_event_has_id_name_and_data(node: Node) -> None:
    async with served(node) as (server, http), await server.connect(request()) as stream:
        head = await read_until(stream, b"retry: 2000")
        assert b"200" in head.splitlines()[0]
        assert b"text/event-stream" in head.lower()
        assert b"cache-control: no-store" in head.lower()
        one = await put(http, "one")
        await http.delete(f"/memories/{one}")
        text = await read_until(stream, b"event: delete")
        text = (await read_until(stream, b"\n\n", text.split(b"event: delete")[1])).decode()
        data = json.loads(text.split("data: ")[1].splitlines()[0])
    assert data["id"] == f"{node.store.stream[:8]}.2"
    assert {name: data[name] for name in ("event", "kind", "key", "memory_id", "namespace", "agent_id", "own")} == {
        "event": "delete", "kind": "memory", "key": one, "memory_id": one, "namespace": "team/ops", "agent_id": "alice",
        "own": True,
    }


async def test_a_reader_comes_back_with_last_event_id(node: Node) -> None:
    async with served(node) as (server, http):
        for number in range(4):
            await put(http, f"n{number}")
        place = f"Last-Event-ID: {node.store.stream[:8]}.2"
        async with await server.connect(request(PATH, place)) as stream:
            text = await read_until(stream, b".4\n")
        assert [line for line in text.decode().splitlines() if line.startswith("id: ")] == [
            f"id: {node.store.stream[:8]}.{no}" for no in (3, 4)
        ]
        async with await server.connect(request(PATH, "Last-Event-ID: 99")) as stream:
            await read_until(stream, b"event: reset")


async def test_what_is_wrong_with_a_request_is_told_before_the_stream(node: Node) -> None:
    async with served(node) as (_, http):
        for path, field in (("/events?event=no", "event"), ("/events?after=7", "after"), ("/events?kind=%00", "kind")):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["field"]) == (400, field)
        twice = await http.get("/events", headers=[("Last-Event-ID", "a"), ("Last-Event-ID", "b")])
        assert twice.status_code == 400
        assert (await http.head("/events")).status_code == 200
        assert node.happenings.reader_count == 0


async def test_readers_that_leave_are_forgotten(node: Node) -> None:
    async with served(node) as (server, _):
        for _ in range(20):
            async with await server.connect(request()) as stream:
                await read_until(stream, b"retry")
        with trio.fail_after(20):
            while node.happenings.reader_count:
                await trio.lowlevel.checkpoint()
        assert node.happenings.dropped_count == 0


async def test_the_shutdown_ends_the_stream_and_waits_for_nobody(node: Node) -> None:
    async with served(node, grace_s=60) as (server, _), await server.connect(request()) as stream:
        text = await read_until(stream, b"retry")
        server.stop.set()
        begin = trio.current_time()
        text += await read_to_end(stream)
        assert trio.current_time() - begin < 10
        assert text.endswith(b"0\r\n\r\n")


SCOPE = {
    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": PATH,
    "raw_path": PATH.encode(), "scheme": "http", "query_string": b"", "root_path": "", "client": None,
    "server": None, "headers": [(b"host", b"localhost")],
}


async def test_a_stream_outlives_the_deadline_of_requests_and_beats(
    node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    app = arriving_by(make_app(node, ApiConfig(request_deadline_s=30)), Transport.TCP_LOOPBACK)
    pieces: list[object] = []

    async def send(message: dict[str, object]) -> None:
        pieces.append(message.get("body"))

    async with trio.open_nursery() as nursery:
        await nursery.start(service.run_events, node, trio.Event())
        with trio.move_on_after(100):
            await app(SCOPE, trio.sleep_forever, send)
        nursery.cancel_scope.cancel()
    assert pieces == [None, b"retry: 2000\n\n", *[b": nothing happened\n\n"] * 6]


async def test_a_reader_that_does_not_take_what_it_is_sent_is_cut_and_the_others_go_on(
    node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    app = arriving_by(make_app(node, ApiConfig()), Transport.TCP_LOOPBACK)
    gone = trio.Event()

    async def receive() -> dict[str, object]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if b"event: store" in message.get("body", b""):  # type: ignore[operator]
            await trio.sleep(10)    # the bound of the connection layer, which then closes its socket
            gone.set()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(service.run_events, node, trio.Event())
        nursery.start_soon(app, SCOPE, receive, send)
        with service.Follower(node, ALICE, EventsQuery()) as other:
            with trio.move_on_after(1):
                await other.take()
            assert node.happenings.reader_count == 2
            for number in range(3):
                begin = trio.current_time()
                await put_here(node, f"n{number}")
                assert await other.take()
                assert trio.current_time() == begin
        await gone.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert (node.happenings.reader_count, node.happenings.dropped_count) == (0, 1)
        nursery.cancel_scope.cancel()
