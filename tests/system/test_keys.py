"""Keys of agents end to end: a daemon, its socket, TCP, the command line and MCP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.processes import START_S, Process, ask, ask_json, command, daemon, session, started

pytestmark = pytest.mark.slow


async def add(db: Path, *words: str) -> str:
    """A new key, as a script reads it: the only line on stdout."""
    done = await ask(db, "agents", "key", "add", *words)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().removesuffix("\n")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def mcp_store(http: httpx.AsyncClient, key: str, **arguments: Any) -> Any:
    """What the tool memory_store says at /mcp."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "memory_store", "arguments": {"title": "by mcp", "content": "c", **arguments}}}
    answer = await http.post(http.base_url.copy_with(path="/mcp"), json=call, headers={"X-API-Key": key})
    assert answer.status_code == 200, answer.text
    return json.loads(answer.json()["result"]["content"][0]["text"])


async def test_the_first_key_closes_the_node_and_each_caller_is_whom_its_key_says(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    async with daemon(db) as (process, url), httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=START_S) as http:
        before = await http.post("/memories", json={"title": "old", "content": "c"}, headers={"X-Agent-Id": "ghost"})
        assert before.status_code == 201
        refused = await http.post("/agents/keys", json={"agent_id": "thief"})
        assert code(refused) == (403, "operator_required")
        assert "ai-memory agents key add" in refused.json()["error"]

        bot = {"X-API-Key": await add(db, "bot", "--home", "acme/bot")}
        assert code(await http.get("/memories")) == (401, "unauthenticated")
        wrong = bot["X-API-Key"][:-1] + ("B" if bot["X-API-Key"].endswith("A") else "A")
        assert code(await http.get("/memories", headers={"X-API-Key": wrong}))[0] == 401
        assert (await http.get("/health")).json()["access"] == "agent_keys"

        stored = await http.post("/memories", json={"title": "t", "content": "c"}, headers=bot)
        assert (stored.status_code, stored.json()["agent_id"]) == (201, "bot")
        forged = await http.post("/memories", json={"title": "f", "content": "c"}, headers={**bot, "X-Agent-Id": "ann"})
        assert code(forged) == (403, "identity_mismatch")
        in_body = await http.post("/memories", json={"title": "f", "content": "c", "agent_id": "ann"}, headers=bot)
        assert code(in_body) == (403, "identity_mismatch")
        assert code(await http.get("/metrics", headers=bot)) == (403, "operator_required")

        assert (await mcp_store(http, bot["X-API-Key"]))["agent_id"] == "bot"
        assert (await mcp_store(http, bot["X-API-Key"], title="f", agent_id="ann"))["code"] == "identity_mismatch"

        authors = {one["title"]: one["metadata"]["agent_id"] for one in (await ask_json(db, "list"))["memories"]}
        assert authors == {"old": "ghost", "t": "bot", "by mcp": "bot"}

        assert (await ask(db, "agents", "key", "revoke", "--all-of", "bot")).returncode == 0
        assert code(await http.get("/memories", headers=bot)) == (401, "key_revoked")
        assert await process.stop() == 0

    async with daemon(db) as (_, url), httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=START_S) as http:
        # All keys have ended and the node was started anew: it stays closed.
        assert code(await http.get("/memories")) == (401, "unauthenticated")
        assert code(await http.get("/memories", headers=bot)) == (401, "key_revoked")
        assert len((await ask_json(db, "list"))["memories"]) == 3


async def test_commands_and_mcp_act_as_the_agent_of_their_key(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    async with session(db) as holder:
        key = await add(db, "bot")
        done = await ask(db, "store", "-T", "by command", "-c", "c", "-n", "x", "--json", AI_MEMORY_API_KEY=key)
        assert json.loads(done.stdout)["agent_id"] == "bot"
        listed = await ask(db, "agents", "key", "list", AI_MEMORY_API_KEY=key)
        assert listed.returncode == 4
        assert "for operators" in listed.stderr.decode()
        claimed = await ask(db, "stats", "--agent-id", "ann", AI_MEMORY_API_KEY=key)
        assert claimed.returncode == 4
        async with started(command(db, "mcp"), AI_MEMORY_API_KEY=key) as process:
            await shake_hands(process)
            assert (await process.tool("memory_store", title="by mcp", content="c"))["agent_id"] == "bot"
            await holder.kill()
            # It holds the database itself now, and is still only this agent.
            assert (await process.tool("memory_store", title="by holder", content="c"))["agent_id"] == "bot"
            result = await process.call(
                "tools/call", name="memory_store", arguments={"title": "f", "content": "c", "agent_id": "ann"})
            assert "identity_mismatch" in result["content"][0]["text"]


async def shake_hands(process: Process) -> None:
    await process.call(
        "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "1"})


async def test_a_daemon_takes_no_agents_key_for_its_own(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    key = await add(db, "bot")
    done = await ask(db, "serve", "--port", "0", AI_MEMORY_API_KEY=key)
    assert done.returncode == 2
    assert "those are for clients" in done.stderr.decode()
    assert key not in done.stderr.decode()
