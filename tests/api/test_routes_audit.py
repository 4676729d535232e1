"""The audit and the limits of one agent, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trio.testing

from aimem.config import LimitsConfig
from aimem.service import Node
from tests.api.test_routes import client_of, store
from tests.nodes import FakeClock, InlineThreads, open_node

BOB = {"X-Agent-Id": "bob"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    limits = LimitsConfig(requests_per_s=1, requests_burst=5, writes_per_min=6, writes_burst=2, content_bytes=50)
    async with open_node(
        tmp_path / "memory.db", clock=FakeClock(), threads=InlineThreads(), limits=limits
    ) as node:
        yield node


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(node) as http:
        yield http


async def test_the_audit_is_listed_checked_and_cut(http: httpx.AsyncClient) -> None:
    await store(http, namespace="team")
    listed = (await http.get("/audit?action=store&namespace=team")).json()
    [row] = listed["rows"]
    assert (row["agent_id"], row["credential"], row["decision"]) == ("alice", "open", "allowed")
    verified = (await http.get(f"/audit/verify?after={listed['head']}")).json()
    assert (verified["ok"], verified["checked"]) == (True, 0)
    pruned = (await http.delete("/audit?before_seq=2")).json()
    assert (pruned["pruned"], pruned["checkpoint"]["seq"]) == (1, 1)
    assert (await http.get("/audit/verify", headers=BOB)).json()["checkpoint"]["made_by"] == "alice"


@pytest.mark.parametrize(("method", "path", "field"), [
    ("GET", "/audit?limit=x", "limit"), ("GET", "/audit?since=soon", "since"),
    ("GET", "/audit/verify?after=1", "after"), ("DELETE", "/audit", "before"),
    ("DELETE", "/audit?before_seq=-1", "before_seq"),
])
async def test_bad_questions_are_400_and_name_their_field(
    http: httpx.AsyncClient, method: str, path: str, field: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_beyond_its_rate_an_agent_gets_429_until_it_has_waited(
    http: httpx.AsyncClient, autojump_clock: trio.testing.MockClock
) -> None:
    answers = [await http.get("/stats") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    body = answers[-1].json()
    assert (body["code"], body["rule"], body["retry_after_s"]) == ("rate_limited", "limits.requests_per_sec", 1)
    assert answers[-1].headers["retry-after"] == "1"
    assert (await http.get("/stats", headers=BOB)).status_code == 200
    assert (await http.get("/health")).status_code == 200
    await trio.sleep(int(answers[-1].headers["retry-after"]))
    assert (await http.get("/stats")).status_code == 200


async def test_reads_do_not_use_up_what_writes_have(http: httpx.AsyncClient, node: Node) -> None:
    for title in ("one", "two"):
        await store(http, title=title, content="x")
    refused = await http.post("/memories", json={"title": "three", "content": "x"})
    assert (refused.status_code, refused.json()["rule"]) == (429, "limits.writes_per_min")
    assert int(refused.headers["retry-after"]) == 10
    assert (await http.get("/stats")).json()["total"] == 2
    rows = (await http.get("/audit?decision=denied")).json()["rows"]
    assert [(row["agent_id"], row["action"], row["rule"]) for row in rows] == [
        ("alice", "remember", "limits.writes_per_min")]
    assert node.limiter.agents_count == 1


async def test_what_no_waiting_helps_against_has_no_time_to_wait(http: httpx.AsyncClient) -> None:
    refused = await http.post("/memories", json={"title": "long", "content": "x" * 51})
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert "retry-after" not in refused.headers
    assert (await http.get("/stats")).json()["total"] == 0


async def test_a_write_that_would_wait_too_long_is_429_at_once(http: httpx.AsyncClient, node: Node) -> None:
    node.store._writer._busy_since = trio.current_time() - 20
    refused = await http.post("/memories", json={"title": "one", "content": "x"})
    assert (refused.status_code, refused.json()["code"], refused.json()["outcome"]) == (
        429, "writer_busy", "not_applied")
    assert int(refused.headers["retry-after"]) == 6
    assert (await http.get("/stats")).status_code == 200
    node.store._writer._busy_since = None
    await store(http, title="one", content="x")
