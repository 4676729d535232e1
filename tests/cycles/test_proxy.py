"""A link passes on what it gets, in its manner."""

from __future__ import annotations

from functools import partial
from typing import Final

import pytest
import trio

from tests.cycles.proxy import DELAY_S, DRIP_BYTES, DRIP_S, RESET_BYTES, Link, Manner
from tests.system.members import free_ports

LONG: Final = b"x" * (4 * DRIP_BYTES)
PATIENCE_S: Final = 60.0


async def echo(stream: trio.SocketStream) -> None:
    """Say everything again."""
    try:
        async for data in stream:
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass


@pytest.fixture
async def link(nursery: trio.Nursery) -> Link:
    """To somebody who says everything again."""
    [listener] = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
    found = Link(("127.0.0.1", free_ports(1)[0]), listener.socket.getsockname()[:2])
    await nursery.start(found.run)
    return found


async def said_again(stream: trio.SocketStream, data: bytes) -> float:
    """Say something, and wait for all of it. Returns: the seconds that it took."""
    began, got = trio.current_time(), b""
    with trio.fail_after(PATIENCE_S):
        await stream.send_all(data)
        while len(got) < len(data):
            more = await stream.receive_some()
            assert more
            got += more
    assert got == data
    return trio.current_time() - began


async def test_bytes_pass_and_so_does_their_end(link: Link) -> None:
    async with await trio.open_tcp_stream(*link.listen) as stream:
        await said_again(stream, LONG)
        await stream.send_eof()
        assert await stream.receive_some() == b""


@pytest.mark.parametrize(("manner", "least_s"), [
    (Manner.DELAY, 2 * DELAY_S), (Manner.DRIP, (len(LONG) / DRIP_BYTES - 1) * DRIP_S),
])
async def test_a_bad_link_is_slow_in_both_directions_until_it_is_plain_again(
    link: Link, manner: Manner, least_s: float
) -> None:
    async with await trio.open_tcp_stream(*link.listen) as stream:
        link.turn(manner)
        assert await said_again(stream, LONG) >= least_s
        link.turn(Manner.PLAIN)
        await said_again(stream, LONG)


async def test_connections_are_reset_after_some_bytes(link: Link) -> None:
    link.turn(Manner.RESET)
    async with await trio.open_tcp_stream(*link.listen) as stream:
        await said_again(stream, LONG[: RESET_BYTES // 4])
        with pytest.raises(trio.BrokenResourceError):
            await said_again(stream, b"x" * RESET_BYTES)


async def test_what_is_held_comes_once_the_link_is_plain_again(link: Link, nursery: trio.Nursery) -> None:
    async with await trio.open_tcp_stream(*link.listen) as stream:
        link.turn(Manner.HOLD)
        await stream.send_all(b"word")
        with trio.move_on_after(0.1):
            pytest.fail(repr(await stream.receive_some()))
        link.turn(Manner.PLAIN)
        with trio.fail_after(PATIENCE_S):
            assert await stream.receive_some() == b"word"


async def test_whom_nobody_answers_is_reset(nursery: trio.Nursery) -> None:
    closed, listening = free_ports(2)
    link = Link(("127.0.0.1", listening), ("127.0.0.1", closed))
    await nursery.start(link.run)
    async with await trio.open_tcp_stream(*link.listen) as stream:
        with pytest.raises(trio.BrokenResourceError), trio.fail_after(PATIENCE_S):
            await stream.receive_some()
