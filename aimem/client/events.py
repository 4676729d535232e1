"""What happens on a node, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import msgspec

from aimem.client.calls import Caller
from aimem.errors import Unavailable
from aimem.wire import EventOut, EventsQuery, ResetOut

SILENCE_MAX_S: Final = 40.0
"""A node says something every 15 s; after this it is gone, or the way to it is."""
_LINE_MAX_CHARS: Final = 1 << 20

Told = EventOut | ResetOut | None


class EventCalls(Caller):
    """What happens on a node. The transport has to hand over an answer while it comes."""

    @asynccontextmanager
    async def open_events(
        self, query: EventsQuery | None = None, *, agent_id: str | None = None
    ) -> AsyncIterator[AsyncIterator[Told]]:
        """Follow what happens, from now on or from `after` of the query, until the node ends it.

        Yields: an iterator over what the node tells: None where it only says that it is there; a ResetOut where the
          place is unknown, so that everything has to be read anew.
        """
        stream = self.open_stream(
            "/events", query=query or EventsQuery(), agent_id=agent_id, silence_max_s=SILENCE_MAX_S
        )
        async with stream as answer:
            yield _told(answer)


async def _told(answer: httpx.Response) -> AsyncIterator[Told]:
    name, data, rest = "", "", ""
    async for piece in answer.aiter_text():
        *lines, rest = (rest + piece).split("\n")
        if len(rest) > _LINE_MAX_CHARS:
            raise Unavailable("one line of what the node tells is beyond a megabyte; is an ai-memory node there?")
        for line in lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value
            elif not line and data:
                yield _read(name, data)
                name, data = "", ""
            elif not field and value:
                yield None


def _read(name: str, data: str) -> EventOut | ResetOut:
    try:
        return msgspec.json.decode(data, type=ResetOut) if name == "reset" else msgspec.json.decode(data, type=EventOut)
    except msgspec.DecodeError as error:
        raise Unavailable(
            f"what the node tells is not understood: {error}; is an ai-memory node of this version there?") from error
