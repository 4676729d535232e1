"""A node starts from the disk outwards, ends from the network inwards, and leaves its lock free, whatever happened."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from trio.testing import MockClock

from aimem.config import ApiConfig
from aimem.errors import Corrupt, Denied, Unavailable
from aimem.ports import LockHeld, system_clock, system_files
from aimem.supervisor.listeners import open_tcp
from aimem.supervisor.place import Role, take
from aimem.supervisor.tree import Running
from aimem.supervisor.trust import Gate
from tests.pki import client_context, issue, make_ca
from tests.supervisor.little_node import LittleNode

LOOPBACK = ApiConfig(port=0)


async def test_rings_open_and_close_in_order(tmp_path: Path) -> None:
    node = LittleNode(tmp_path)
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(partial(node.run, tcp=LOOPBACK))
        assert node.place.socket.exists()
        node.control.stop.set()
    assert node.trace == ["+store", "+touches", "+curator", "+app", "-app", *node.trace[5:7], "-store"]
    assert set(node.trace[5:7]) == {"-touches", "-curator"}
    assert running.ended.is_set() and not node.place.socket.exists()
    take(system_files(), node.place, Role.COMMAND).release()


async def test_node_answers_on_tcp_and_on_its_socket_and_says_where(tmp_path: Path) -> None:
    node = LittleNode(tmp_path)
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(partial(node.run, tcp=LOOPBACK))
        (url,) = running.urls
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/")).text == "node tcp-loopback"
        local = httpx.AsyncHTTPTransport(uds=str(node.place.socket))
        async with httpx.AsyncClient(transport=local, base_url="http://localhost") as http:
            assert (await http.get("/")).text == "node unix"
        with pytest.raises(LockHeld, match=str(node.place.socket)):
            take(system_files(), node.place, Role.COMMAND)
        node.control.stop.set()


async def test_gate_stands_before_tcp_and_the_owner_needs_no_certificate(tmp_path: Path) -> None:
    node, authority = LittleNode(tmp_path), make_ca()
    server, member = issue(authority, "127.0.0.1"), issue(authority, "node-a")
    gate = Gate(server.serves(authority), frozenset({member.fingerprint}), system_clock())
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(partial(node.run, tcp=LOOPBACK, gate=gate))
        (url,) = running.urls
        assert url.startswith("https://127.0.0.1:")
        for shown in (member, None):
            context = client_context(authority, shown, tmp_path)
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=context), base_url=url) as http:
                if shown is not None:
                    assert (await http.get("/")).text == "node tcp-loopback"
                else:
                    with pytest.raises(httpx.TransportError):
                        await http.get("/")
        local = httpx.AsyncHTTPTransport(uds=str(node.place.socket))
        async with httpx.AsyncClient(transport=local, base_url="http://localhost") as http:
            assert (await http.get("/")).text == "node unix"
        assert dict(running.http.counts.handshakes)["no_certificate"] == 1
        node.control.stop.set()


async def test_request_in_progress_is_answered_before_anything_inside_ends(tmp_path: Path) -> None:
    node = LittleNode(tmp_path)
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(partial(node.run, tcp=LOOPBACK))
        async with httpx.AsyncClient(base_url=running.urls[0]) as http, trio.open_nursery() as asking:
            async def ask() -> None:
                assert (await http.get("/wait")).text == "node tcp-loopback"
                assert "-touches" not in node.trace
            asking.start_soon(ask)
            await node.entered.wait()
            node.control.stop.set()
            await trio.testing.wait_all_tasks_blocked()
            assert not running.ended.is_set()
            node.gate.set()


async def test_second_signal_cuts_what_the_first_let_finish(tmp_path: Path) -> None:
    node = LittleNode(tmp_path)
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(partial(node.run, tcp=LOOPBACK, grace_s=3600))
        async with httpx.AsyncClient(base_url=running.urls[0], timeout=None) as http, trio.open_nursery() as asking:
            async def ask() -> None:
                with pytest.raises(httpx.RemoteProtocolError):
                    await http.get("/wait")
            asking.start_soon(ask)
            await node.entered.wait()
            node.control.stop.set()
            node.control.hurry.set()
        with trio.fail_after(2):
            await running.ended.wait()


async def test_failure_of_the_store_ends_the_node_and_rises_alone(tmp_path: Path) -> None:
    node = LittleNode(tmp_path)
    node.failure = Corrupt("torn page")
    with pytest.RaisesGroup(pytest.RaisesExc(Corrupt, match="torn page")):
        async with trio.open_nursery() as nursery:
            await nursery.start(node.run)
            node.fail.set()
    assert node.has_ended and not node.place.socket.exists()
    take(system_files(), node.place, Role.COMMAND).release()


async def test_taken_port_and_public_address_leave_nothing_behind(tmp_path: Path) -> None:
    (taken,) = await open_tcp("127.0.0.1", 0, insecure=False)
    async with taken.socket:
        port = taken.socket.socket.getsockname()[1]
        with pytest.raises(Unavailable, match="in use"):
            await LittleNode(tmp_path).run(tcp=ApiConfig(port=port))
        node = LittleNode(tmp_path)
        with pytest.raises(Denied, match="--insecure"):
            await node.run(tcp=ApiConfig(host="0.0.0.0", port=0))
    assert node.trace[-1] == "-store" and not node.place.socket.exists()
    take(system_files(), node.place, Role.COMMAND).release()


async def test_cancelled_node_cleans_up(tmp_path: Path, autojump_clock: MockClock) -> None:
    node = LittleNode(tmp_path)
    with trio.move_on_after(5):
        await node.run()
    assert node.has_ended and not node.place.socket.exists()
    take(system_files(), node.place, Role.COMMAND).release()
