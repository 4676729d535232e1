"""JSON-RPC written by hand against the running server."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio

from aimem import __version__
from aimem.config import McpProfile
from aimem.errors import Bug, Code, InvalidRequest, Unavailable
from aimem.mcp import CORE, PROMPTS, TOOLS
from aimem.mcp.profile import tools_version
from aimem.mcp.stdio import EOF_DRAIN_S, IN_FLIGHT_MAX, STOP_DRAIN_S

VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "new client", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def text_of(answer: dict[str, Any]) -> str:
    (content,) = answer["result"]["content"]
    assert content["type"] == "text"
    text: str = content["text"]
    return text


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_protocol_version_that_a_client_asks_for_is_negotiated(serving, version):
    async with serving() as peer:
        answer = await peer.initialize(version)
        assert "memory_recall" in answer["result"]["instructions"]
        tools = await peer.ask("tools/list")
        called = await peer.call("memory_stats", {})
    assert answer["result"]["protocolVersion"] == version
    assert answer["result"]["serverInfo"] == {"name": "ai-memory", "version": __version__}
    assert set(answer["result"]["capabilities"]) == {"tools", "prompts", "resources"}
    assert [tool["name"] for tool in tools["result"]["tools"]] == list(TOOLS)
    assert json.loads(text_of(called))["total"] == 1


async def test_an_unknown_protocol_version_is_answered_with_the_newest_that_has_a_handshake(serving):
    async with serving() as peer:
        answer = await peer.initialize("1999-01-01")
    assert answer["result"]["protocolVersion"] == VERSIONS[-1]


async def test_the_protocol_without_a_handshake_is_served_to_who_speaks_it(serving, client):
    async with serving() as peer:
        tools = await peer.ask("tools/list", {"_meta": ENVELOPE})
        called = await peer.ask("tools/call", {"name": "memory_stats", "arguments": {}, "_meta": ENVELOPE}, id=2)
    assert len(tools["result"]["tools"]) == len(TOOLS)
    assert json.loads(text_of(called))["total"] == 1
    assert client.calls == [("stats", [], "ai:new client")]


async def test_a_handshake_touches_no_node(serving, client):
    async with serving() as peer:
        await peer.initialize()
        await peer.ask("tools/list")
        await peer.ask("ping")
    assert client.calls == []


async def test_calls_carry_the_identity_made_from_the_name_of_the_client(serving, client):
    async with serving() as peer:
        await peer.initialize(name="claude-code")
        await peer.call("memory_get", {"id": "7f3a"})
    assert client.calls == [("get", ["7f3a"], "ai:claude-code")]


@pytest.mark.parametrize(
    ("line", "id", "code"),
    [
        (b"nonsense", None, -32700),
        (b'{"jsonrpc":"2.0","id":1', None, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}', None, -32700),
        (b'"\xff\xfe"', None, -32700),
        (b"[" * 100_000, None, -32700),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None, -32600),
        (b'"text"', None, -32600),
        (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', 7, -32600),
        (b'{"id":7,"method":"ping"}', 7, -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', None, -32600),
        (b'{"jsonrpc":"2.0","id":"a"}', "a", -32600),
        (b'{"jsonrpc":"2.0","id":"a","method":5}', "a", -32600),
        (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":[1]}', "a", -32600),
        (b"x" * (4 * 1024 * 1024 + 1), None, -32600),
        (b'{"jsonrpc":"2.0","id":8,"method":"memory/none"}', 8, -32601),
        (b'{"jsonrpc":"2.0","id":8,"method":"notifications/initialized"}', 8, -32601),
        (b'{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"memory_nope"}}', 8, -32601),
        (b'{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":""}}', 8, -32602),
        (b'{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{}}', 8, -32602),
        (b'{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"memory_get","arguments":[]}}', 8, -32602),
        (b'{"jsonrpc":"2.0","id":8,"method":"prompts/get","params":{"name":"nope"}}', 8, -32602),
    ],
    ids=range(22),
)
async def test_a_line_that_cannot_be_served_is_answered_and_the_session_goes_on(serving, line, id, code):
    async with serving() as peer:
        await peer.initialize()
        await peer.send_bytes(line + b"\n")
        refused = await peer.receive()
        alive = await peer.ask("ping", id="after")
    assert (refused["id"], refused["error"]["code"]) == (id, code)
    assert refused["error"]["message"]
    assert alive["result"] == {}


async def test_blank_lines_and_carriage_returns_are_no_messages(serving):
    async with serving() as peer:
        await peer.initialize()
        await peer.send_bytes(b'\n\r\n  \n{"jsonrpc":"2.0","id":5,"method":"ping"}\r\n')
        assert (await peer.receive())["id"] == 5


@pytest.mark.parametrize("id_part", ['', '"id":null,'])
async def test_a_call_without_an_id_is_neither_executed_nor_answered(serving, client, id_part):
    async with serving() as peer:
        await peer.initialize()
        line = f'{{"jsonrpc":"2.0",{id_part}"method":"tools/call","params":{{"name":"memory_gc","arguments":{{}}}}}}\n'
        await peer.send_bytes(line.encode())
        answer = await peer.ask("ping", id="next")
    assert answer["id"] == "next"
    assert client.calls == []


async def test_a_call_before_the_handshake_is_refused(serving, client):
    async with serving() as peer:
        answer = await peer.call("memory_stats", {})
        greeted = await peer.ask("initialize", {"protocolVersion": 5})
    assert answer["error"]["code"] == greeted["error"]["code"] == -32602
    assert "initialize has not been sent" in answer["error"]["message"]
    assert "params are not those that MCP defines" in greeted["error"]["message"]
    assert client.calls == []


async def test_a_refusal_of_the_node_is_a_result_with_sentence_code_and_field(serving, client):
    client.answers["get"] = InvalidRequest("two memories begin so", code=Code.AMBIGUOUS_ID, field="id", count=2)
    async with serving() as peer:
        await peer.initialize()
        answer = await peer.call("memory_get", {"id": "7f3a"})
    assert answer["result"]["isError"] is True
    assert json.loads(text_of(answer)) == {
        "error": "two memories begin so", "code": "ambiguous_id", "field": "id", "count": 2,
    }


async def test_an_unreachable_node_is_a_result_that_says_so(serving, client):
    client.answers["stats"] = Unavailable("cannot reach the node; start it")
    async with serving() as peer:
        await peer.initialize()
        answer = await peer.call("memory_stats", {})
    assert answer["result"]["isError"] is True
    assert json.loads(text_of(answer)) == {"error": "cannot reach the node; start it", "code": "unavailable"}


@pytest.mark.parametrize("failure", [ValueError("secret detail"), Bug("secret detail"), KeyError("secret")])
async def test_a_failure_of_ours_is_logged_and_only_named_on_the_wire(serving, client, caplog, failure):
    client.answers["stats"] = failure
    with caplog.at_level(logging.ERROR, logger="aimem.mcp"):
        async with serving() as peer:
            await peer.initialize()
            answer = await peer.call("memory_stats", {})
    assert answer["error"] == {"code": -32603, "message": "internal error"}
    (record,) = caplog.records
    assert record.message == "mcp.request_failed"
    assert record.exc_info[1] is failure


async def test_wrong_arguments_are_a_result_and_reach_no_node(serving, client):
    async with serving() as peer:
        await peer.initialize()
        answer = await peer.call("memory_list", {"limit": "5"})
    assert answer["result"]["isError"] is True
    assert json.loads(text_of(answer)) == {
        "error": 'limit: "5" is not allowed; give an integer from 0 to 200', "code": "schema_mismatch",
        "field": "limit",
    }
    assert client.calls == []


async def test_tools_are_published_with_schema_and_hints(serving):
    async with serving() as peer:
        await peer.initialize()
        tools = {tool["name"]: tool for tool in (await peer.ask("tools/list"))["result"]["tools"]}
    for tool in tools.values():
        assert tool["description"]
        assert tool["inputSchema"]["type"] == "object"
        assert tool["annotations"]["openWorldHint"] is False
    assert tools["memory_search"]["annotations"]["readOnlyHint"] is True
    assert tools["memory_recall"]["annotations"] == {
        "readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False,
    }
    assert tools["memory_delete"]["annotations"] == {
        "readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": False,
    }
    assert tools["memory_link"]["annotations"]["destructiveHint"] is False
    assert (tools["memory_get_links"]["title"], tools["memory_gc"]["title"]) == ("Get links", "Collect expired")


@pytest.mark.parametrize("profile", McpProfile)
async def test_a_profile_shows_its_tools_and_the_version_of_that_list(serving, client, profile):
    async with serving(profile=profile) as peer:
        await peer.initialize()
        listed = (await peer.ask("tools/list"))["result"]
        unlisted = await peer.call("memory_stats", {})
        able = json.loads(text_of(await peer.call("memory_capabilities", {})))["mcp"]
    names = [tool["name"] for tool in listed["tools"]]
    assert set(names) == set(CORE if profile is McpProfile.CORE else TOOLS)
    assert listed["toolsVersion"] == tools_version(profile)
    assert tools_version(McpProfile.CORE) != tools_version(McpProfile.FULL)
    assert json.loads(text_of(unlisted))["total"] == 1
    assert able["profile"] == profile
    assert set(able.get("unlisted_tools", ())) == set(TOOLS) - set(names)


def test_the_list_of_each_day_is_short():
    assert len(CORE) <= 8
    assert set(CORE) <= set(TOOLS)


async def test_prompts_are_listed_and_written(serving):
    async with serving() as peer:
        await peer.initialize()
        listed = (await peer.ask("prompts/list"))["result"]["prompts"]
        plain = await peer.ask("prompts/get", {"name": "recall-first"})
        scoped = await peer.ask("prompts/get", {"name": "recall-first", "arguments": {"namespace": "team/app"}})
        workflow = await peer.ask("prompts/get", {"name": "memory-workflow"})
    assert [prompt["name"] for prompt in listed] == list(PROMPTS) == ["recall-first", "memory-workflow"]
    assert listed[0]["arguments"][0]["name"] == "namespace"
    texts = [answer["result"]["messages"][0]["content"]["text"] for answer in (plain, scoped, workflow)]
    assert "team/app" not in texts[0]
    assert "'team/app'" in texts[1]
    assert plain["result"]["messages"][0]["role"] == "user"
    assert [name for name in TOOLS if name not in texts[2]] == []


async def test_accepted_requests_are_answered_after_the_end_of_input(serving, client, autojump_clock):
    async def slow() -> object:
        await trio.sleep(20)
        return client_answer

    client_answer = client.answers["stats"]
    client.answers["stats"] = slow
    async with serving() as peer:
        await peer.initialize()
        await peer.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "memory_stats"}})
        await peer.send_bytes(b'{"jsonrpc":"2.0","id":10,"method":"ping"}')     # no line feed at the end of input
        await peer.end_input()
        answers = [await peer.receive(), await peer.receive(), await peer.receive()]
    assert [answer and answer["id"] for answer in answers] == [10, 9, None]


async def test_a_request_that_does_not_end_is_given_up_a_while_after_the_end_of_input(serving, client, autojump_clock):
    client.answers["stats"] = trio.sleep_forever
    async with serving() as peer:
        await peer.initialize()
        begun = trio.current_time()
        await peer.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "memory_stats"}})
        await peer.end_input()
        answers = [await peer.receive(), await peer.receive()]
    assert trio.current_time() - begun == pytest.approx(EOF_DRAIN_S, abs=2)
    assert answers[0]["error"]["message"] == "Connection closed"
    assert answers[1] is None


async def test_stop_ends_the_server_though_the_client_holds_its_input_open(serving, client, autojump_clock):
    client.answers["stats"] = trio.sleep_forever
    stop = trio.Event()
    async with serving(stop) as peer:
        await peer.initialize()
        await peer.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "memory_stats"}})
        await trio.sleep(1)
        begun = trio.current_time()
        stop.set()
        assert (await peer.receive())["id"] == 9
        assert await peer.receive() is None
        assert trio.current_time() - begun == pytest.approx(STOP_DRAIN_S, abs=2)


async def test_a_quiet_server_ends_at_once_when_stopped(serving, autojump_clock):
    stop = trio.Event()
    async with serving(stop) as peer:
        await peer.initialize()
        begun = trio.current_time()
        stop.set()
        assert await peer.receive() is None
        assert trio.current_time() == begun


async def test_a_client_that_goes_away_ends_the_server_calmly(serving, client):
    async with serving() as peer:
        await peer.initialize()
        await peer.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "memory_stats"}})
        await peer.leave()


async def test_a_cancelled_call_is_stopped_never_answered_and_not_waited_for(serving, client, autojump_clock):
    cancelled = trio.Event()

    async def wait() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    client.answers["stats"] = wait
    async with serving() as peer:
        await peer.initialize()
        await peer.send({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "memory_stats"}})
        await trio.sleep(1)
        begun = trio.current_time()
        await peer.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}})
        await cancelled.wait()
        await peer.end_input()
        assert await peer.receive() is None
        assert trio.current_time() == begun


async def test_a_client_that_asks_too_much_at_once_waits(serving, client, autojump_clock):
    running = most = 0

    async def slow() -> object:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1
        return stats

    stats = client.answers["stats"]
    client.answers["stats"] = slow
    count = 3 * IN_FLIGHT_MAX
    async with serving() as peer, trio.open_nursery() as nursery:
        await peer.initialize()
        line = '{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"memory_stats"}}}}\n'
        nursery.start_soon(peer.send_bytes, "".join(line.format(id) for id in range(count)).encode())
        answered = {(await peer.receive())["id"] for _ in range(count)}
    assert answered == set(range(count))
    assert most == IN_FLIGHT_MAX


async def test_a_message_may_arrive_in_pieces(serving):
    async with serving() as peer:
        await peer.initialize()
        for byte in b'{"jsonrpc":"2.0","id":5,"method":"ping"}\n':
            await peer.send_bytes(bytes([byte]))
        assert (await peer.receive())["id"] == 5
