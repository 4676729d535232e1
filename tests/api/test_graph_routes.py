"""The routes of the knowledge graph, contradictions, taxonomy, duplicates and entities over a real node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from aimem.service import Node
from tests.api.test_routes import client_of, state
from tests.nodes import FakeClock, open_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as node:
        yield node


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(node) as http:
        yield http


async def two(http: httpx.AsyncClient, relation: str = "related_to") -> dict[str, str]:
    """A link between two memories on one topic."""
    ids = [
        (await http.post("/memories", json={"title": title, "content": title, "metadata": {"topic": "t"}})).json()["id"]
        for title in ("one", "two")
    ]
    link = {"source_id": ids[0], "target_id": ids[1], "relation": relation}
    assert (await http.post("/links", json=link)).status_code == 201
    return link


async def test_a_link_is_invalidated_stated_anew_and_seen_on_the_timeline(http: httpx.AsyncClient) -> None:
    link = await two(http)
    answer = await http.post("/kg/invalidate", json={**link, "reason": "moved"}, headers={"X-Agent-Id": "bob"})
    body = answer.json()
    assert (answer.status_code, body["found"], body["previous_valid_until"]) == (200, True, None)
    assert {"valid_until", "version", "ended_by", "reason", *link} <= set(body)
    again = (await http.post("/links", json=link)).json()
    assert (again["created"], again["reasserted"]) == (True, True)
    timeline = (await http.get("/kg/timeline", params={"source_id": link["source_id"]})).json()
    assert (timeline["source_id"], timeline["count"], timeline["truncated"]) == (link["source_id"], 2, False)
    first, second = timeline["events"]
    assert first == {
        "target_id": link["target_id"], "relation": "related_to", "valid_from": first["valid_from"],
        "valid_until": body["valid_until"], "observed_by": "alice", "title": "two", "target_namespace": "global",
        "current": False, "ended_by": "bob", "reason": "moved",
    }
    assert (second["valid_until"], second["current"], "ended_by" in second) == (None, True, False)
    shown = (await http.get(f"/links/{link['source_id']}")).json()["links"][0]
    assert shown["past"][0]["ended_by"] == "bob"


async def test_a_link_that_is_not_there_is_404_with_the_triple(http: httpx.AsyncClient) -> None:
    link = {**await two(http), "relation": "supersedes"}
    answer = await http.post("/kg/invalidate", json=link)
    assert answer.status_code == 404
    assert answer.json() == {"found": False, **link, "error": answer.json()["error"], "code": "not_found"}


async def test_a_query_answers_rows_and_paths(http: httpx.AsyncClient) -> None:
    link = await two(http)
    answer = (await http.post("/kg/query", json={"source_id": link["source_id"], "max_depth": 5})).json()
    path = f"{link['source_id']}->{link['target_id']}"
    [row] = answer.pop("memories")
    assert answer == {"source_id": link["source_id"], "max_depth": 5, "paths": [path], "count": 1,
                      "valid_at": answer["valid_at"], "truncated": False}
    assert row == {
        "target_id": link["target_id"], "relation": "related_to", "valid_from": row["valid_from"], "valid_until": None,
        "observed_by": "alice", "title": "two", "target_namespace": "global", "depth": 1, "path": path,
    }
    none = await http.post("/kg/query", json={"source_id": link["source_id"], "allowed_agents": []})
    assert none.json()["memories"] == []


@pytest.mark.parametrize("depth", [0, 6, -1])
async def test_a_depth_out_of_range_is_422_and_named(http: httpx.AsyncClient, depth: int) -> None:
    answer = await http.post("/kg/query", json={"source_id": "x", "max_depth": depth})
    assert (answer.status_code, answer.json()["field"]) == (422, "max_depth")
    assert "max_depth" in answer.json()["error"]


async def test_contradictions_are_found_and_resolved(http: httpx.AsyncClient) -> None:
    link = await two(http)
    found = (await http.get("/contradictions?topic=t")).json()
    assert set(found) == {"memories", "links", "count", "truncated"}
    assert {memory["title"] for memory in found["memories"]} == {"one", "two"}
    assert found["links"] == [
        {"source_id": link["target_id"], "target_id": link["source_id"], "relation": "contradicts", "synthesized": True}
    ]
    sides = {"winner": link["target_id"], "loser": link["source_id"]}
    settled = (await http.post("/resolve", json=sides)).json()
    assert settled == {"resolved": True, **sides, "version": settled["version"]}
    assert (await http.get("/contradictions?namespace=global")).json()["links"] == []


async def test_the_taxonomy_is_a_tree(http: httpx.AsyncClient) -> None:
    await http.post("/memories", json={"content": "x", "namespace": "team/app"})
    answer = (await http.get("/taxonomy?prefix=team/&depth=1")).json()
    leaf = {"namespace": "team/app", "name": "app", "count": 1, "subtree_count": 1, "children": []}
    root = {"namespace": "team", "name": "team", "count": 0, "subtree_count": 1, "children": [leaf]}
    assert answer == {"tree": root, "total_count": 1, "truncated": False}


async def test_a_duplicate_is_told_and_what_cannot_be_told_is_503(http: httpx.AsyncClient) -> None:
    stored = (await http.post("/memories", json={"title": "a", "content": "the text"})).json()
    answer = (await http.post("/check_duplicate", json={"title": "a", "content": "the text"})).json()
    assert answer == {
        "is_duplicate": True, "threshold": 0.85, "suggested_merge": stored["id"], "candidates_scanned": 1,
        "identical": True, "embedding_backlog": 1,
        "nearest": {"id": stored["id"], "title": "a", "namespace": "global", "similarity": 1.0},
    }
    refused = await http.post("/check_duplicate", json={"title": "a", "content": "another text"})
    assert (refused.status_code, refused.json()["code"]) == (503, "embedder_unavailable")


async def test_an_entity_is_201_once_and_200_again_under_a_key_too(http: httpx.AsyncClient) -> None:
    body = {"canonical_name": "Acme", "namespace": "crm", "aliases": ["A"], "metadata": None}
    key = {"Idempotency-Key": "one"}
    first = await http.post("/entities", json=body, headers=key)
    assert (first.status_code, set(first.json())) == (
        201, {"entity_id", "canonical_name", "namespace", "aliases", "created", "version"})
    replayed = await http.post("/entities", json=body, headers=key)
    assert (replayed.status_code, replayed.json()) == (201, first.json())
    again = await http.post("/entities", json={**body, "aliases": None})
    assert (again.status_code, again.json()["created"], again.json()["aliases"]) == (200, False, ["A"])
    found = (await http.get("/entities/by_alias?alias=A&namespace=crm")).json()
    assert found == {"found": True, "entity_id": first.json()["entity_id"], "canonical_name": "Acme",
                     "namespace": "crm", "aliases": ["A"]}
    missing = await http.get("/entities/by_alias?alias=nobody")
    assert (missing.status_code, missing.json()) == (
        200, {"found": False, "entity_id": None, "canonical_name": None, "namespace": None, "aliases": []})
    await http.post("/memories", json={"title": "Plain", "content": "x", "namespace": "crm"})
    taken = await http.post("/entities", json={**body, "canonical_name": "Plain"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")


# --- bad input


@pytest.mark.parametrize("path", [
    "/kg/timeline", "/kg/timeline?source_id=", "/kg/timeline?source_id=a&limit=0", "/kg/timeline?source_id=a&limit=x",
    "/kg/timeline?source_id=a&since=yesterday", "/kg/timeline?source_id=%00", "/kg/timeline?source_id=%ff",
    "/contradictions", "/contradictions?topic=%00", "/contradictions?topic=x&limit=1001",
    "/contradictions?namespace=a//b", "/taxonomy?prefix=a//b", "/taxonomy?depth=9", "/taxonomy?limit=0",
    "/taxonomy?depth=1.5", "/entities/by_alias", "/entities/by_alias?alias=", "/entities/by_alias?alias=%20",
    "/entities/by_alias?alias=a&namespace=a%20b", "/entities/by_alias?alias=a&alias=b",
])
async def test_a_wrong_parameter_is_400_with_the_envelope(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.request("GET", httpx.URL("http://localhost", raw_path=f"/api/v1{path}".encode()))
    assert answer.status_code == 400, answer.text
    assert {"error", "code", "field"} == set(answer.json()), answer.text


TRIPLE = b'"source_id": "a", "target_id": "b", "relation": "related_to"'


@pytest.mark.parametrize(("path", "content"), [
    ("/kg/invalidate", b"{}"), ("/kg/invalidate", b'{"source_id": "a", "target_id": "b"}'),
    ("/kg/invalidate", b'{"source_id": 1, "target_id": "b", "relation": "related_to"}'),
    ("/kg/invalidate", b'{"source_id": "a", "target_id": "a", "relation": "related_to"}'),
    ("/kg/invalidate", b"{" + TRIPLE + b', "valid_until": 7}'), ("/kg/invalidate", b"{" + TRIPLE + b', "reason": []}'),
    ("/kg/invalidate", b"{" + TRIPLE + b', "reason": "\\u0000"}'),
    ("/kg/invalidate", b'{"source_id": "\\udc00", "target_id": "b", "relation": "related_to"}'),
    ("/kg/query", b"{}"), ("/kg/query", b'{"source_id": "a", "max_depth": "2"}'),
    ("/kg/query", b'{"source_id": "a", "max_depth": 123456789012345678901234567890}'),
    ("/kg/query", b'{"source_id": "a", "allowed_agents": "alice"}'),
    ("/kg/query", b'{"source_id": "a", "allowed_agents": [""]}'),
    ("/kg/query", b'{"source_id": "a", "valid_at": "tomorrow"}'), ("/kg/query", b'{"source_id": "a", "limit": 1001}'),
    ("/resolve", b'{"winner": "a"}'), ("/resolve", b'{"winner": "a", "loser": null}'),
    ("/resolve", b'{"winner": "a", "loser": "\\u0000"}'),
    ("/check_duplicate", b'{"title": "x"}'), ("/check_duplicate", b'{"content": "x", "threshold": NaN}'),
    ("/check_duplicate", b'{"content": "x", "threshold": 1e999}'),
    ("/check_duplicate", b'{"content": "x", "threshold": 0}'),
    ("/check_duplicate", b'{"content": "x", "threshold": "0.9"}'),
    ("/check_duplicate", msgspec.json.encode({"content": "x" * 65_537})),
    ("/entities", b'{"canonical_name": "x"}'), ("/entities", b'{"canonical_name": "x", "namespace": "a//b"}'),
    ("/entities", b'{"canonical_name": "x", "namespace": "_agents"}'),
    ("/entities", b'{"canonical_name": "x", "namespace": "a", "aliases": "y"}'),
    ("/entities", b'{"canonical_name": "x", "namespace": "a", "aliases": [1]}'),
    ("/entities", b'{"canonical_name": "x", "namespace": "a", "aliases": ["\\udc00"]}'),
    ("/entities", b'{"canonical_name": "x", "namespace": "a", "aliases": ["\\u0000"]}'),
    ("/entities", b'{"canonical_name": "x", "namespace": "a", "metadata": []}'),
    ("/entities", msgspec.json.encode({"canonical_name": "x", "namespace": "a", "metadata": {"a": "x" * 65_537}})),
    ("/entities", b'{"canonical_name": "x", "namespace": "a", "metadata": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}"),
])
async def test_a_wrong_body_is_refused_and_nothing_is_written(
    http: httpx.AsyncClient, path: str, content: bytes
) -> None:
    await two(http)
    before = await state(http)
    answer = await http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 403, 422), answer.text
    assert {"error", "code"} <= set(answer.json()) <= {"error", "code", "field"}
    assert await state(http) == before
