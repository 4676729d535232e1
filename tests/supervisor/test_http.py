"""The server as a whole: its bound on connections, its drain."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from aimem.supervisor.connection import Connection
from aimem.supervisor.listeners import open_unix
from tests.supervisor.serving import answer, get, keep, read_answer, read_to_end, serving


class Gate:
    """An app whose answers wait until it is opened."""

    def __init__(self) -> None:
        self.open = trio.Event()
        self.entered = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            self.entered.set()
            await self.open.wait()
        await answer(send, 200, b"ok")


async def test_newest_connection_beyond_the_bound_is_closed_and_counted() -> None:
    async with serving(Gate(), connections_max=2) as served:
        first, second = await served.connect(keep("/")), await served.connect(keep("/"))
        async with first, second:
            await read_answer(first)
            await read_answer(second)
            async with await served.connect() as third:
                assert await read_to_end(third) == b""
            assert served.server.counts.refused == 1
            await first.send_all(keep("/"))
            await read_answer(first)
            await first.send_all(get("/"))
            await read_to_end(first)
            async with await served.connect(get("/")) as fourth:
                assert b"ok" in await read_to_end(fourth)


async def test_what_strangers_can_cause_at_any_rate_is_logged_once_a_minute_and_kind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, "aimem.supervisor.http")

    async def fail(_: Connection) -> None:
        raise (LookupError("one") if served.server.counts.accepted % 2 else ExceptionGroup("", [ValueError("two")]))

    async with serving(Gate(), connections_max=1) as served:
        async with await served.connect(keep("/")) as crowd:
            await read_answer(crowd)
            for _ in range(5):
                assert await served.ask(get("/")) == b""
            await crowd.send_all(get("/"))
            await read_to_end(crowd)
        monkeypatch.setattr(Connection, "run", fail)
        for _ in range(12):
            assert await served.ask(get("/")) == b""
        assert (served.server.counts.refused, served.server.counts.failed) == (5, 12)
    told = [vars(record) for record in caplog.records]
    assert [(line["message"], line["count"]) for line in told] == [
        ("http.connection_refused", 1), ("http.connection_failed", 1), ("http.connection_failed", 1),
    ]
    assert [(line["kind"], str(line["exc_info"][1])) for line in told[1:]] == [
        ("ValueError", " (1 sub-exception)"), ("LookupError", "one"),
    ]


async def test_crowd_on_tcp_leaves_room_on_the_unix_socket(tmp_path: Path) -> None:
    bounds = {"connections_max": 1, "owner_connections_max": 1}
    async with open_unix(tmp_path / "s") as unix, serving(Gate(), unix, **bounds) as served:
        async with await served.connect(keep("/")) as crowd, await served.connect() as refused:
            await read_answer(crowd)
            assert await read_to_end(refused) == b""
            async with await trio.open_unix_socket(unix.url) as owner, await trio.open_unix_socket(unix.url) as second:
                await owner.send_all(keep("/"))
                await read_answer(owner)
                assert await read_to_end(second) == b""
        assert served.server.counts.refused == 2


async def test_drain_finishes_requests_in_progress_and_closes_quiet_connections() -> None:
    gate = Gate()
    async with serving(gate) as served:
        quiet, busy = await served.connect(keep("/")), await served.connect(keep("/wait"))
        async with quiet, busy:
            await read_answer(quiet)
            await gate.entered.wait()
            served.stop.set()
            assert await read_to_end(quiet) == b""
            gate.open.set()
            received = await read_to_end(busy)
            assert received.endswith(b"ok") and b"connection: close" in received.lower()
        with trio.fail_after(1):
            await served.ended.wait()


async def test_drain_of_idle_connections_takes_no_grace() -> None:
    async with serving(Gate(), grace_s=60) as served, await served.connect(keep("/")) as stream:
        await read_answer(stream)
        served.stop.set()
        with trio.fail_after(1):
            await served.ended.wait()


async def test_request_that_outlives_the_grace_is_cut(autojump_clock: MockClock) -> None:
    gate = Gate()
    async with serving(gate, grace_s=30) as served, await served.connect(keep("/wait")) as stream:
        await gate.entered.wait()
        served.stop.set()
        began = trio.current_time()
        assert await read_to_end(stream) == b""
        await served.ended.wait()
        assert trio.current_time() - began == pytest.approx(30, abs=1)


async def test_hurry_ends_the_grace() -> None:
    gate = Gate()
    async with serving(gate, grace_s=60) as served, await served.connect(keep("/wait")):
        await gate.entered.wait()
        served.stop.set()
        served.hurry.set()
        with trio.fail_after(1):
            await served.ended.wait()
