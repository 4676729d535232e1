"""Every MCP tool of a real node over the wire of a client, with arguments that no schema allows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from aimem.client import Client
from aimem.errors import Code
from aimem.mcp import TOOLS, run_mcp
from aimem.supervisor.inprocess import InProcessTransport
from tests.campaign.plan import examples
from tests.campaign.wild import arguments_of, hostile_texts, wild_values
from tests.campaign.world import REFUSALS_OF_OURS, World

INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, PARSE_ERROR, INVALID_REQUEST = -32603, -32602, -32601, -32700, -32600
OF_THE_SERVER = {Code.UNAVAILABLE, Code.INTERNAL, Code.CORRUPT, Code.DEADLINE_EXCEEDED, Code.OVERLOADED}


class Wire:
    """The client's end, after the handshake."""

    def __init__(self, stream: trio.StapledStream[Any, Any]) -> None:
        self._stream, self._rest = stream, b""

    async def say(self, line: bytes) -> Mapping[str, Any]:
        """Send one line and read the next one that comes back."""
        await self._stream.send_all(line + b"\n")
        with trio.fail_after(60):
            while b"\n" not in self._rest:
                chunk = await self._stream.receive_some(1 << 20)
                assert chunk, "the server ended"
                self._rest += chunk
        answer, _, self._rest = self._rest.partition(b"\n")
        message: Mapping[str, Any] = json.loads(answer)
        return message

    async def ask(self, method: str, params: object) -> Mapping[str, Any]:
        """Make one request. Not every value is JSON: NaN, and halves of surrogate pairs, go as Python writes them."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.say(json.dumps(request).encode())


@asynccontextmanager
async def open_wire(world: World) -> AsyncIterator[Wire]:
    """An MCP server on the node, and the end of a client that was greeted."""
    ours, theirs = trio.testing.memory_stream_pair()
    transport = InProcessTransport(world.app)
    keys = iter(f"key-{number}" for number in range(1_000_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http, trio.open_nursery() as nursery:
        client = Client(http, new_key=lambda: next(keys))

        async def serve() -> None:
            await run_mcp(
                client, default_agent=lambda name: "alice", stdin=theirs.receive_stream, stdout=theirs.send_stream
            )

        nursery.start_soon(serve)
        wire = Wire(ours)
        who = {"name": "campaign", "version": "1"}
        await wire.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who})
        await ours.send_all(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        yield wire
        nursery.cancel_scope.cancel()


@pytest.fixture
async def wire(world: World) -> AsyncIterator[Wire]:
    async with open_wire(world) as wire:
        yield wire


def refused_with(message: Mapping[str, Any]) -> Code | int | None:
    """The code of a refusal, None for an answer; checks that it is one of those that a client can act on."""
    if "error" in message:
        error = message["error"]
        assert error["code"] in (INVALID_PARAMS, METHOD_NOT_FOUND, PARSE_ERROR, INVALID_REQUEST), message
        assert error["message"], message
        return int(error["code"])
    result = message["result"]
    [content] = result["content"]
    if not result.get("isError", False):
        assert content["text"], message
        return None
    refusal = json.loads(content["text"])
    assert refusal["error"], message
    code = Code(refusal["code"])
    assert code not in OF_THE_SERVER or code in REFUSALS_OF_OURS, message
    return code


async def try_call(world: World, wire: Wire, name: str, arguments: object) -> None:
    """Call a tool: an answer, or a refusal that has written nothing."""
    before = await world.contents()
    try:
        message = await wire.ask("tools/call", {"name": name, "arguments": arguments})
        if refused_with(message) is not None:
            assert before.is_left_by(await world.contents()), "a refused call wrote"
    except Exception as error:
        error.add_note(f"The call was: {name} {str(arguments)[:2000]}")
        raise


@pytest.mark.parametrize("name", TOOLS)
@examples(brief=4, full=50)
@given(data=st.data())
async def test_a_tool_answers_or_refuses_whatever_it_is_given(
    world: World, wire: Wire, name: str, data: st.DataObject
) -> None:
    await try_call(world, wire, name, data.draw(arguments_of(TOOLS[name].schema)))


@examples(brief=10, full=200)
@given(name=st.sampled_from([*TOOLS, ""]) | hostile_texts, arguments=wild_values)
async def test_arguments_that_are_no_object_and_tools_that_are_not_there_are_refused(
    world: World, wire: Wire, name: str, arguments: object
) -> None:
    await try_call(world, wire, name, arguments)


@examples(brief=10, full=200)
@given(method=st.sampled_from(["tools/list", "prompts/get", "resources/read", "resources/list", "ping", "x"])
       | hostile_texts, params=wild_values | st.dictionaries(st.sampled_from(["name", "uri", "cursor", "arguments",
       "_meta"]), wild_values, max_size=3))
async def test_a_request_is_answered_or_refused_whatever_it_asks(
    world: World, wire: Wire, method: str, params: object
) -> None:
    before = await world.contents()
    try:
        message = await wire.ask(method, params)
        assert "result" in message or message["error"]["code"] != INTERNAL_ERROR, message
        assert await world.contents() == before, "reading wrote"
    except Exception as error:
        error.add_note(f"The request was: {method!r} {str(params)[:2000]}")
        raise
