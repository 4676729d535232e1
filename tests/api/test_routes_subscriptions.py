"""Subscriptions over HTTP: what each route answers, and that bad input changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from aimem.service import Node
from tests.api.test_routes import client_of, state
from tests.nodes import FakeClock, InlineThreads, open_node

URL = "https://hooks.example/in"
BOB = {"X-Agent-Id": "bob"}
NOBODY = {"X-Agent-Id": ""}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), threads=InlineThreads()) as node:
        yield node


@pytest.fixture
async def alice(opened: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(opened) as http:
        yield http


async def test_a_subscription_is_made_listed_and_taken_back(alice: httpx.AsyncClient) -> None:
    made = await alice.post("/subscriptions", json={"url": URL, "events": ["memory_store", "link"], "secret": "s"})
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["events"], body["created_by"], body["agent_id"], body["namespace"]) == (
        "memory_store,link", "alice", "alice", None
    )
    listed = (await alice.get("/subscriptions")).json()
    assert (listed["count"], listed["total"], listed["subscriptions"][0]["id"]) == (1, 1, body["id"])
    assert "secret" not in listed["subscriptions"][0]
    assert (await alice.get("/subscriptions", params={"agent_id": "bob"})).json()["subscriptions"] == []
    assert (await alice.get(f"/subscriptions/{body['id']}/deliveries")).json() == {
        "count": 0, "total": 0, "deliveries": []
    }
    again = await alice.post(f"/subscriptions/{body['id']}/deliveries")
    assert (again.status_code, again.json()) == (200, {"id": body["id"], "redelivered": 0})
    gone = await alice.delete(f"/subscriptions/{body['id']}")
    assert (gone.status_code, gone.json()["removed"], gone.json()["id"]) == (200, True, body["id"])
    assert (await alice.delete("/subscriptions", params={"id": body["id"]})).json() == {
        "id": body["id"], "removed": False, "count": 0
    }
    assert (await alice.get("/subscriptions")).json()["count"] == 0


async def test_a_namespace_alone_and_a_caller_named_in_the_body(alice: httpx.AsyncClient) -> None:
    body = {"namespace": "team/ops", "agent_id": "bob"}
    made = await alice.post("/subscriptions", json=body, headers=NOBODY)
    assert (made.status_code, made.json()["url"]) == (201, "http://localhost/_ns/bob/team/ops")
    assert (await alice.post("/subscriptions", json=body)).status_code == 403
    gone = await alice.delete("/subscriptions", params=body, headers=BOB)
    assert (gone.json()["removed"], gone.json()["count"]) == (True, 1)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "invalid_request", "url"),
        ({"url": "http://10.0.0.1/"}, "webhook_url", "url"),
        ({"url": "https://u:p@hooks.example/"}, "webhook_url", "url"),
        ({"url": URL, "events": "nothing"}, "invalid_request", "events"),
        ({"url": URL, "events": 5}, "schema_mismatch", "events"),
        ({"url": URL, "events": [1]}, "schema_mismatch", "events[0]"),
        ({"url": URL, "secret": ""}, "invalid_request", "secret"),
        ({"url": URL, "namespace_filter": "\x00"}, "invalid_request", "namespace_filter"),
        ({"url": URL, "agent_filter": "a b"}, "invalid_request", "agent_filter"),
        ({"url": [URL]}, "schema_mismatch", "url"),
        ({"url": "https://hooks.example/" + "x" * 3000}, "webhook_url", "url"),
    ],
)
async def test_bad_input_is_named_and_changes_nothing(
    alice: httpx.AsyncClient, body: dict[str, object], code: str, field: str
) -> None:
    before = await state(alice)
    answer = await alice.post("/subscriptions", json=body)
    status = 422 if code == "schema_mismatch" else 400
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, code, field), answer.text
    assert await state(alice) == before


async def test_a_lone_surrogate_is_refused(alice: httpx.AsyncClient) -> None:
    text = b'{"url": "https://hooks.example/", "secret": "\\ud800"}'
    answer = await alice.post("/subscriptions", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "field"),
    [
        ("GET", "/subscriptions?limit=1001", 400, "limit"),
        ("GET", "/subscriptions?offset=-1", 400, "offset"),
        ("GET", "/subscriptions?agent_id=a%20b", 400, "agent_id"),
        ("DELETE", "/subscriptions", 400, "id"),
        ("DELETE", "/subscriptions?namespace=..", 400, "namespace"),
        ("GET", "/subscriptions/nothing/deliveries", 404, "id"),
        ("POST", "/subscriptions/nothing/deliveries", 404, "id"),
        ("GET", "/subscriptions/nothing/deliveries?state=x", 400, "state"),
    ],
)
async def test_bad_parameters_are_named(
    alice: httpx.AsyncClient, method: str, path: str, status: int, field: str
) -> None:
    answer = await alice.request(method, path)
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text
