"""MCP over HTTP against a node that answers from a script: messages, sessions, identity, bounds."""

from __future__ import annotations

import gc
import json
import logging
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from aimem.config import ApiConfig, McpProfile
from aimem.errors import AimemError, Bug, Code, InvalidRequest, NotFound, Unavailable
from aimem.mcp import CORE, TOOLS, Entrance, McpApp, http_agent
from aimem.mcp.http import DEADLINE_MARGIN_S
from aimem.mcp.session import EndedSessions, Session, read_session
from aimem.ports.chance import SeededChance
from tests.nodes import InlineThreads

VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
MODERN = "2026-07-28"
Post = Callable[..., Any]


@pytest.fixture
def app(client):
    return McpApp(
        lambda scope: Entrance(client=client, agent_id=scope.get("proven")), identify=http_agent("box"),
        settings=ApiConfig(body_max_bytes=4096, request_deadline_s=5),
        profile=McpProfile.CORE, chance=SeededChance(random.Random(1), random.Random(2)), threads=InlineThreads(),
    )


@pytest.fixture
def http(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost/")


def message(method: str, params: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}, **fields}


def hello(version: str = "2025-06-18", name: str = "claude-code") -> dict[str, Any]:
    who = {"name": name, "version": "1"}
    return message("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": who})


def call(tool: str, id: object = 1, **arguments: Any) -> dict[str, Any]:
    return message("tools/call", {"name": tool, "arguments": arguments}, id=id)


async def begin(http: httpx.AsyncClient, version: str = "2025-06-18", name: str = "claude-code") -> dict[str, str]:
    answer = await http.post("/mcp", json=hello(version, name))
    assert answer.status_code == 200, answer.text
    return {"Mcp-Session-Id": answer.headers["mcp-session-id"]}


def modern(method: str, params: dict[str, Any] | None = None, name: str | None = "new client") -> dict[str, Any]:
    """The arguments of a POST by the protocol without a handshake."""
    prefix = "io.modelcontextprotocol/"
    meta = {prefix + "protocolVersion": MODERN, prefix + "clientCapabilities": {}}
    meta |= {} if name is None else {prefix + "clientInfo": {"name": name, "version": "1"}}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    headers |= {"Mcp-Name": params["name"]} if params and "name" in params else {}
    return {"json": message(method, {**(params or {}), "_meta": meta}), "headers": headers}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_handshake_negotiates_what_the_client_asks_for_and_the_session_carries_it(http, version):
    answer = await http.post("/mcp", json=hello(version))
    session = read_session(answer.headers["mcp-session-id"])
    assert answer.json()["result"]["protocolVersion"] == session.version == version
    assert session.client == "claude-code"
    for more in ({}, {"MCP-Protocol-Version": version}):
        tools = await http.post("/mcp", json=message("tools/list"), headers={"Mcp-Session-Id": session.token, **more})
        assert {tool["name"] for tool in tools.json()["result"]["tools"]} == set(CORE)


async def test_an_unknown_version_is_answered_with_the_newest_that_has_a_handshake(http):
    answer = await http.post("/mcp", json=hello("1999-01-01"), headers={"MCP-Protocol-Version": "1999-01-01"})
    assert answer.json()["result"]["protocolVersion"] == VERSIONS[-1]


async def test_the_protocol_without_a_handshake_is_served(http, client):
    tools = await http.post("/mcp", **modern("tools/list"))
    called = await http.post("/mcp", **modern("tools/call", {"name": "memory_stats"}))
    nameless = await http.post("/mcp", **modern("tools/call", {"name": "memory_stats"}, name=None))
    assert len(tools.json()["result"]["tools"]) == len(CORE)
    assert called.status_code == nameless.status_code == 200
    named, anonymous = (agent for _, _, agent in client.calls)
    assert named == "ai:new-client@box:mcp"
    assert anonymous.startswith("anonymous:req-")
    assert "mcp-session-id" not in called.headers


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        (modern("memory/none"), 404, -32601),
        (modern("tools/call", {"name": "memory_nope"}), 404, -32601),
        ({"json": message("tools/list"), "headers": {"MCP-Protocol-Version": MODERN}}, 400, -32602),
        ({**modern("tools/list"), "headers": {"MCP-Protocol-Version": MODERN, "Mcp-Method": "ping"}}, 400, -32020),
        ({**modern("tools/list"), "headers": {}}, 400, -32020),
        ({"json": message("tools/list"), "headers": {"MCP-Protocol-Version": "1999-01-01"}}, 400, -32022),
    ],
)
async def test_a_request_that_contradicts_itself_or_asks_for_what_is_not_there_is_refused(http, given, status, code):
    answer = await http.post("/mcp", **given)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "id", "code"),
    [
        (b"", None, -32700),
        (b"nonsense", None, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}', None, -32700),
        (b'"\xff\xfe"', None, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\\ud800"}}', None, -32700),
        (b"[" * 4000, None, -32700),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None, -32600),
        (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', 7, -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None, -32600),
        (b'{"jsonrpc":"2.0","id":"a","method":5}', "a", -32600),
    ],
)
async def test_a_body_that_is_no_message_is_refused(http, body, id, code):
    answer = await http.post("/mcp", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert (answer.json()["id"], answer.json()["error"]["code"]) == (id, code)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (message("memory/none"), -32601), (call("memory_nope"), -32601), (call(""), -32602),
        (message("tools/call"), -32602), (message("prompts/get", {"name": "nope"}), -32602),
    ],
)
async def test_an_error_of_the_protocol_is_an_answer(http, client, asked, code):
    answer = await http.post("/mcp", json=asked, headers=await begin(http))
    assert (answer.status_code, answer.json()["id"], answer.json()["error"]["code"]) == (200, 1, code)
    assert client.calls == []


async def test_a_refusal_of_the_node_is_a_result(http, client):
    client.answers["get"] = NotFound("no memory 7f3a")
    result = (await http.post("/mcp", json=call("memory_get", id=1) | {"params": {
        "name": "memory_get", "arguments": {"id": "7f3a"}}})).json()["result"]
    assert result["isError"] is True
    assert json.loads(result["content"][0]["text"]) == {"error": "no memory 7f3a", "code": "not_found"}


@pytest.mark.parametrize("failure", [ValueError("secret detail"), Bug("secret detail")])
async def test_a_failure_of_ours_is_logged_and_only_named_on_the_wire(http, client, caplog, failure):
    client.answers["stats"] = failure
    with caplog.at_level(logging.ERROR, logger="aimem.mcp"):
        answer = await http.post("/mcp", json=call("memory_stats"))
    assert answer.json()["error"] == {"code": -32603, "message": "internal error"}
    assert caplog.records[0].message == "mcp.request_failed"


@pytest.mark.parametrize("fields", [{}, {"id": None}])
async def test_a_message_without_an_id_is_taken_and_not_executed(http, client, fields):
    body = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "memory_gc"}, **fields}
    answer = await http.post("/mcp", json=body)
    assert (answer.status_code, answer.content) == (202, b"")
    assert client.calls == []


async def test_the_author_is_the_header_else_the_client_and_its_session_else_nobody(http, client):
    first, second = await begin(http), await begin(http)
    nameless = await begin(http, name="日本")
    for headers in ({**first, "X-Agent-Id": "alice"}, first, first, second, nameless, {}, {}):
        assert (await http.post("/mcp", json=call("memory_stats"), headers=headers)).status_code == 200
    agents = [agent for _, _, agent in client.calls]
    marks = [read_session(one["Mcp-Session-Id"]).nonce[:8] for one in (first, second, nameless)]
    assert agents[:5] == [
        "alice", *[f"ai:claude-code@box:mcp-{marks[0]}"] * 2, f"ai:claude-code@box:mcp-{marks[1]}",
        f"anonymous:mcp-{marks[2]}",
    ]
    assert all(agent.startswith("anonymous:req-") for agent in agents[5:])
    assert agents[5] != agents[6]


async def test_an_agent_with_a_key_is_that_agent_whatever_its_client_is_called(app, client):
    async def proven(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "proven": "bot"}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(proven), base_url="http://localhost/") as http:
        for headers in ({}, await begin(http)):
            assert (await http.post("/mcp", json=call("memory_stats"), headers=headers)).status_code == 200
    assert [agent for _, _, agent in client.calls] == ["bot", "bot"]


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ([("X-Agent-Id", "two words")], "X-Agent-Id"),
        ([("X-Agent-Id", "a"), ("X-Agent-Id", "b")], "x-agent-id"),
        ([("Mcp-Session-Id", "a"), ("Mcp-Session-Id", "b")], "mcp-session-id"),
        ([("Content-Type", "text/plain")], "Content-Type"),
        ([("Content-Type", "application/json"), ("Content-Encoding", "gzip")], "Content-Encoding"),
    ],
)
async def test_headers_that_cannot_be_understood_are_refused_before_the_body_is_read(http, client, headers, field):
    kind = [] if any(name == "Content-Type" for name, _ in headers) else [("Content-Type", "application/json")]
    with pytest.raises(InvalidRequest) as refused:
        await http.post("/mcp", content=b"{}", headers=[*headers, *kind])
    assert refused.value.field == field
    assert client.calls == []


@pytest.mark.parametrize(
    "token", ["", "x", "0123456789abcdef", "0123456789abcdef.2025-06-18.a b", "../../etc", "é" * 9, "x" * 9000]
)
async def test_a_session_that_is_none_of_ours_is_not_found(http, client, token):
    headers = {"Mcp-Session-Id": token.encode()}
    asked = await http.post("/mcp", json=call("memory_stats"), headers=headers)
    ended = await http.delete("/mcp", headers=headers)
    assert asked.status_code == ended.status_code == 404
    assert "send initialize" in asked.json()["error"]["message"]
    assert client.calls == []


async def test_a_session_that_its_client_ended_is_not_found_and_others_are(http):
    first, second = await begin(http), await begin(http)
    assert (await http.delete("/mcp", headers=first)).status_code == 204
    assert (await http.delete("/mcp", headers=first)).status_code == 404
    assert (await http.post("/mcp", json=message("ping"), headers=first)).status_code == 404
    assert (await http.post("/mcp", json=message("ping"), headers=second)).json()["result"] == {}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_other_methods_are_refused_with_those_that_there_are(http, method):
    answer = await http.request(method, "/mcp", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, DELETE")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json, text/event-stream", "application/json"), ("application/json", "application/json"),
        ("*/*", "application/json"), ("text/event-stream", "text/event-stream"),
    ],
)
async def test_an_answer_is_json_and_an_event_only_for_who_takes_nothing_else(http, accept, kind):
    answer = await http.post("/mcp", json=message("ping"), headers={"Accept": accept})
    assert answer.headers["content-type"] == kind
    text = answer.text
    if kind == "text/event-stream":
        event, data, *rest = text.split("\n")
        assert (event, rest) == ("event: message", ["", ""])
        text = data.removeprefix("data: ")
    assert json.loads(text) == {"jsonrpc": "2.0", "id": 1, "result": {}}


async def test_the_address_chooses_the_profile_and_a_tool_works_though_it_is_not_listed(http):
    async def names(query: str) -> list[str]:
        answer = await http.post(f"/mcp{query}", json=message("tools/list"))
        return [tool["name"] for tool in answer.json()["result"]["tools"]]

    assert set(await names("")) == set(CORE) == set(await names("?profile=core"))
    assert await names("?profile=full") == list(TOOLS)
    assert (await http.post("/mcp", json=call("memory_stats"))).json()["result"]["isError"] is False
    with pytest.raises(InvalidRequest, match="allowed is one of core, full"):
        await names("?profile=all")


@pytest.mark.parametrize("query", ["", "?profile=full"])
async def test_capabilities_say_which_tools_are_not_shown_and_how_to_see_them(http, query):
    answer = await http.post(f"/mcp{query}", json=call("memory_capabilities"))
    said = json.loads(answer.json()["result"]["content"][0]["text"])["mcp"]
    if query:
        assert said == {"profile": "full"}
    else:
        assert set(said["unlisted_tools"]) == set(TOOLS) - set(CORE)
        assert "/mcp?profile=full" in said["hint"]


async def test_a_cancellation_reaches_a_request_of_its_own_session_alone(http, client):
    begun, ended = trio.Event(), trio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    client.answers["stats"] = wait
    mine, other = await begin(http), await begin(http)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            answer = await http.post("/mcp", json=call("memory_stats", id=9), headers=mine)
            assert answer.json()["error"]["message"] == "the request was cancelled"

        nursery.start_soon(ask)
        await begun.wait()
        for headers in (other, {}):
            assert (await http.post("/mcp", json=cancel, headers=headers)).status_code == 202
        assert not ended.is_set()
        assert (await http.post("/mcp", json=cancel, headers=mine)).status_code == 202
        await ended.wait()


async def test_a_call_that_takes_too_long_is_given_up_and_its_outcome_called_unknown(http, client, autojump_clock):
    client.answers["stats"] = trio.sleep_forever
    began = trio.current_time()
    with pytest.raises(Unavailable) as late:
        await http.post("/mcp", json=call("memory_stats"))
    assert (late.value.code, late.value.details["outcome"]) == (Code.DEADLINE_EXCEEDED, "indeterminate")
    assert trio.current_time() - began == pytest.approx(5 + DEADLINE_MARGIN_S)


def scope(**fields: Any) -> dict[str, Any]:
    headers = [(b"content-type", b"application/json")]
    return {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers, **fields}


async def nowhere(_: object) -> None:
    raise AssertionError("nothing was to be sent")


async def test_a_body_that_does_not_arrive_is_given_up_and_nothing_was_done(app, autojump_clock):
    with pytest.raises(Unavailable) as late:
        await app(scope(), trio.sleep_forever, nowhere)
    assert late.value.details["outcome"] == "not_applied"


async def test_a_body_is_refused_as_soon_as_it_is_too_large(app):
    parts = iter(range(1000))

    async def receive() -> dict[str, Any]:
        next(parts)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    with pytest.raises(AimemError) as refused:
        await app(scope(), receive, nowhere)
    assert refused.value.code is Code.BODY_TOO_LARGE
    assert next(parts) == 5


async def test_a_client_that_leaves_before_its_message_is_whole_is_not_answered(app, client):
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(parts)

    await app(scope(), receive, nowhere)
    assert client.calls == []


async def test_sessions_cost_the_server_nothing(http):
    async def grown_bytes(count: int) -> int:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            await begin(http)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        await grown_bytes(200)      # fills what libraries cache
        assert await grown_bytes(500) < 500 * 64
    finally:
        tracemalloc.stop()


def test_what_is_kept_of_ended_sessions_is_bounded():
    ended = EndedSessions()
    sessions = [Session(nonce=f"{n:016x}", version="2025-06-18", client="x") for n in range(10_000)]
    for session in sessions:
        ended.add(session)
    assert sum(session in ended for session in sessions) == 4096
    assert sessions[-1] in ended
