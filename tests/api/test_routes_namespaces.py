"""Standards and policies over HTTP: the forms of v0.6.3, the answers, and that bad input changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from aimem.service import Node
from tests.api.test_routes import client_of, state
from tests.hostile import JSON_TEXTS
from tests.nodes import FakeClock, InlineThreads, open_node

JSON = {"Content-Type": "application/json"}
BOB = {"X-Agent-Id": "bob"}
OPEN_POLICY = {"write": "any", "promote": "any", "delete": "owner", "policy": "any", "approver": "human"}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), threads=InlineThreads()) as node:
        yield node


@pytest.fixture
async def http(opened: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(opened) as client:
        yield client


def at(namespace: str, what: str = "standard") -> httpx.URL:
    return httpx.URL(f"http://localhost:9077/api/v1/namespaces/{quote(namespace, safe='')}/{what}")


async def test_a_standard_is_set_shown_and_cleared_by_either_road(http: httpx.AsyncClient) -> None:
    made = (await http.post("/memories", json={"title": "Rules", "content": "Be kind.", "namespace": "a/b"})).json()
    by_path = await http.post(at("a/b"), json={"id": made["id"], "governance": {"write": "any", "policy": "any"}})
    assert by_path.status_code == 201
    assert by_path.json()["governance"] == OPEN_POLICY
    assert (by_path.json()["set"], by_path.json()["standard_id"]) == (True, made["id"])
    by_body = await http.post("/namespaces", json={"standard": {"namespace": "a/b", "parent": "law"}})
    assert (by_body.status_code, by_body.json()["parent"]) == (201, "law")
    shown = (await http.get(at("a/b"))).json()
    assert shown == (await http.get("/namespaces?namespace=a/b")).json()
    assert {"title": "Rules", "content": "Be kind.", "priority": 5, "governance": OPEN_POLICY}.items() <= shown.items()
    every = (await http.get(f"{at('a/b/c')}?inherit=true")).json()
    assert every == (await http.get("/namespaces?namespace=a/b/c&inherit=true")).json()
    assert (every["chain"], every["count"], every["from"]) == (["*", "law", "a", "a/b", "a/b/c"], 1, "a/b")
    cleared = await http.delete("/namespaces?namespace=a/b")
    assert (cleared.status_code, cleared.json()["cleared"], cleared.json()["standard_id"]) == (200, True, made["id"])
    assert (await http.delete(at("a/b"))).json() == {"cleared": False, "namespace": "a/b"}
    assert (await http.get(at("a/b"))).json() == {
        "namespace": "a/b", "standard_id": None, "governance": None, "effective": None, "from": None,
    }


async def test_the_global_standard_has_a_path(http: httpx.AsyncClient) -> None:
    assert (await http.post(at("*"), json={"content": "Be kind."})).status_code == 201
    assert (await http.get(at("*"))).json()["content"] == "Be kind."


async def test_a_dry_run_is_200_and_writes_nothing(http: httpx.AsyncClient) -> None:
    before = await state(http)
    answer = await http.post(at("a"), json={"governance": {"write": "approve"}, "dry_run": True})
    assert (answer.status_code, answer.json()["dry_run"], answer.json()["decision"]) == (200, True, "allow")
    assert await state(http) == before


async def test_the_same_request_under_one_key_is_done_once(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = [await http.post(at("a"), json={"content": "Be kind."}, headers=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await http.post(at("a"), json={"content": "Be brief."}, headers=key)
    assert other.json()["code"] == "idempotency_mismatch"


async def test_a_policy_governs_over_http(http: httpx.AsyncClient) -> None:
    await http.post(at("a"), json={"governance": {"write": "owner", "delete": "approve"}})
    denied = await http.post("/memories", json={"content": "x", "namespace": "a/b"}, headers=BOB)
    assert (denied.status_code, denied.json()["code"], denied.json()["rule"]) == (
        403, "denied_by_policy", "a: write=owner")
    made = (await http.post("/memories", json={"content": "x", "namespace": "a/b"})).json()
    asked = await http.delete(f"/memories/{made['id']}")
    assert (asked.status_code, asked.json()["status"], asked.json()["memory_id"]) == (202, "pending", made["id"])
    assert (await http.post(at("a"), json={"governance": OPEN_POLICY}, headers=BOB)).status_code == 403
    told = (await http.get(f"{at('a/b', 'access')}?agent_id=bob")).json()
    assert {row["verb"]: row["decision"] for row in told["access"]} == {
        "write": "deny", "promote": "allow", "delete": "ask", "policy": "deny"}
    past = (await http.get(f"{at('a', 'history')}?limit=1")).json()
    assert (past["count"], past["history"][0]["changed_by"]) == (1, "alice")


async def test_recall_gives_standards_if_asked(http: httpx.AsyncClient) -> None:
    await http.post(at("a"), json={"content": "Deploy on weekdays."})
    for answer in (
        await http.get("/recall?context=deploy&namespace=a&standards=true"),
        await http.post("/recall", json={"context": "deploy", "namespace": "a", "standards": True}),
    ):
        found = answer.json()
        assert (found["standard"]["standard_of"], found["memories"], found["count"]) == ("a", [], 0)
    assert "standard" not in (await http.get("/recall?context=deploy&namespace=a")).json()
    session = (await http.post("/session/start", json={"namespace": "a"})).json()
    assert session["standard"]["content"] == "Deploy on weekdays."


BAD = [
    ("POST", "/namespaces", {}), ("POST", "/namespaces", {"governance": {"write": "any"}}),
    ("POST", "/namespaces", {"namespace": "a//b"}), ("POST", "/namespaces", {"namespace": 5}),
    ("POST", "/namespaces", {"namespace": "a", "standard": {"namespace": "b/"}}),
    ("POST", "/namespaces", {"namespace": "a", "standard": []}),
    ("POST", "/namespaces", {"namespace": "a", "governance": "any"}),
    ("POST", "/namespaces", {"namespace": "a", "governance": {"write": "all"}}),
    ("POST", "/namespaces", {"namespace": "a", "governance": {"write": "any", "approver": {"consensus": 1e3}}}),
    ("POST", "/namespaces", {"namespace": "a", "force": "yes"}),
    ("POST", "/namespaces", {"namespace": "a", "id": "0" * 36}), ("POST", "/namespaces", {"namespace": "a", "id": ""}),
    ("POST", "/namespaces", {"namespace": "a", "content": "a\0b"}),
    ("POST", "/namespaces", {"namespace": "a", "content": "x" * 65_537}),
    ("POST", "/namespaces/a/standard", {"namespace": "b", "content": "x"}),
    ("POST", "/namespaces/a%2F%2Fb/standard", {"content": "x"}), ("POST", "/namespaces/%00/standard", {"content": "x"}),
    ("POST", "/namespaces/_agents/standard", {"content": "x"}),
    ("DELETE", "/namespaces", None), ("DELETE", "/namespaces?namespace=", None),
    ("DELETE", "/namespaces?namespace=a//b", None), ("DELETE", "/namespaces?namespace=_agents", None),
    ("GET", "/namespaces/a%20b/standard", None), ("GET", "/namespaces/a/standard?inherit=perhaps", None),
    ("GET", "/namespaces/a/access?agent_id=a%20b", None), ("GET", "/namespaces/%ff/access", None),
    ("GET", "/namespaces/a/history?limit=0", None), ("GET", "/namespaces/a/history?limit=65", None),
    ("GET", "/namespaces/a/history?limit=x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD)
async def test_bad_input_is_refused_with_the_envelope_and_changes_nothing(
    http: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    before = await state(http)
    url = f"http://localhost:9077/api/v1{path}"
    answer = await http.request(method, url, json=body) if body is not None else await http.request(method, url)
    if body == {"namespace": "a", "id": ""}:
        assert answer.status_code == 201     # an empty id is none
        return
    assert 400 <= answer.status_code < 500, answer.text
    assert {"error", "code"} <= answer.json().keys()
    assert await state(http) == before


@pytest.mark.parametrize("data", JSON_TEXTS.values(), ids=JSON_TEXTS)
async def test_no_body_breaks_setting(http: httpx.AsyncClient, data: bytes) -> None:
    answer = await http.post(at("a"), content=data, headers=JSON)
    assert answer.status_code == 201 or (400 <= answer.status_code < 500 and answer.json()["code"]), answer.text
