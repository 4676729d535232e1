"""Whoever finds the lock free is the node; the others reach it by its socket, and take over when it is gone."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from trio.testing import MockClock

from aimem.errors import Unavailable
from aimem.ports import system_files
from aimem.store import NodeLock
from aimem.supervisor.attach import PATIENCE_S, SILENCE_S, Attachment, NodeTransport
from aimem.supervisor.node import CLIENT_TIMEOUT
from aimem.supervisor.place import Role, locate, take
from tests.supervisor.little_node import LittleNode

KEY = {"Idempotency-Key": "k"}


@contextlib.asynccontextmanager
async def attached(node: LittleNode) -> AsyncIterator[httpx.AsyncClient]:
    """A client as a session has it; its node, should it run here, ends with the block."""
    async with trio.open_nursery() as nursery:
        attachment = Attachment(
            files=system_files(), place=node.place, role=Role.SESSION, rng=random.Random(1),
            start_node=partial(node.start, nursery),
        )
        async with httpx.AsyncClient(transport=NodeTransport(attachment), base_url="http://localhost") as http:
            yield http
        node.control.stop.set()


class Dying:
    """A holder that takes one request and is gone: its lock is free, its connection closed, its socket left behind."""

    def __init__(self, node: LittleNode, reply: bytes = b"") -> None:
        self.lock: NodeLock = take(system_files(), node.place, Role.DAEMON)
        self.path = node.place.socket
        self.reply = reply

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        listening = trio.socket.socket(trio.socket.AF_UNIX)
        await listening.bind(str(self.path))
        listening.listen()
        task_status.started()
        while True:
            stream = trio.SocketStream((await listening.accept())[0])
            if await stream.receive_some():     # the others only look whether somebody is here
                break
            await stream.aclose()
        listening.close()
        self.lock.release()
        async with stream:
            await stream.send_all(self.reply)


async def test_first_is_the_node_and_second_reaches_it_by_its_socket(tmp_path: Path) -> None:
    one, two = LittleNode(tmp_path, "one"), LittleNode(tmp_path, "two")
    async with attached(one) as first, attached(two) as second:
        assert (await first.get("/")).text == "one in-process"
        assert (await second.get("/")).text == "one unix"
        assert (await second.post("/", content=b"x")).text == "one unix"


async def test_second_takes_over_when_the_first_has_gone(tmp_path: Path) -> None:
    one, two, three = (LittleNode(tmp_path, name) for name in ("one", "two", "three"))
    async with attached(two) as second, attached(three) as third:
        async with attached(one) as first:
            await first.get("/")
            assert (await second.get("/")).text == "one unix"
        # A plain post may be repeated, too: nothing was sent on a connection that was refused.
        assert (await second.post("/", content=b"x")).text == "two in-process"
        assert (await third.get("/")).text == "two unix"


async def test_many_requests_at_once_find_the_new_node_once(tmp_path: Path) -> None:
    one, two = LittleNode(tmp_path, "one"), LittleNode(tmp_path, "two")
    async with attached(two) as second:
        async with attached(one) as first:
            await first.get("/")
            await second.get("/")
        found = []
        async with trio.open_nursery() as asking:
            async def ask() -> None:
                found.append((await second.get("/")).text)
            for _ in range(20):
                asking.start_soon(ask)
        assert found == ["two in-process"] * 20 and two.trace.count("+store") == 1


@pytest.mark.parametrize("request_of", [
    pytest.param(lambda http: http.get("/"), id="read"),
    pytest.param(lambda http: http.post("/", content=b"x", headers=KEY), id="write with a key"),
])
async def test_request_whose_answer_was_lost_is_repeated_if_that_is_safe(tmp_path: Path, request_of: object) -> None:
    node = LittleNode(tmp_path, "mine")
    async with trio.open_nursery() as nursery:
        await nursery.start(Dying(node).serve)
        async with attached(node) as http:
            assert (await request_of(http)).text == "mine in-process"      # type: ignore[operator]


async def test_write_without_a_key_is_not_repeated(tmp_path: Path) -> None:
    node = LittleNode(tmp_path, "mine")
    async with trio.open_nursery() as nursery:
        await nursery.start(Dying(node).serve)
        async with attached(node) as http:
            with pytest.raises(httpx.TransportError):
                await http.post("/", content=b"x")
            assert node.answered == 0
            assert (await http.get("/")).text == "mine in-process"


@pytest.mark.parametrize("reply", [
    b'HTTP/1.1 503 x\r\ncontent-length: 45\r\n\r\n{"error":"on my way","code":"shutting_down"}  ',
    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
], ids=["leaving", "cut within its answer"])
async def test_node_on_its_way_out_is_left_for_the_next(tmp_path: Path, reply: bytes) -> None:
    node = LittleNode(tmp_path, "mine")
    async with trio.open_nursery() as nursery:
        await nursery.start(Dying(node, reply).serve)
        async with attached(node) as http:
            assert (await http.post("/", content=b"x", headers=KEY)).text == "mine in-process"


async def test_other_refusals_are_answers(tmp_path: Path) -> None:
    node = LittleNode(tmp_path, "mine")
    reply = b'HTTP/1.1 503 x\r\ncontent-length: 35\r\n\r\n{"error":"full","code":"overloaded"}'
    async with trio.open_nursery() as nursery:
        await nursery.start(Dying(node, reply).serve)
        async with attached(node) as http:
            assert (await http.get("/")).status_code == 503


async def test_holder_that_does_not_answer_is_named_after_ten_seconds(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    node = LittleNode(tmp_path)
    lock = take(system_files(), node.place, Role.DAEMON)
    async with attached(node) as http:
        with pytest.raises(Unavailable, match=r"ai-memory serve.*does not answer"):
            await http.get("/")
        assert trio.current_time() == pytest.approx(10, abs=1) or trio.current_time() > 10
        lock.release()
        assert (await http.get("/")).text == "node in-process"


async def test_a_read_of_a_holder_that_hangs_ends_with_its_name_and_its_socket(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    node = LittleNode(tmp_path)
    lock = take(system_files(), node.place, Role.DAEMON)
    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(str(node.place.socket))
        listening.listen()      # the kernel takes what comes, and nobody reads it
        async with attached(node) as http:
            with pytest.raises(Unavailable) as refused:
                await http.get("/", timeout=CLIENT_TIMEOUT)
    assert trio.current_time() == pytest.approx(SILENCE_S + PATIENCE_S, abs=1)
    assert f"process {os.getpid()} (ai-memory serve)" in refused.value.message
    assert str(node.place.socket) in refused.value.message
    lock.release()


async def test_a_read_that_takes_long_is_waited_for_as_long_as_the_node_lives(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.05     # an answer on its way through a socket is no standstill
    one, two = LittleNode(tmp_path, "one"), LittleNode(tmp_path, "two")
    async with trio.open_nursery() as nursery, attached(one) as first, attached(two) as second:
        await first.get("/")

        async def open_late() -> None:
            await trio.sleep(10 * PATIENCE_S)
            one.gate.set()

        nursery.start_soon(open_late)
        assert (await second.get("/wait", timeout=CLIENT_TIMEOUT)).text == "one unix"


async def test_holder_that_is_still_starting_is_waited_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = 0.02    # real sockets and files take real time
    one, two = LittleNode(tmp_path, "one"), LittleNode(tmp_path, "two")
    lock = take(system_files(), one.place, Role.DAEMON)
    async with trio.open_nursery() as nursery, attached(two) as http:
        async def start_late() -> None:
            await trio.sleep(3)
            await one.start(nursery, lock)
        nursery.start_soon(start_late)
        assert (await http.get("/")).text == "one unix"
        one.control.stop.set()


async def test_socket_is_found_by_the_lock_file_where_paths_are_long(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 110)
    folder.mkdir()
    one, two = LittleNode(folder, "one"), LittleNode(folder, "two")
    with tempfile.TemporaryDirectory() as runtime:
        one.place = locate(folder / "m.db", {"XDG_RUNTIME_DIR": runtime})       # the other has no such variable
        assert one.place.socket != two.place.socket
        async with attached(one) as first, attached(two) as second:
            await first.get("/")
            assert (await second.get("/")).text == "one unix"
