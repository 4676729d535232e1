"""One memory, three doors: what came in by one is recalled by a paraphrase through each of the others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.system.processes import START_S, ask, ask_json, command, daemon, environment, started

pytestmark = pytest.mark.slow

SEMANTIC = {"AI_MEMORY_TIER": "semantic"}
STORED = {
    "http": ("Release rhythm", "New versions go out every second Thursday, after a code freeze on Tuesday evening."),
    "cli": ("Staging database", "The Postgres instance of the staging host listens on port 5433."),
    "mcp": ("Allergy", "Maria must not eat peanuts; her throat swells up within minutes."),
}
PARAPHRASES = {
    "http": "When do we deploy to our customers?",
    "cli": "How do I connect to the SQL server of the test environment?",
    "mcp": "Which food would make our colleague ill?",
}


@contextlib.asynccontextmanager
async def sdk_client(db: Path) -> AsyncIterator[Client]:
    """The official SDK's client, with `ai-memory mcp` as its server process."""
    server = StdioServerParameters(
        command=sys.executable, args=command(db, "mcp")[1:], env={**environment(), **SEMANTIC}
    )
    async with Client(stdio_client(server)) as client:
        yield client


async def tool(client: Client, name: str, **arguments: Any) -> Any:
    answer = await client.call_tool(name, arguments)
    text = answer.content[0].text
    assert not answer.is_error, text
    return json.loads(text)


async def test_a_memory_of_each_door_is_recalled_by_a_paraphrase_through_each_other(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    async with (
        daemon(db, **SEMANTIC) as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http,
        sdk_client(db) as mcp,
    ):
        ids = {}
        title, content = STORED["http"]
        stored = await http.post("/api/v1/memories", json={"title": title, "content": content})
        ids["http"] = stored.json()["id"]
        title, content = STORED["cli"]
        ids["cli"] = (await ask_json(db, "store", "--namespace", "global", "-T", title, "-c", content))["id"]
        title, content = STORED["mcp"]
        ids["mcp"] = (await tool(mcp, "memory_store", title=title, content=content))["id"]
        assert (await http.get("/api/v1/index", params={"wait_below": 0})).json()["embedding_backlog"] == 0

        for door, question in PARAPHRASES.items():
            first = {
                "http": (await http.post("/api/v1/recall", json={"context": question})).json(),
                "cli": await ask_json(db, "recall", question),
                "mcp": await tool(mcp, "memory_recall", context=question, format="json"),
            }
            for other, answer in first.items():
                assert answer["mode"] == "hybrid"
                assert answer["memories"][0]["id"] == ids[door], f"stored by {door}, asked through {other}"


async def test_an_import_survives_kill_9_with_every_acknowledged_row(tmp_path: Path) -> None:
    """The daemon dies in the middle; the import goes on by itself, and nothing that was answered is missing."""
    db, document = tmp_path / "memory.db", tmp_path / "rows.jsonl"
    rows = [{"id": f"row-{n:05}", "content": f"Fact number {n} of the archive of the lighthouse."} for n in range(3000)]
    document.write_text("\n".join(map(json.dumps, rows)))
    async with (
        daemon(db) as (process, url), httpx.AsyncClient(base_url=url) as http,
        started(command(db, "import", str(document), "--json")) as importing,
    ):
        with trio.fail_after(START_S):
            while (await http.get("/api/v1/stats")).json()["total"] == 0:
                await trio.lowlevel.checkpoint()
        acknowledged = [row["id"] for row in (await http.get("/api/v1/memories?limit=1000")).json()["memories"]]
        assert await process.kill() == -signal.SIGKILL
        assert acknowledged
        told = await importing.stderr_rest()
        assert await importing.wait() == 0, told
    for memory_id in acknowledged[:: max(1, len(acknowledged) // 5)]:
        assert (await ask(db, "get", memory_id)).returncode == 0
    assert (await ask_json(db, "stats"))["total"] == len(rows)
    again = await ask_json(db, "import", str(document))
    assert (again["imported"], again["unchanged"]) == (0, len(rows))


async def test_nothing_is_written_outside_the_home_and_the_database(tmp_path: Path) -> None:
    home = Path(os.environ["HOME"])
    await ask(tmp_path / "memory.db", "store", "-T", "t", "-c", "c")
    assert [path.name for path in home.rglob("*") if path.is_file()] == []
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= {"memory.db", "memory.db.node"}
