"""Real clients against a real daemon drive every tool; HTTP shows what each of them did."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from aimem.mcp import CORE, TOOLS
from tests.mcp.cases import CASES, World
from tests.system.processes import START_S, command, daemon, environment, started

CallTool = Callable[[str, dict[str, Any]], Awaitable[tuple[bool, str]]]
OLD = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}


def test_every_tool_has_a_case() -> None:
    missing = [name for name in TOOLS if name not in CASES]
    assert not missing, f"add a case for {', '.join(missing)} to tests/mcp/cases/"


def _sdk(client: Client) -> CallTool:
    async def call(name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        answer = await client.call_tool(name, arguments)
        return bool(answer.is_error), answer.content[0].text

    return call


@asynccontextmanager
async def sdk_over_stdio(db: Path, url: str) -> AsyncIterator[CallTool]:
    words = command(db, "mcp", "--profile", "full")
    server = StdioServerParameters(command=sys.executable, args=words[1:], env=environment())
    async with Client(stdio_client(server), mode="legacy") as client:
        yield _sdk(client)


@asynccontextmanager
async def sdk_over_http(db: Path, url: str) -> AsyncIterator[CallTool]:
    async with Client(streamable_http_client(f"{url}/mcp?profile=full"), mode="legacy") as client:
        yield _sdk(client)


@asynccontextmanager
async def sdk_without_a_handshake(db: Path, url: str) -> AsyncIterator[CallTool]:
    async with Client(streamable_http_client(f"{url}/mcp?profile=full")) as client:
        assert client.protocol_version == "2026-07-28"
        yield _sdk(client)


@asynccontextmanager
async def by_hand_over_stdio(db: Path, url: str) -> AsyncIterator[CallTool]:
    async with started(command(db, "mcp")) as process:
        assert (await process.call("initialize", **OLD))["protocolVersion"] == "2024-11-05"

        async def call(name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
            result = await process.call("tools/call", name=name, arguments=arguments)
            return bool(result.get("isError")), result["content"][0]["text"]

        yield call


@asynccontextmanager
async def by_hand_over_http(db: Path, url: str) -> AsyncIterator[CallTool]:
    async with httpx.AsyncClient(base_url=url, timeout=START_S) as http:

        async def ask(method: str, params: dict[str, Any]) -> httpx.Response:
            answer = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            assert answer.status_code == 200, answer.text
            return answer

        begun = await ask("initialize", OLD)
        assert begun.json()["result"]["protocolVersion"] == "2024-11-05"
        http.headers["Mcp-Session-Id"] = begun.headers["Mcp-Session-Id"]

        async def call(name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
            result = (await ask("tools/call", {"name": name, "arguments": arguments})).json()["result"]
            return bool(result.get("isError")), result["content"][0]["text"]

        yield call


@pytest.mark.slow
@pytest.mark.parametrize(
    "client", [sdk_over_stdio, sdk_over_http, sdk_without_a_handshake, by_hand_over_stdio, by_hand_over_http],
    ids=lambda client: client.__name__,
)
async def test_a_client_drives_every_tool_and_http_shows_what_it_did(client: Any, tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    async with (
        daemon(db) as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http, client(db, url) as call,
    ):
        for name in TOOLS:
            case = CASES[name]
            try:
                world = World(http, f"case/{name}")
                given = await case.arguments(world)
                is_error, text = await call(name, given)
                if case.refusal:
                    assert json.loads(text)["code"] == case.refusal
                assert is_error == bool(case.refusal), text
                await case.check(world, given, _read(text))
            except Exception as error:
                error.add_note(f"the tool was {name}")
                raise


async def _listed(db: Path, *words: str, **environ: str) -> set[str]:
    async with started(command(db, "mcp", *words), **environ) as process:
        await process.call("initialize", **OLD)
        return {tool["name"] for tool in (await process.call("tools/list"))["tools"]}


@pytest.mark.slow
async def test_option_variable_and_address_choose_what_a_client_is_shown(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    full = {"AI_MEMORY_MCP_PROFILE": "full"}
    assert await _listed(db) == await _listed(db, "--profile", "core", **full) == set(CORE)
    assert await _listed(db, "--profile", "full") == await _listed(db, **full) == set(TOOLS)
    async with daemon(db, **full) as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http:
        for query, names in (("", TOOLS), ("?profile=core", CORE)):
            answer = await http.post(f"/mcp{query}", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            assert {tool["name"] for tool in answer.json()["result"]["tools"]} == set(names)


@pytest.mark.slow
async def test_a_daemon_with_a_key_asks_for_it_over_tcp_and_not_on_its_socket(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "memory_stats", "arguments": {}}}
    async with (
        daemon(db, AI_MEMORY_API_KEY="sesame") as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as tcp,
        httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=f"{db}.sock"), base_url="http://localhost", timeout=START_S
        ) as socket,
    ):
        assert (await tcp.post("/mcp", json=call)).status_code == 401
        for http, headers in ((tcp, {"X-API-Key": "sesame"}), (socket, {})):
            answer = await http.post("/mcp", json=call, headers=headers)
            assert json.loads(answer.json()["result"]["content"][0]["text"])["total"] == 0


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
