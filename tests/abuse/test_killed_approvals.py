"""A daemon killed between votes and their answers: an action and its effect are there together or not at all."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.system.processes import START_S, daemon

pytestmark = pytest.mark.slow

COUNT = 30
SPACE = "asked/here"
POLICY = {"governance": {"write": "approve"}}


async def ask(http: httpx.AsyncClient, agent: str, path: str, body: object = None, key: str | None = None) -> Any:
    headers = {"X-Agent-Id": agent} | ({} if key is None else {"Idempotency-Key": key})
    answer = await http.post(f"/api/v1/{path}", json=body, headers=headers)
    answer.raise_for_status()
    return answer.json()


async def approve_until_killed(http: httpx.AsyncClient, waiting: list[str], told: list[str]) -> None:
    try:
        for pending_id in waiting:
            await ask(http, "alice", f"pending/{pending_id}/approve", key=f"approve {pending_id}")
            told.append(pending_id)
    except httpx.TransportError:
        return


async def check(http: httpx.AsyncClient, told: list[str]) -> None:
    """What was told is done; of each action outcome and effect are both there, or neither."""
    shown = (await http.get("/api/v1/pending", params={"limit": 1000})).raise_for_status().json()["pending"]
    stored = (await http.get("/api/v1/memories", params={"namespace": SPACE, "limit": 1000})).json()["memories"]
    done = [one["result_id"] for one in shown if one["status"] == "approved"]
    assert sorted(done) == sorted(memory["id"] for memory in stored)
    assert set(told) <= {one["id"] for one in shown if one["status"] == "approved"}


async def test_a_daemon_killed_while_actions_are_approved_has_each_done_with_its_outcome(tmp_path: Path) -> None:
    rng, told, waiting = random.Random(5), list[str](), list[str]()
    async with (
        daemon(tmp_path / "m.db") as (process, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http
    ):
        await ask(http, "bob", "namespaces/asked/standard", POLICY)
        for number in range(COUNT):
            memory = {"title": f"t{number}", "content": "word", "namespace": SPACE}
            waiting.append((await ask(http, "bob", "memories", memory))["pending_id"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(approve_until_killed, http, waiting, told)
            await trio.sleep(rng.uniform(0.02, 0.15))
            await process.kill()
    async with daemon(tmp_path / "m.db") as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http:
        await check(http, told)
        # The same votes once more, under the keys that they had: each is answered, and nothing is done twice.
        for pending_id in waiting:
            again = await ask(http, "alice", f"pending/{pending_id}/approve", key=f"approve {pending_id}")
            assert (again["status"], again["executed"]) == ("approved", True)
        await check(http, waiting)
