"""The real routes over a real node: what each answers, and that bad input changes nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aimem.api import HTTP_METRICS, ROUTES, Transport, make_app
from aimem.config import ApiConfig
from aimem.service import Node
from tests.api.conftest import arriving_by
from tests.nodes import FakeClock, WordEmbedder, open_node

AGENT = {"X-Agent-Id": "alice"}
MANUAL = Path(__file__).parents[2] / "man" / "ai-memory-api.7"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as node:
        yield node


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(node) as http:
        yield http


def client_of(node: Node, **settings: object) -> httpx.AsyncClient:
    app = arriving_by(make_app(node, ApiConfig(**settings)), Transport.TCP_LOOPBACK)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:9077/api/v1", headers=AGENT)


async def store(http: httpx.AsyncClient, **fields: object) -> dict[str, object]:
    answer = await http.post("/memories", json={"title": "Deploy", "content": "We deploy on Fridays.", **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, object] = answer.json()
    return body


# --- memories


async def test_stored_memory_is_got_listed_searched_and_recalled(http: httpx.AsyncClient) -> None:
    stored = await store(http, namespace="team/ops", tags=["ops"], metadata={"k": 1})
    assert stored["action"] == "created"
    assert stored["agent_id"] == "alice"
    got = (await http.get(f"/memories/{stored['id']}")).json()
    assert got["content"] == got["memory"]["content"] == "We deploy on Fridays."
    assert got["memory"]["metadata"] == {"k": 1, "agent_id": "alice"}
    assert got["links"] == []
    for path in ("/memories?namespace=team/ops", "/search?q=deploy", "/recall?context=when%20do%20we%20deploy"):
        answer = (await http.get(path)).json()
        assert [memory["id"] for memory in answer["memories"]] == [stored["id"]], path
    recalled = (await http.post("/recall", json={"context": "deploy"})).json()
    assert recalled["memories"][0]["score"] > 0
    assert recalled["mode"] == "keyword"


async def test_body_names_the_author_before_the_header(http: httpx.AsyncClient) -> None:
    assert (await store(http, agent_id="bob"))["agent_id"] == "bob"
    anonymous = await http.post("/memories", json={"content": "x"}, headers={"X-Agent-Id": ""})
    assert anonymous.json()["agent_id"].startswith("anonymous:req-")


async def test_get_recall_touches_nothing_and_both_take_touch(http: httpx.AsyncClient) -> None:
    await store(http)
    query = (await http.get("/recall", params={"context": "deploy", "touch": "maybe"})).json()
    assert query["field"] == "touch"
    assert (await http.get("/recall", params={"context": "deploy", "touch": "true"})).status_code == 200
    body = (await http.post("/recall", json={"context": "deploy", "touch": "no"})).json()
    assert (body["code"], body["field"]) == ("schema_mismatch", "touch")


async def test_update_changes_what_is_present(http: httpx.AsyncClient) -> None:
    stored = await store(http)
    answer = await http.put(f"/memories/{stored['id']}", json={"priority": 9, "tier": None})
    assert (answer.status_code, answer.json()["priority"], answer.json()["title"]) == (200, 9, "Deploy")
    assert answer.json()["version"]
    other = await store(http, title="Other")
    taken = await http.put(f"/memories/{other['id']}", json={"title": "Deploy"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert "already exists in namespace" in taken.json()["error"]


async def test_delete_takes_the_whole_id_and_is_final(http: httpx.AsyncClient) -> None:
    stored = await store(http)
    part = str(stored["id"])[:8]
    assert (await http.get(f"/memories/{part}")).json()["id"] == stored["id"]
    assert (await http.delete(f"/memories/{part}")).status_code == 404
    assert (await http.delete(f"/memories/{stored['id']}")).json()["deleted"] is True
    assert (await http.delete(f"/memories/{stored['id']}")).status_code == 404
    assert (await http.get(f"/memories/{stored['id']}")).json()["code"] == "not_found"


async def test_promote_with_and_without_a_body(http: httpx.AsyncClient) -> None:
    stored = await store(http, namespace="team/ops")
    answer = (await http.post(f"/memories/{stored['id']}/promote")).json()
    assert (answer["promoted"], answer["tier"]) == (True, "long")
    cloned = (await http.post(f"/memories/{stored['id']}/promote", json={"to_namespace": "team"})).json()
    assert (cloned["mode"], cloned["to_namespace"]) == ("vertical", "team")


async def test_id_with_a_slash_is_one_segment(http: httpx.AsyncClient) -> None:
    document = {"memories": [{"id": "a/b c", "content": "An imported id."}]}
    assert (await http.post("/import", json=document)).json()["imported"] == 1
    answer = await http.get(httpx.URL(f"http://localhost/api/v1/memories/{quote('a/b c', safe='')}"))
    assert answer.json()["id"] == "a/b c"


async def test_pages_follow_each_other(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await store(http, title=f"Title {number}")
    first = (await http.get("/memories?limit=2")).json()
    second = (await http.get("/memories", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert first["count"] == 2
    assert len({memory["id"] for memory in first["memories"] + second["memories"]}) == 5
    assert "next_cursor" not in second
    assert (await http.get("/memories?limit=0")).json() == {"memories": [], "count": 0}


# --- links, archive, transfer


async def test_links_are_made_listed_and_removed(http: httpx.AsyncClient) -> None:
    ends = {"source_id": (await store(http, title="A"))["id"], "target_id": (await store(http, title="B"))["id"]}
    made = await http.post("/links", json={**ends, "relation": "supersedes"})
    assert (made.status_code, made.json()["created"]) == (201, True)
    assert (await http.post("/links", json={**ends, "relation": "supersedes"})).json()["created"] is False
    [link] = (await http.get(f"/links/{ends['source_id']}")).json()["links"]
    assert link["relation"] == "supersedes"
    other = await http.request("DELETE", "/links", json=ends)
    assert other.json()["deleted"] is False
    removed = await http.request("DELETE", "/links", json={**ends, "relation": "supersedes"})
    assert removed.json()["deleted"] is True
    bad = (await http.post("/links", json={**ends, "relation": "depends_on"})).json()
    assert (bad["code"], bad["field"]) == ("invalid_request", "relation")
    assert "derived_from" in bad["error"]
    missing = await http.post("/links", json={**ends, "target_id": "nobody"})
    assert (missing.status_code, missing.json()["field"]) == (404, "target_id")


async def test_archive_holds_and_gives_back(http: httpx.AsyncClient) -> None:
    stored = await store(http)
    put = (await http.post("/archive", json={"ids": [stored["id"], "nobody"], "reason": "done"})).json()
    assert (put["archived"], put["missing"], put["count"]) == ([stored["id"]], ["nobody"], 1)
    [archived] = (await http.get("/archive")).json()["archived"]
    assert (archived["archive_reason"], archived["tags"]) == ("done", [])
    assert (await http.get("/archive/stats")).json()["archived_total"] == 1
    back = (await http.post(f"/archive/{stored['id']}/restore?mode=long")).json()
    assert (back["restored"], back["tier"]) == (True, "long")
    again = await http.post(f"/archive/{stored['id']}/restore")
    assert (again.status_code, again.json()["code"]) == (409, "id_taken")
    assert (await http.post(f"/archive/{stored['id']}/restore?mode=short")).json()["field"] == "mode"


async def test_purge_wants_to_be_told_how_much(http: httpx.AsyncClient) -> None:
    stored = await store(http)
    await http.post("/archive", json={"ids": [stored["id"]]})
    refused = await http.delete("/archive")
    assert (refused.status_code, refused.json()["field"]) == (400, "older_than_days")
    assert (await http.delete("/archive?older_than_days=-1")).status_code == 400
    assert (await http.delete("/archive?older_than_days=3")).json() == {"purged": 0}
    assert (await http.delete("/archive?all=true")).json() == {"purged": 1}


async def test_export_is_imported_elsewhere(node: Node, http: httpx.AsyncClient, tmp_path: Path) -> None:
    for title in ("A", "B"):
        await store(http, title=title)
    document = (await http.get("/export")).json()
    assert document["count"] == 2
    async with open_node(tmp_path / "other.db", clock=node.clock) as other, client_of(other) as there:
        taken = (await there.post("/import", json=document)).json()
        assert (taken["imported"], taken["errors"]) == (2, [])
        assert (await there.get("/stats")).json()["total"] == 2


async def test_gc_counts_before_it_collects(node: Node, http: httpx.AsyncClient) -> None:
    await store(http, ttl_secs=10)
    node.clock.advance(11)  # type: ignore[attr-defined]
    dry = (await http.post("/gc?dry_run=true")).json()
    wet = (await http.post("/gc")).json()
    assert (dry["expired_deleted"], dry["collected"], dry["dry_run"]) == (0, 1, True)
    assert (wet["expired_deleted"], wet["collected"], wet["dry_run"]) == (1, 1, False)


# --- the node itself


async def test_health_needs_no_key_and_the_rest_does(node: Node) -> None:
    async with client_of(node, api_key="secret") as http:
        health = await http.get("/health")
        assert health.status_code == 200
        assert {"status": "ok", "service": "ai-memory", "compatible_with": "0.6.3"}.items() <= health.json().items()
        for route in ROUTES:
            if route.name != "health":
                path = f"http://localhost{route.path.replace('{memory_id}', 'x')}"
                answer = await http.request(route.method, path)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), route.name
        assert (await http.get("/stats", headers={"X-API-Key": "secret"})).status_code == 200
        assert (await http.get("/stats?api_key=secret")).status_code == 401


async def test_overview_routes_answer(http: httpx.AsyncClient) -> None:
    await store(http, namespace="a")
    assert (await http.get("/namespaces")).json() == {"namespaces": [{"namespace": "a", "count": 1}]}
    assert (await http.get("/stats")).json()["total"] == 1
    assert (await http.get("/capabilities")).json()["schema_version"] == "2"
    assert (await http.get("/index")).json()["mode"] == "keyword"


async def test_index_waits_for_the_backlog(tmp_path: Path) -> None:
    async with open_node(tmp_path / "m.db", embedder=WordEmbedder()) as node, client_of(node) as http:
        await store(http)
        status = (await http.get("/index?wait_below=0")).json()
        assert (status["embedding_backlog"], status["embedded"]) == (0, 1)
        assert (await http.get("/recall?context=deploy")).json()["mode"] == "hybrid"


async def test_metrics_show_memories_and_are_in_the_manual(http: httpx.AsyncClient) -> None:
    await store(http)
    page = await http.get("http://localhost/metrics")
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(page.text))
    memories = next(family for family in families if family.name == "ai_memory_memories")
    assert sum(sample.value for sample in memories.samples) == 1
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    manual = MANUAL.read_text()
    told = set(re.findall(r"^\.It Li (\w+)(?:\{.*\})?$", manual, re.MULTILINE))
    assert sorted({*names, *HTTP_METRICS} - told) == []
    assert (await http.get("/metrics")).status_code == 200


async def test_openapi_describes_what_is_served(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    served = {(route.method.lower(), route.path) for route in ROUTES}
    assert {(method, path) for path, item in document["paths"].items() for method in item} == served


# --- idempotency


async def test_repeated_request_with_its_key_is_answered_from_the_first(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    body = {"content": "Once only."}
    first = await http.post("/memories", json=body, headers=key)
    second = await http.post("/memories", json=body, headers=key)
    assert (second.status_code, second.json()) == (201, first.json())
    other = await http.post("/memories", json={"content": "Another."}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert (await http.get("/stats")).json()["total"] == 1


async def test_repeated_delete_with_its_key_is_not_a_404(http: httpx.AsyncClient) -> None:
    stored = await store(http)
    path, key = f"/memories/{stored['id']}", {"Idempotency-Key": "gone"}
    answers = [await http.delete(path, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


# --- bad input

BAD_BODIES: tuple[tuple[str, bytes], ...] = (
    ("truncated", b'{"content": "x'),
    ("not a number", b'{"content": "x", "confidence": NaN}'),
    ("infinite", b'{"content": "x", "confidence": 1e999}'),
    ("not UTF-8", b'{"content": "\xff\xfe"}'),
    ("half a surrogate", b'{"content": "\\udc00"}'),
    ("control character", b'{"content": "a\\u0000b"}'),
    ("wrong type", b'{"content": ["x"]}'),
    ("number as text", b'{"content": "x", "priority": "7"}'),
    ("fraction", b'{"content": "x", "priority": 7.5}'),
    ("huge integer", b'{"content": "x", "priority": 123456789012345678901234567890}'),
    ("out of range", b'{"content": "x", "priority": 11}'),
    ("negative confidence", b'{"content": "x", "confidence": -0.1}'),
    ("unknown tier", b'{"content": "x", "tier": "eternal"}'),
    ("unknown scope", b'{"content": "x", "scope": "galaxy"}'),
    ("unknown scope inside", b'{"content": "x", "metadata": {"scope": "galaxy"}}'),
    ("bad agent", b'{"content": "x", "agent_id": "a b"}'),
    ("bad namespace", b'{"content": "x", "namespace": "a//b"}'),
    ("reserved namespace", b'{"content": "x", "namespace": "_agents"}'),
    ("blank content", b'{"content": " \\n "}'),
    ("no content", b'{"title": "x"}'),
    ("null content", b'{"content": null}'),
    ("past expiry", b'{"content": "x", "expires_at": "2001-01-01T00:00:00Z"}'),
    ("no moment", b'{"content": "x", "expires_at": "tomorrow"}'),
    ("no time to live", b'{"content": "x", "ttl_secs": 0}'),
    ("too many tags", msgspec.json.encode({"content": "x", "tags": [str(i) for i in range(51)]})),
    ("long tag", msgspec.json.encode({"content": "x", "tags": ["x" * 129]})),
    ("long title", msgspec.json.encode({"content": "x", "title": "x" * 513})),
    ("long content", msgspec.json.encode({"content": "x" * 65_537})),
    ("large metadata", msgspec.json.encode({"content": "x", "metadata": {"a": "x" * 65_537}})),
    ("deep metadata", b'{"content": "x", "metadata": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}"),
    ("very deep", b'{"content": "x", "metadata": {"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}}"),
    ("array", b"[]"),
    ("text", b'"x"'),
    ("nothing", b""),
    ("too large", b'{"content": "' + b"x" * (2 * 1024 * 1024) + b'"}'),
)


@pytest.mark.parametrize("content", [body for _, body in BAD_BODIES], ids=[name for name, _ in BAD_BODIES])
async def test_bad_body_is_refused_by_store_and_update_and_nothing_is_written(
    node: Node, http: httpx.AsyncClient, content: bytes
) -> None:
    stored = await store(http)
    before = await state(http)
    headers = {"Content-Type": "application/json"}
    answers = [await http.post("/memories", content=content, headers=headers)]
    if content not in OF_STORE_ONLY:
        answers.append(await http.put(f"/memories/{stored['id']}", content=content, headers=headers))
    for answer in answers:
        assert answer.status_code in (400, 403, 413, 422), answer.text
        assert {"error", "code"} <= set(answer.json()) <= {"error", "code", "field", "limit_bytes"}
    assert await state(http) == before


OF_STORE_ONLY = frozenset({
    b'{"title": "x"}',
    b'{"content": "x", "agent_id": "a b"}', b'{"content": null}', b'{"content": "x", "ttl_secs": 0}',
    b'{"content": "x", "expires_at": "2001-01-01T00:00:00Z"}',
})
"""An update has no author or time to live, takes null for absence, and may set an expiry that is past."""


async def state(http: httpx.AsyncClient) -> tuple[object, ...]:
    """What a write would change."""
    stats = (await http.get("/stats")).json()
    return (*(stats[name] for name in ("total", "archived", "tombstones", "op_log_count", "links_count")),)


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/memories?limit=1001"), ("GET", "/memories?limit=-1"), ("GET", "/memories?limit=abc"),
    ("GET", "/memories?limit=99999999999999999999"), ("GET", "/memories?offset=-1"), ("GET", "/memories?tier=eternal"),
    ("GET", "/memories?since=yesterday"), ("GET", "/memories?agent_id=a%20b"), ("GET", "/memories?namespace=a//b"),
    ("GET", "/memories?cursor=nonsense"), ("GET", "/memories?as_agent=a//b"), ("GET", "/memories?namespace=%ff"),
    ("GET", "/search"), ("GET", "/search?q="), ("GET", "/search?q=%20"), ("GET", "/search?q=x&min_priority=x"),
    ("GET", "/recall"), ("GET", "/recall?context="), ("GET", "/recall?context=x&limit=51"),
    ("GET", "/recall?context=x&budget_tokens=0"), ("GET", "/archive?limit=0"), ("DELETE", "/archive"),
    ("GET", "/memories/%ff"), ("GET", "/memories/%00abc"), ("GET", f"/memories/{'x' * 129}"),
    ("POST", "/gc?dry_run=perhaps"), ("GET", "/index?wait_below=x"), ("GET", "/index?wait_below=-1"),
    ("GET", "/index?wait_below=99999999999"), ("DELETE", "/archive?all=true&older_than_days=3"),
])
async def test_bad_parameter_is_400_with_the_envelope(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, httpx.URL("http://localhost", raw_path=f"/api/v1{path}".encode()))
    assert answer.status_code == 400, answer.text
    assert {"error", "code", "field"} == set(answer.json()), answer.text


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is not None], ids=lambda route: route.name)
async def test_every_route_with_a_body_refuses_what_is_not_its_shape(
    http: httpx.AsyncClient, route: object
) -> None:
    path = "http://localhost" + route.path.replace("{memory_id}", "abcdef")
    too_much = b"x" * ((route.body_limit_bytes or 2 * 1024 * 1024) + 1)
    for content, media_type, statuses in (
        (b"{", "application/json", (400,)), (b'"[]"', "application/json", (422,)), (b"{}", "text/plain", (415,)),
        (b'{"a":"\xff"}', "application/json", (400,)), (too_much, "application/json", (413,)),
    ):
        answer = await http.request(route.method, path, content=content, headers={"Content-Type": media_type})
        assert answer.status_code in statuses, (route.name, content[:20], answer.text)
        assert answer.json()["code"]


async def test_import_above_its_count_is_refused_whole(http: httpx.AsyncClient) -> None:
    document = {"memories": [{"content": f"Number {number}."} for number in range(1001)]}
    answer = await http.post("/import", json=document)
    assert (answer.status_code, answer.json()["field"]) == (400, "memories")
    assert (await http.get("/stats")).json()["total"] == 0


async def test_an_export_comes_in_pages_and_their_cursor_is_checked(http: httpx.AsyncClient) -> None:
    for title in ("a", "b", "c"):
        await http.post("/memories", json={"title": title, "content": "x"})
    first = (await http.get("/export?limit=2")).json()
    second = (await http.get("/export", params={"cursor": first["next_cursor"]})).json()
    assert [memory["title"] for page in (first, second) for memory in page["memories"]] == ["a", "b", "c"]
    assert "next_cursor" not in second
    for query, field in (("limit=0", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("limit=1e9", "limit")):
        refused = await http.get(f"/export?{query}")
        assert (refused.status_code, refused.json()["field"]) == (400, field)


async def test_a_store_that_is_too_large_for_one_answer_says_how_to_read_it(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aimem.service import exporting

    monkeypatch.setattr(exporting, "WHOLE_MAX_ROWS", 1)
    for title in ("a", "b", "c"):
        await http.post("/memories", json={"title": title, "content": "x"})
    refused = await http.get("/export")
    assert (refused.status_code, refused.json()["code"], refused.json()["max_rows"]) == (413, "export_too_large", 1)


@pytest.mark.parametrize("body", [
    {"memories": [{"content": 5}]}, {"memories": 5}, {"links": []}, {"memories": [], "archived": [{}]},
    {"memories": [], "aliases": [{"entity_id": 5, "alias": "x"}]}, {"memories": [], "dry_run": "yes"},
    {"memories": [], "agents": [{"agent_id": "a"}]}, {"memories": [], "links": [{"source_id": "a"}]},
])
async def test_an_import_of_another_shape_is_refused_whole(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    refused = await http.post("/import", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "schema_mismatch")
    assert (await http.get("/export")).json()["count"] == 0
