"""Forgetting, consolidating, curating over HTTP: filters in both forms, statuses, and that bad input does nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trio

from aimem import service
from tests.api.test_routes import client_of, state, store
from tests.nodes import FakeClock, InlineThreads, open_node

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as node, client_of(node) as http:
        yield http


async def test_forget_by_body_and_undo(http: httpx.AsyncClient) -> None:
    stored = await store(http, namespace="x")
    seen = (await http.post("/forget", json={"namespace": "x", "dry_run": True})).json()
    assert (seen["would_delete"], seen["memories"][0]["id"], seen["deleted"]) == (1, stored["id"], 0)
    done = await http.post("/forget", json={"namespace": "x"})
    assert (done.status_code, done.json()["deleted"], done.json()["archived"]) == (200, 1, True)
    assert (await http.get(f"/memories/{stored['id']}")).status_code == 404
    undone = (await http.post("/forget", json={"undo": done.json()["forget_id"]})).json()
    assert (undone["restored"], undone["not_restored"]) == (1, [])
    assert (await http.get(f"/memories/{stored['id']}")).status_code == 200
    again = await http.post("/forget", json={"undo": done.json()["forget_id"]})
    assert (again.status_code, again.json()["field"]) == (404, "undo")


async def test_forget_by_query_without_a_body(http: httpx.AsyncClient) -> None:
    await store(http, namespace="x")
    assert (await http.post("/forget?namespace=x&dry_run=true")).json()["would_delete"] == 1
    assert (await http.post("/forget?namespace=x&pattern=fridays")).json()["deleted"] == 1


async def test_filters_of_both_places_hold(http: httpx.AsyncClient) -> None:
    await store(http, namespace="x", tier="long")
    await store(http, namespace="y", tier="short")
    seen = (await http.post("/forget?namespace=x&dry_run=true", json={"tier": "short"})).json()
    assert seen["would_delete"] == 0
    same = (await http.post("/forget?namespace=x", json={"namespace": "x", "dry_run": True})).json()
    assert same["would_delete"] == 1
    before = await state(http)
    twice = await http.post("/forget?namespace=x", json={"namespace": "y"})
    assert (twice.status_code, twice.json()["field"]) == (400, "namespace")
    assert await state(http) == before


@pytest.mark.parametrize("content", [
    b"", b"{}", b'{"dry_run": true}', b'{"namespace": null}', b'{"tier": "shrot", "namespace": "x"}',
    b'{"namespace": 3}', b'{"namespace": ["x"]}', b'{"namespace": ""}', b'{"namespace": "_agents"}',
    b'{"namespace": "*"}', b'{"namespace": "x\\u0000"}', b'{"pattern": "\\ud800"}', b'{"pattern": "?"}',
    b'{"pattern": NaN}', b'{"pattern": "' + b"x" * 70_000 + b'"}', b'{"dry_run": 1, "namespace": "x"}',
    b'{"undo": "x", "namespace": "x"}', b'{"undo": "x\\u0000"}', b'{"undo": "' + b"x" * 200 + b'"}',
    b'{"pattern": "x' + b" x" * 1_100_000 + b'"}', b'{"undo": "nothing"}',
])
async def test_bad_forget_is_refused_and_nothing_goes(http: httpx.AsyncClient, content: bytes) -> None:
    await store(http, namespace="x", tier="short")
    before = await state(http)
    answer = await http.post("/forget", content=content, headers=JSON)
    assert answer.status_code in (400, 403, 404, 413, 422), answer.text
    assert {"error", "code"} <= set(answer.json()) <= {"error", "code", "field", "limit_bytes"}
    assert await state(http) == before


@pytest.mark.parametrize("query", [
    "", "dry_run=true", "tier=shrot&namespace=x", "namespace=a//b", "namespace=%ff", "namespace=x&namespace=y",
    "namespace=x&dry_run=perhaps", "namespace=&tier=", "pattern=%20",
])
async def test_bad_query_is_refused_and_nothing_goes(http: httpx.AsyncClient, query: str) -> None:
    await store(http, namespace="x", tier="short")
    before = await state(http)
    url = httpx.URL("http://localhost", raw_path=b"/api/v1/forget?" + query.encode())
    answer = await http.post(url)
    assert answer.status_code == 400, answer.text
    assert await state(http) == before


async def test_consolidate_answers_201_and_archives(http: httpx.AsyncClient) -> None:
    ids = [(await store(http, title=title))["id"] for title in "AB"]
    key = {"Idempotency-Key": "one"}
    body = {"ids": ids, "title": "A", "summary": "Both."}
    made = await http.post("/consolidate", json=body, headers=key)
    assert (made.status_code, made.json()["consolidated"]) == (201, 2)
    assert (await http.post("/consolidate", json=body, headers=key)).json() == made.json()
    assert (await http.get("/archive")).json()["count"] == 2
    got = (await http.get(f"/memories/{made.json()['id']}")).json()
    assert (got["title"], got["metadata"]["derived_from"]) == ("A", ids)


async def test_consolidate_knows_404_and_409(http: httpx.AsyncClient) -> None:
    ids = [(await store(http, title=title))["id"] for title in "ABC"]
    before = await state(http)
    unknown = await http.post("/consolidate", json={"ids": [ids[0], "nothing"], "title": "T", "summary": "S"})
    assert (unknown.status_code, unknown.json()["field"]) == (404, "ids[1]")
    taken = await http.post("/consolidate", json={"ids": ids[:2], "title": "C", "summary": "S"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert await state(http) == before


BAD_CONSOLIDATIONS: tuple[dict[str, object], ...] = (
    {"ids": "a,b"}, {"ids": [1, 2]}, {"ids": ["a"]}, {"ids": ["a", "a"]}, {"ids": ["a", ""]}, {"ids": None},
    {"title": None}, {"title": 3}, {"title": " "}, {"title": "x" * 513}, {"title": "a\0"}, {"summary": " "},
    {"summary": 3}, {"summary": "x" * 65_537}, {"tier": "eternal"}, {"tier": 3}, {"namespace": "_x"},
    {"agent_id": "a b"}, {"source": "A"}, {"ids": [str(n) for n in range(101)]},
)


@pytest.mark.parametrize("fields", BAD_CONSOLIDATIONS, ids=str)
async def test_bad_consolidation_is_refused_and_nothing_goes(
    http: httpx.AsyncClient, fields: dict[str, object]
) -> None:
    ids = [(await store(http, title=title))["id"] for title in "AB"]
    before = await state(http)
    content = json.dumps({"ids": ids, "title": "T", "summary": "S", **fields})
    answer = await http.post("/consolidate", content=content, headers=JSON)
    assert answer.status_code in (400, 403, 422), answer.text
    assert {"error", "code", "field"} >= set(answer.json())
    assert await state(http) == before


async def test_auto_consolidate_with_and_without_a_body(http: httpx.AsyncClient) -> None:
    for title in "ABC":
        await store(http, title=title, tags=["ops"], namespace="n")
    seen = (await http.post("/auto_consolidate", json={"dry_run": True})).json()
    assert [(group["tag"], group["count"]) for group in seen["groups"]] == [("ops", 3)]
    done = await http.post("/auto_consolidate")
    assert (done.status_code, done.json()["consolidated"]) == (200, 3)
    assert (await http.get("/stats")).json()["total"] == 1


@pytest.mark.parametrize("body", [
    {"min_count": 1}, {"min_count": "3"}, {"min_count": 2.5}, {"namespace": "_agents"}, {"short_only": "yes"},
    {"dry_run": None, "min_count": 10**12},
])
async def test_bad_auto_consolidation_is_refused(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await http.post("/auto_consolidate", json=body)
    assert answer.status_code in (400, 403, 422), answer.text
    assert answer.json()["field"]


# --- curator

TEXT = "We deploy the release on Friday evening, after the freeze of the week."


async def duplicated(http: httpx.AsyncClient) -> list[str]:
    return [
        str((await store(http, title=title, content=TEXT))["id"]) for title in ("Deploy", "Deploy twice")
    ]


async def test_a_cycle_its_report_and_the_way_back(http: httpx.AsyncClient) -> None:
    older, newer = await duplicated(http)
    dry = (await http.post("/curator", json={"dry_run": True})).json()
    told = {"action": "consolidate", "ids": [newer, older], "titles": ["Deploy twice", "Deploy"], "kept": newer}
    assert dry["acts"] == [told]
    assert "id" not in dry
    report = (await http.post("/curator")).json()
    assert (report["memories_scanned"], report["memories_eligible"], report["errors"]) == (2, 2, [])
    assert report["autonomy"]["memories_consolidated"] == 1
    [act] = report["acts"]
    assert act == {**told, "rollback_id": act["rollback_id"]}
    listed = (await http.get("/curator/reports")).json()
    assert [one["id"] for one in listed["reports"]] == [report["id"]]
    assert (await http.get(f"/memories/{older}")).status_code == 404
    key = {"Idempotency-Key": "back"}
    undone = await http.post("/curator/rollback", json={"id": act["rollback_id"]}, headers=key)
    assert (undone.status_code, undone.json()["reversed"]) == (200, 1)
    assert undone.json()["records"][0]["restored"] == [older]
    assert (await http.post("/curator/rollback", json={"id": act["rollback_id"]}, headers=key)).json() == undone.json()
    again = (await http.post("/curator/rollback", json={"id": act["rollback_id"]})).json()
    assert (again["reversed"], again["records"][0]["already"]) == (0, True)
    assert (await http.get(f"/memories/{older}")).status_code == 200


async def test_a_taken_name_is_a_conflict(http: httpx.AsyncClient) -> None:
    await duplicated(http)
    [act] = (await http.post("/curator")).json()["acts"]
    await store(http, title="Deploy", content="Another text.")
    refused = await http.post("/curator/rollback", json={"id": act["rollback_id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")
    several = (await http.post("/curator/rollback", json={"last": 5})).json()
    assert (several["reversed"], several["records"][0]["code"]) == (0, "name_taken")


async def test_a_cycle_ends_before_the_deadline_would_and_says_that_more_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    async def never(*_: object) -> None:
        await trio.sleep_forever()

    async with (
        open_node(tmp_path / "slow.db", clock=FakeClock(), threads=InlineThreads()) as node,
        client_of(node, request_deadline_s=10) as http,
    ):
        await duplicated(http)
        monkeypatch.setattr(service, "run_cycle", never)
        answer = await http.post("/curator")
        assert (answer.status_code, answer.json()["more"], answer.json()["acts"]) == (200, True, [])


@pytest.mark.parametrize(("path", "body"), [
    ("/curator", {"max_ops": -1}), ("/curator", {"max_ops": 1001}), ("/curator", {"max_ops": "7"}),
    ("/curator", {"max_ops": 10**30}), ("/curator", {"dry_run": "no"}), ("/curator", {"include_namespaces": "x"}),
    ("/curator", {"include_namespaces": ["a//b"]}), ("/curator", {"exclude_namespaces": ["\0"]}),
    ("/curator", {"exclude_namespaces": ["x"] * 101}), ("/curator", {"include_namespaces": [None]}),
    ("/curator/rollback", {}), ("/curator/rollback", {"id": "x", "last": 1}), ("/curator/rollback", {"last": 0}),
    ("/curator/rollback", {"last": 101}), ("/curator/rollback", {"last": 1.5}), ("/curator/rollback", {"id": ""}),
    ("/curator/rollback", {"id": "x" * 129}), ("/curator/rollback", {"id": "\0"}), ("/curator/rollback", {"id": 5}),
    ("/curator/rollback", {"id": "nothing"}),
])
async def test_bad_curation_is_refused_and_nothing_is_done(
    http: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    await duplicated(http)
    before = await state(http)
    answer = await http.post(path, json=body)
    assert answer.status_code in (400, 404, 422), answer.text
    assert {"error", "code", "field"} == set(answer.json())
    assert await state(http) == before


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1"])
async def test_a_bad_limit_of_reports_is_refused(http: httpx.AsyncClient, limit: str) -> None:
    answer = await http.get(f"/curator/reports?limit={limit}")
    assert (answer.status_code, answer.json()["field"]) == (400, "limit")
