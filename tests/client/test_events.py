"""The client's way to follow events: what it hands on, and what it says when the way breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from aimem.client import Client
from aimem.errors import Unauthenticated, Unavailable
from aimem.wire import EventOut, EventsQuery, ResetOut

EVENT = (
    b'id: s.1\nevent: create\ndata: {"id": "s.1", "at": "2026-01-01T00:00:00Z", "event": "create", "kind": "memory", '
    b'"key": "k", "version": "s:1", "own": true}\n\n'
)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the console, for which this is."""
    return "asyncio"


class Pieces(httpx.AsyncByteStream):
    """An answer that comes in pieces, and then ends or breaks."""

    def __init__(self, pieces: Sequence[bytes], *, breaks: bool = False) -> None:
        self._pieces, self._breaks = pieces, breaks
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._breaks:
            raise httpx.ReadError("the connection broke")

    async def aclose(self) -> None:
        self.is_closed = True


async def told_by(answer: httpx.Response, asked: list[httpx.Request] | None = None) -> list[EventOut | ResetOut | None]:
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return answer

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://node") as http,
        Client(http, new_key=lambda: "k").open_events(EventsQuery(after="s.0")) as told,
    ):
        return [one async for one in told]


async def test_events_resets_and_signs_of_life_are_told_however_they_are_cut() -> None:
    reset_text = b'event: reset\ndata: {"id":"s.9","reason":"gone"}\n\n'
    whole = b"retry: 2000\n\n" + EVENT + b": nothing happened\n\n" + reset_text
    for cut in (1, 7, len(whole)):
        stream = Pieces([whole[at:at + cut] for at in range(0, len(whole), cut)])
        asked: list[httpx.Request] = []
        first, alive, reset = await told_by(httpx.Response(200, stream=stream), asked)
        assert isinstance(first, EventOut) and (first.key, first.own) == ("k", True)
        assert alive is None
        assert reset == ResetOut(id="s.9", reason="gone")
        assert stream.is_closed
        assert asked[0].url.path == "/api/v1/events"
        assert asked[0].url.params["after"] == "s.0"
        assert asked[0].extensions["timeout"]["read"] > 15      # a node says something every 15 s


async def test_a_way_that_breaks_is_an_error_after_what_came() -> None:
    with pytest.raises(Unavailable, match="the connection broke"):
        await told_by(httpx.Response(200, stream=Pieces([EVENT], breaks=True)))


async def test_a_refusal_is_the_error_that_it_carries() -> None:
    with pytest.raises(Unauthenticated, match="a key"):
        await told_by(httpx.Response(401, json={"error": "show a key", "code": "unauthenticated"}))


@pytest.mark.parametrize("piece", [b"data: {]\n\n", b"data: " + b"x" * 2_000_000], ids=["json", "length"])
async def test_what_is_no_event_is_told_to_be_none(piece: bytes) -> None:
    with pytest.raises(Unavailable, match="is an ai-memory node"):
        await told_by(httpx.Response(200, stream=Pieces([piece])))
