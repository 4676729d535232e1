"""What clients of v0.6.3 send and expect over HTTP: shapes of theirs that are tolerated, defects that are mended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aimem.errors import Unavailable
from aimem.service import Node
from aimem.store import Store
from tests.api.test_routes import client_of, state, store
from tests.nodes import FakeClock, open_node

SECRET = "disk I/O error in /srv/secret.db"


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as node:
        yield node


@pytest.fixture
async def http(opened: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(opened) as client:
        yield client


# --- shapes that other clients send or read


async def test_one_memory_is_read_bare_or_below_its_name(http: httpx.AsyncClient) -> None:
    stored = await store(http, tags=["ops"])
    answer = (await http.get(f"/memories/{stored['id']}")).json()
    nested = answer.pop("memory")
    assert answer.pop("links") == []
    assert answer == nested
    assert nested["tags"] == ["ops"]


async def test_hits_of_a_search_are_read_as_results_or_memories(http: httpx.AsyncClient) -> None:
    await store(http)
    answer = (await http.get("/search", params={"q": "fridays"})).json()
    assert answer["results"] == answer["memories"]
    assert (answer["count"], answer["query"]) == (1, "fridays")


async def test_forget_takes_its_filters_from_the_query_without_a_body(http: httpx.AsyncClient) -> None:
    await store(http, namespace="old")
    await store(http, namespace="new")
    assert (await http.post("/forget", params={"namespace": "old"})).json()["deleted"] == 1
    assert (await http.post("/forget", json={})).status_code == 400
    assert (await http.get("/stats")).json()["total"] == 1


async def test_bulk_takes_an_object_and_answers_ids(http: httpx.AsyncClient) -> None:
    items = [{"title": "one", "content": "c"}, {"title": "two", "content": "c"}]
    answer = (await http.post("/memories/bulk", json={"memories": items})).json()
    listed = (await http.get("/memories")).json()["memories"]
    assert (answer["created"], answer["errors"]) == (2, [])
    assert set(answer["ids"]) == {memory["id"] for memory in listed}


@pytest.mark.parametrize("shape", [
    {"to": "bob", "subject": "Plan", "body": "Ready."},
    {"target_agent_id": "bob", "title": "Plan", "payload": "Ready."},
    {"target_agent_id": "bob", "title": "Plan", "content": "Ready."},
])
async def test_a_message_is_sent_in_either_shape(http: httpx.AsyncClient, shape: dict[str, str]) -> None:
    assert (await http.post("/notify", json=shape)).status_code == 201
    [message] = (await http.get("/inbox", headers={"X-Agent-Id": "bob"})).json()["messages"]
    assert (message["from"], message["title"], message["payload"]) == ("alice", "Plan", "Ready.")


@pytest.mark.parametrize("path", ["/memories/x/grant", "/memories/x/revoke", "/cluster"])
async def test_routes_that_no_server_ever_had_are_404_with_the_envelope(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path, json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_fields_that_a_body_does_not_have_are_read_over_and_null_is_absence(http: httpx.AsyncClient) -> None:
    stored = await store(http, color="red", priority=None, scope=None)
    assert (await http.get(f"/memories/{stored['id']}")).json()["priority"] == 5


@pytest.mark.parametrize(("path", "body"), [
    ("/recall", {"context": "x", "limit": None, "namespace": None, "budget_tokens": None}),
    ("/session/start", {"namespace": None, "limit": None, "agent_id": None}),
    ("/check_duplicate", {"title": "Deploy", "content": "We deploy on Fridays.", "threshold": None, "namespace": None}),
    ("/kg/query", {"source_id": "x", "max_depth": None, "valid_at": None, "limit": None}),
    ("/import", {"memories": [], "links": None}),
])
async def test_null_is_absence_even_where_there_is_a_default(
    http: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    await store(http)
    given = {name: value for name, value in body.items() if value is not None}
    answers = [(await http.post(path, json=sent)) for sent in (body, given)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    assert answers[0].json().keys() == answers[1].json().keys()


# --- statuses that stay, and those that are mended


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), [
    ("POST", "/memories", {"content": "c", "tier": "ever"}, 400, "invalid_request"),
    ("POST", "/memories", {"title": "t"}, 422, "schema_mismatch"),
    ("POST", "/recall", {}, 422, "schema_mismatch"),
    ("POST", "/recall", {"context": " "}, 400, "invalid_request"),
    ("POST", "/kg/query", {"source_id": "x", "max_depth": 6}, 422, "schema_mismatch"),
    ("GET", "/memories?limit=1001", None, 400, "invalid_request"),
    ("GET", "/recall?context=x&limit=51", None, 400, "invalid_request"),
    ("GET", "/archive?limit=0", None, 400, "invalid_request"),
    ("GET", "/inbox?limit=501", None, 400, "invalid_request"),
    ("POST", "/archive", {"ids": []}, 400, "invalid_request"),
    ("DELETE", "/archive?older_than_days=-1", None, 400, "invalid_request"),
    ("POST", "/links", {"source_id": "x", "target_id": "y"}, 404, "not_found"),
    ("POST", "/consolidate", {"ids": ["x", "y"], "title": "t", "summary": "s"}, 404, "not_found"),
    ("POST", "/archive/x/restore", None, 404, "not_found"),
])
async def test_a_refusal_has_its_status_and_writes_nothing(
    http: httpx.AsyncClient, method: str, path: str, body: object, status: int, code: str
) -> None:
    before = await state(http)
    answer = await http.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["error"]
    assert await state(http) == before


async def test_an_empty_page_may_be_asked_for(http: httpx.AsyncClient) -> None:
    await store(http)
    assert (await http.get("/memories?limit=0")).json() == {"memories": [], "count": 0}


async def test_an_empty_expiry_clears_it(http: httpx.AsyncClient) -> None:
    stored = await store(http, ttl_secs=60)
    answer = await http.put(f"/memories/{stored['id']}", json={"expires_at": ""})
    assert (answer.status_code, "expires_at" in answer.json()) == (200, False)


async def test_tags_in_the_archive_are_an_array(http: httpx.AsyncClient) -> None:
    stored = await store(http, tags=["a,b", "c"])
    await http.post("/archive", json={"ids": [stored["id"]]})
    [archived] = (await http.get("/archive")).json()["archived"]
    assert archived["tags"] == ["a,b", "c"]


@pytest.mark.parametrize(("method", "path", "body"), [
    ("POST", "/forget", {"namespace": "global"}), ("DELETE", "/memories/some-id", None),
])
async def test_a_store_that_fails_is_503_and_tells_nothing_of_itself(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: object
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise Unavailable("the database is busy; try again") from OSError(SECRET)

    monkeypatch.setattr(Store, "write", broken)
    monkeypatch.setattr(Store, "read", broken)
    answer = await http.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert SECRET not in answer.text


async def test_two_filters_by_tag_are_one_tag_with_a_comma(http: httpx.AsyncClient) -> None:
    await store(http, tags=["a", "b"])
    assert (await http.get("/memories", params={"tags": "a,b"})).json()["count"] == 0
    assert (await http.get("/memories", params={"tags": "a"})).json()["count"] == 1
