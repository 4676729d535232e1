"""MCP beside the API: the same guard and rim, and calls with the credential of their own caller."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from aimem.api import Transport, make_app
from aimem.config import ApiConfig, Config, IdentityConfig, StoreConfig
from aimem.ports.chance import SeededChance
from aimem.supervisor import mcpdoor
from aimem.supervisor.mcpdoor import PATH, McpDoor
from tests.api.conftest import TinyNode, arriving_by
from tests.api.tiny import Route, echo
from tests.nodes import InlineThreads, open_node
from tests.supervisor.serving import serving

INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
}


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def both(node: Any, *routes: Route, is_stopping: bool = False, anonymize: bool = False, **settings: Any) -> Any:
    """The API with MCP beside it."""
    config = Config(
        store=StoreConfig(db=Path("/nowhere")), api=ApiConfig(**settings), identity=IdentityConfig(anonymize=anonymize)
    )
    chance = SeededChance(random.Random(1), random.Random(2))
    door = McpDoor(config, chance=chance, threads=InlineThreads(), host="box")
    more: dict[str, Any] = {"routes": routes} if routes else {}
    app = make_app(node, config.api, is_stopping=lambda: is_stopping, beside={PATH: door}, **more)
    door.lead_to(app)
    return app


def dial(app: Any, transport: Transport | None = Transport.TCP_LOOPBACK) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(arriving_by(app, transport)), base_url="http://localhost:9077"
    )


WHO = Route(method="GET", path="/api/v1/stats", name="who", handler=echo, answer=None, summary="Who asks.")


@pytest.mark.parametrize(
    ("transport", "api_key", "credential"),
    [
        (Transport.UNIX, "k", "socket"), (Transport.IN_PROCESS, "k", "socket"), (Transport.TCP, "k", "api_key"),
        (Transport.TCP_LOOPBACK, "k", "api_key"), (Transport.TCP, None, "open"),
        (Transport.TCP_LOOPBACK, None, "open"), (None, "k", "api_key"),
    ],
)
async def test_a_call_is_made_with_the_credential_that_its_caller_got_in_with(
    transport, api_key, credential
):
    seen = []

    async def tell(given: Any) -> Any:
        seen.append((given.who.credential, given.who.agent_id))
        return await echo(given)

    route = Route(method="GET", path="/api/v1/stats", name="who", handler=tell, answer=None, summary="Who asks.")
    async with dial(both(TinyNode(), route, api_key=api_key), transport) as http:
        answer = await http.post(
            PATH, json=call("memory_stats"), headers={"X-API-Key": "k", "X-Agent-Id": "alice"}
        )
    assert answer.status_code == 200, answer.text
    assert seen == [(credential, "alice")]


async def keys_of(app: Any, *names: str, **fields: str) -> dict[str, str]:
    """A key for each, made by the owner of the socket."""
    async with dial(app, Transport.UNIX) as http:
        made = [await http.post("/api/v1/agents/keys", json={"agent_id": name, **fields}) for name in names]
    return {name: answer.json()["key"] for name, answer in zip(names, made, strict=True)}


async def stored_by(http: httpx.AsyncClient, headers: dict[str, str], **arguments: Any) -> dict[str, Any]:
    """What memory_store answers."""
    answer = await http.post(PATH, json=call("memory_store", title="T", content="C", **arguments), headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = json.loads(answer.json()["result"]["content"][0]["text"])
    return told


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TCP_LOOPBACK, Transport.UNIX, None])
async def test_a_call_is_made_by_the_agent_of_its_key(tmp_path, transport):
    async with open_node(tmp_path / "m.db", threads=InlineThreads()) as node:
        app = both(node)
        keys = await keys_of(app, "bot", "ann")
        async with dial(app, transport) as http:
            for name, key in keys.items():
                mine = {"X-API-Key": key}
                begun = await http.post(PATH, json=INITIALIZE, headers=mine)
                session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
                for headers in (mine, {**mine, **session}, {**mine, "X-Agent-Id": name}):
                    assert (await stored_by(http, headers, namespace=name))["agent_id"] == name
                forged = await stored_by(http, mine, agent_id="root")
                assert (forged["code"], forged["field"]) == ("identity_mismatch", "agent_id")
                claimed = await http.post(PATH, json=INITIALIZE, headers={**mine, "X-Agent-Id": "root"})
                assert (claimed.status_code, claimed.json()["code"]) == (403, "identity_mismatch")
            # A session says nothing of who comes with it.
            other = {"X-API-Key": keys["bot"], **session}
            assert (await stored_by(http, other, namespace="x"))["agent_id"] == "bot"


async def test_once_agents_have_keys_mcp_asks_for_one_and_a_revoked_one_serves_no_more(tmp_path):
    async with open_node(tmp_path / "m.db", threads=InlineThreads()) as node:
        app = both(node, api_key="shared")
        keys = await keys_of(app, "bot")
        mine = {"X-API-Key": keys["bot"]}
        async with dial(app) as http:
            assert (await http.post(PATH, json=INITIALIZE)).json()["code"] == "unauthenticated"
            assert (await stored_by(http, {"X-API-Key": "shared"}))["agent_id"] == "operator:api-key"
            session = {"Mcp-Session-Id": (await http.post(PATH, json=INITIALIZE, headers=mine)).headers[
                "mcp-session-id"]}
            async with dial(app, Transport.UNIX) as owner:
                await owner.request("DELETE", "/api/v1/agents/keys", params={"agent_id": "bot"})
            late = await http.post(PATH, json=call("memory_stats"), headers={**mine, **session})
    assert (late.status_code, late.json()["code"]) == (401, "key_revoked")


async def test_more_callers_than_ways_are_kept_still_each_act_for_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(mcpdoor, "CALLERS_MAX", 2)
    names = ("a", "b", "c")
    async with open_node(tmp_path / "m.db", threads=InlineThreads()) as node:
        app = both(node)
        keys = await keys_of(app, *names)
        async with dial(app) as http:
            for name in names * 2:
                assert (await stored_by(http, {"X-API-Key": keys[name]}, namespace=name))["agent_id"] == name


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TCP_LOOPBACK, None])
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer k"}])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_nobody_gets_in_without_the_key(transport, headers, method):
    async with dial(both(TinyNode(), WHO, api_key="k"), transport) as http:
        answer = await http.request(method, PATH, json=INITIALIZE, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://evil.example"}, "foreign_origin"), ({"Origin": "null"}, "foreign_origin"),
        ({"Host": "evil.example"}, "foreign_host"), ({"Host": "localhost.evil.example:9077"}, "foreign_host"),
    ],
)
async def test_a_web_page_from_elsewhere_does_not_get_in_by_the_loopback_address(headers, code):
    async with dial(both(TinyNode(), WHO)) as http:
        refused = await http.post(PATH, json=INITIALIZE, headers=headers)
        welcome = await http.post(PATH, json=INITIALIZE, headers={"Origin": "http://localhost:3000"})
    assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert welcome.status_code == 200


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"content": b"{}"}, 415, "unsupported_media_type"),
        ({"json": INITIALIZE, "headers": {"X-Agent-Id": "two words"}}, 400, "invalid_request"),
        ({"json": INITIALIZE, "params": {"profile": "all"}}, 400, "invalid_request"),
    ],
)
async def test_what_is_no_message_is_refused_as_by_the_api(request_, status, code):
    async with dial(both(TinyNode(), WHO)) as http:
        answer = await http.post(PATH, **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["x-request-id"]


async def test_a_node_on_its_way_out_takes_no_more_messages():
    async with dial(both(TinyNode(), WHO, is_stopping=True)) as http:
        answer = await http.post(PATH, json=INITIALIZE)
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")


async def test_a_deeper_path_is_not_this_door():
    async with dial(both(TinyNode(), WHO)) as http:
        for tail in ("/", "/x", "x"):
            assert (await http.post(f"{PATH}{tail}", json=INITIALIZE)).status_code == 404


@pytest.mark.parametrize(("anonymize", "author"), [(False, "ai:c@box:mcp-"), (True, "anonymous:mcp-")])
async def test_a_client_stores_and_finds_through_both_doors_and_the_metrics_count_it(tmp_path, anonymize, author):
    async with open_node(tmp_path / "m.db", threads=InlineThreads()) as node, dial(
        both(node, anonymize=anonymize)
    ) as http:
        begun = await http.post(PATH, json=INITIALIZE)
        headers = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        stored = await http.post(PATH, json=call("memory_store", title="T", content="C"), headers=headers)
        memory_id = json.loads(stored.json()["result"]["content"][0]["text"])["id"]
        memory = (await http.get(f"/api/v1/memories/{memory_id}")).json()
        metrics = (await http.get("/metrics")).text
    assert memory["metadata"]["agent_id"].startswith(author)
    assert 'ai_memory_http_requests_total{method="POST",route="/mcp",status="200"} 2.0' in metrics


async def test_a_restart_of_the_node_ends_no_session():
    async with dial(both(TinyNode(), WHO)) as http:
        token = (await http.post(PATH, json=INITIALIZE)).headers["mcp-session-id"]
    async with dial(both(TinyNode(), WHO)) as http:
        answer = await http.post(PATH, json=call("memory_stats"), headers={"Mcp-Session-Id": token})
    assert answer.status_code == 200


async def test_the_refusal_of_a_late_call_is_the_apis(autojump_clock):
    async def late(_: Any) -> Any:
        await trio.sleep_forever()

    route = Route(method="GET", path="/api/v1/stats", name="late", handler=late, answer=None, summary="Late.")
    async with dial(both(TinyNode(), route, request_deadline_s=5)) as http:
        result = (await http.post(PATH, json=call("memory_stats"))).json()["result"]
    assert result["isError"] is True
    assert json.loads(result["content"][0]["text"])["code"] == "deadline_exceeded"


async def test_a_message_that_is_too_large_is_refused_and_the_server_goes_on():
    async with serving(both(TinyNode(), WHO, body_max_bytes=4096)) as served:
        url = f"http://127.0.0.1:{served.port}{PATH}"
        async with httpx.AsyncClient(headers={"Content-Type": "application/json"}) as http:
            refused = await http.post(url, content=b"x" * 200_000)
            welcome = await http.post(url, json=INITIALIZE)
    assert (refused.status_code, refused.json()["code"], refused.json()["limit_bytes"]) == (413, "body_too_large", 4096)
    assert welcome.status_code == 200


async def test_clients_that_read_and_write_slowly_do_not_hold_up_the_others(tmp_path):
    """One never finishes its message, one never reads its answer; a third is served meanwhile."""
    async with open_node(tmp_path / "m.db", threads=InlineThreads()) as node, serving(both(node)) as served:
        head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
        body = json.dumps(call("memory_list", limit=200)).encode()
        idle = await served.connect(head + b"100000\r\n\r\n{")
        deaf = [await served.connect(head + b"%d\r\n\r\n" % len(body) + body) for _ in range(8)]
        with trio.fail_after(30):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
                answers = [await http.post(PATH, json=INITIALIZE) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        served.hurry.set()
        for stream in (idle, *deaf):
            await stream.aclose()
