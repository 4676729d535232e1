"""The client: each route's request, each answer's value or error, under asyncio and Trio."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable

import httpx
import pytest
import trio

from aimem import wire
from aimem.client import Client
from aimem.client.failures import FAMILY_OF_CODE
from aimem.errors import (
    AimemError,
    ApprovalRequired,
    Bug,
    Code,
    Conflict,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    Unavailable,
)

Handler = Callable[[httpx.Request], httpx.Response]
MEMORY = {
    "id": "m1", "tier": "mid", "namespace": "n", "title": "t", "content": "c", "tags": [], "priority": 5,
    "confidence": 1.0, "source": "cli", "access_count": 0, "created_at": "2026-01-01T00:00:00.000000Z",
    "updated_at": "2026-01-01T00:00:00.000000Z", "metadata": {"agent_id": "a", "nothing": None},
}
HEALTH = {
    "status": "error", "service": "ai-memory", "version": "0.1.0", "embedder_ready": False, "federation_enabled": False,
    "compatible_with": "0.6.3", "mode": "keyword", "embedding_backlog": 0, "open_access": True, "stream": "s",
}


def run(loop: str, act: Callable[[], Awaitable[object]]) -> object:
    """Run on one of the two event loops."""
    async def main() -> object:
        return await act()

    return asyncio.run(main()) if loop == "asyncio" else trio.run(main)


def ask(handler: Handler, act: Callable[[Client], Awaitable[object]], *, loop: str = "trio") -> object:
    """Make a client of a node that answers by `handler`, and let it act."""
    keys = (f"key-{n}" for n in itertools.count())

    async def session() -> object:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url="http://node") as http:
            return await act(Client(http, new_key=lambda: next(keys), agent_id="tester"))

    return run(loop, session)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_alert_of_tls_that_httpx_lets_through_is_a_node_out_of_reach(loop: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise ssl.SSLError(1, "tlsv13 alert certificate required")

    with pytest.raises(Unavailable, match=r"cannot reach the node.*certificate required") as caught:
        ask(handler, lambda client: client.stats(), loop=loop)
    assert isinstance(caught.value.__cause__, ssl.SSLError)


def refused(handler: Handler, act: Callable[[Client], Awaitable[object]] = lambda client: client.stats()) -> AimemError:
    with pytest.raises(AimemError) as caught:
        ask(handler, act)
    return caught.value


ROUTES: list[tuple[Callable[[Client], Awaitable[object]], str, str, dict[str, object] | None]] = [
    (lambda c: c.remember(wire.CreateMemory(content="c", tags=["x"])), "POST", "/memories",
     {"content": "c", "tags": ["x"]}),
    (lambda c: c.list_memories(wire.ListQuery(namespace="a/b", limit=5)), "GET",
     "/memories?limit=5&offset=0&namespace=a/b", None),
    (lambda c: c.get("a/b c"), "GET", "/memories/a%2Fb%20c", None),
    (lambda c: c.get(".."), "GET", "/memories/%2E%2E", None),
    (lambda c: c.update("m1", wire.UpdateMemory(expires_at="")), "PUT", "/memories/m1", {"expires_at": ""}),
    (lambda c: c.delete("m1"), "DELETE", "/memories/m1", None),
    (lambda c: c.standard("a/b"), "GET", "/namespaces/a%2Fb/standard", None),
    (lambda c: c.standards("*"), "GET", "/namespaces/%2A/standard?inherit=true", None),
    (lambda c: c.set_standard("a/b", wire.StandardRequest(governance={"write": "any"})), "POST",
     "/namespaces/a%2Fb/standard", {"governance": {"write": "any"}, "force": False, "dry_run": False}),
    (lambda c: c.clear_standard("a/b"), "DELETE", "/namespaces/a%2Fb/standard", None),
    (lambda c: c.access("a/b", wire.AccessQuery(agent_id="bob")), "GET", "/namespaces/a%2Fb/access?agent_id=bob", None),
    (lambda c: c.namespace_history("a/b"), "GET", "/namespaces/a%2Fb/history?limit=64", None),
    (lambda c: c.promote("m1"), "POST", "/memories/m1/promote", None),
    (lambda c: c.promote("m1", "a"), "POST", "/memories/m1/promote", {"to_namespace": "a"}),
    (lambda c: c.search(wire.SearchQuery(q="ä b")), "GET", "/search?q=ä b&limit=20", None),
    (lambda c: c.recall(wire.RecallRequest(context="x", touch=False)), "POST", "/recall",
     {"context": "x", "touch": False, "limit": 10, "floor": True, "explain": False,
      "standards": False}),
    (lambda c: c.recall_by_query(wire.RecallQuery(context="x", touch=True)), "GET",
     "/recall?context=x&limit=10&touch=true&floor=true&explain=false&standards=false", None),
    (lambda c: c.link(wire.LinkRequest(source_id="a", target_id="b")), "POST", "/links",
     {"source_id": "a", "target_id": "b", "relation": "related_to"}),
    (lambda c: c.unlink(wire.LinkRequest(source_id="a", target_id="b")), "DELETE", "/links",
     {"source_id": "a", "target_id": "b", "relation": "related_to"}),
    (lambda c: c.links_of("m1"), "GET", "/links/m1", None),
    (lambda c: c.expand_query(wire.ExpandRequest(query="db")), "POST", "/expand_query", {"query": "db"}),
    (lambda c: c.auto_tag("a/b"), "POST", "/memories/a%2Fb/auto_tag", None),
    (lambda c: c.detect_contradiction(wire.ContradictionRequest(id_a="a", id_b="b")), "POST",
     "/detect_contradiction", {"id_a": "a", "id_b": "b"}),
    (lambda c: c.list_archive(), "GET", "/archive?limit=50&offset=0", None),
    (lambda c: c.archive(wire.ArchiveRequest(ids=["a"])), "POST", "/archive", {"ids": ["a"], "reason": "archive"}),
    (lambda c: c.purge_archive(wire.PurgeQuery(older_than_days=3)), "DELETE",
     "/archive?older_than_days=3&all=false", None),
    (lambda c: c.restore("m1", wire.RestoreQuery(mode="long")), "POST", "/archive/m1/restore?mode=long", None),
    (lambda c: c.archive_stats(), "GET", "/archive/stats", None),
    (lambda c: c.namespaces(), "GET", "/namespaces", None),
    (lambda c: c.stats(), "GET", "/stats", None),
    (lambda c: c.collect(wire.GcQuery(dry_run=True)), "POST", "/gc?dry_run=true", None),
    (lambda c: c.export(), "GET", "/export", None),
    (lambda c: c.export(wire.ExportQuery(limit=9, cursor="abc")), "GET", "/export?limit=9&cursor=abc", None),
    (lambda c: c.import_memories(wire.ImportRequest(memories=[])), "POST", "/import",
     {"memories": [], "links": [], "archived": [], "aliases": [], "agents": [], "namespaces": [], "trust_source": False,
      "dry_run": False, "conversations": False}),
    (lambda c: c.list_agents(), "GET", "/agents?limit=1000&offset=0", None),
    (lambda c: c.register_agent(wire.AgentRequest(agent_id="a", agent_type="human")), "POST", "/agents",
     {"agent_id": "a", "agent_type": "human"}),
    (lambda c: c.remove_agent("a/b"), "DELETE", "/agents/a%2Fb", None),
    (lambda c: c.remove_agent(".."), "DELETE", "/agents/%2E%2E", None),
    (lambda c: c.remove_agent("keys"), "DELETE", "/agents/%6Beys", None),
    (lambda c: c.list_keys(wire.KeysQuery(agent_id="a")), "GET", "/agents/keys?agent_id=a&limit=1000&offset=0", None),
    (lambda c: c.revoke_key("0f"), "DELETE", "/agents/keys/0f", None),
    (lambda c: c.revoke_key("../x"), "DELETE", "/agents/keys/%2E%2E%2Fx", None),
    (lambda c: c.revoke_key(""), "DELETE", "/agents/keys/%00", None),
    (lambda c: c.revoke_keys("a"), "DELETE", "/agents/keys?agent_id=a", None),
    (lambda c: c.notify(wire.NotifyRequest(target_agent_id="b", title="t", payload="p")), "POST", "/notify",
     {"target_agent_id": "b", "title": "t", "payload": "p"}),
    (lambda c: c.inbox(wire.InboxQuery(unread_only=True, limit=5)), "GET",
     "/inbox?unread_only=true&limit=5&offset=0", None),
    (lambda c: c.mark_read(wire.ReadRequest(ids=["m"])), "POST", "/inbox/read", {"ids": ["m"]}),
    (lambda c: c.delete_message("m/1"), "DELETE", "/inbox/m%2F1", None),
    (lambda c: c.start_session(wire.SessionRequest(limit=3)), "POST", "/session/start",
     {"limit": 3, "summary": False}),
    (lambda c: c.health(), "GET", "/health", None),
    (lambda c: c.capabilities(), "GET", "/capabilities", None),
    (lambda c: c.index_status(wait_below=7), "GET", "/index?wait_below=7", None),
    (lambda c: c.reindex(wire.ReindexRequest(embeddings=True)), "POST", "/index",
     {"what": "all", "embeddings": True}),
    (lambda c: c.metrics(), "GET", "/metrics", None),
    (lambda c: c.openapi(), "GET", "/openapi.json", None),
]


@pytest.mark.parametrize(("act", "method", "path", "body"), ROUTES)
def test_each_method_sends_its_route(act, method, path, body) -> None:  # type: ignore[no-untyped-def]
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"error": "stop here", "code": "not_found"})

    assert isinstance(refused(handler, act), NotFound)
    [request] = seen
    route, _, query = path.partition("?")
    assert (request.method, request.url.raw_path.decode().partition("?")[0]) == (method, "/api/v1" + route)
    assert dict(request.url.params) == dict(pair.split("=") for pair in query.split("&") if pair)
    assert request.headers["X-Agent-Id"] == "tester"
    assert request.headers.get("Idempotency-Key") == (None if method == "GET" else "key-0")
    sent = {name: value for name, value in json.loads(request.content or b"{}").items() if value is not None}
    assert sent == (body or {})
    assert request.headers.get("Content-Type") == ("application/json" if body else None)


@pytest.mark.parametrize(("act", "path"), [
    (lambda c: c.add_key(wire.KeyRequest(agent_id="a")), "/agents/keys"),
    (lambda c: c.rotate_key("0f", wire.RotateRequest()), "/agents/keys/0f/rotate"),
])
def test_what_answers_with_a_secret_is_sent_without_a_key_for_retries(act, path) -> None:  # type: ignore[no-untyped-def]
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"error": "stop here", "code": "not_found"})

    refused(handler, act)
    [request] = seen
    assert (request.method, request.url.path) == ("POST", "/api/v1" + path)
    assert "Idempotency-Key" not in request.headers


def test_a_client_for_nobody_claims_no_agent() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"error": "stop here", "code": "not_found"})

    refused(handler, lambda client: client.for_agent(None).stats())
    assert "X-Agent-Id" not in seen[0].headers


def test_bulk_sends_its_items_as_single_stores_would_be() -> None:
    item = wire.CreateMemory(content="c", tags=["x"])

    def handler(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/api/v1/memories/bulk")
        assert json.loads(request.content) == {"memories": [wire.to_builtins(item)]}
        refusal = {"index": 0, "error": "no", "code": "invalid_request"}
        counts = {"created": 0, "errors": ["x: no"], "updated": 0, "ids": []}
        return httpx.Response(200, json={**counts, "results": [refusal]})

    answer = ask(handler, lambda client: client.remember_many([item]))
    assert isinstance(answer, wire.BulkAnswer)
    assert answer.results[0].code == "invalid_request"
    with pytest.raises(InvalidRequest, match="UTF-8"):
        ask(handler, lambda client: client.remember_many([wire.CreateMemory(content="\ud800")]))


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_answer_becomes_its_wire_value_on_both_loops(loop: str) -> None:
    answer = {**MEMORY, "memory": MEMORY, "links": [], "added_by_a_newer_node": 1}
    found = ask(lambda request: httpx.Response(200, json=answer), lambda client: client.get("m1"), loop=loop)
    assert isinstance(found, wire.MemoryWithLinks)
    assert (found.id, found.memory.metadata) == ("m1", {"agent_id": "a", "nothing": None})


def test_a_given_key_and_agent_are_sent_instead_of_the_client_s_own() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"deleted": True})

    ask(handler, lambda client: client.delete("m1", agent_id="other", key="mine"))
    ask(handler, lambda client: client.for_agent("third").delete("m1"))
    sent = [(request.headers["X-Agent-Id"], request.headers["Idempotency-Key"]) for request in seen]
    assert sent == [("other", "mine"), ("third", "key-0")]


def test_every_code_has_a_family_and_its_answer_becomes_it() -> None:
    assert set(FAMILY_OF_CODE) == set(Code)
    for code, family in FAMILY_OF_CODE.items():
        error = refused(lambda request, code=code: httpx.Response(  # type: ignore[misc]
            418, json={"error": "no", "code": code, "field": "x.y", "needed": 3, "message": "taken", "self": 1}))
        assert (type(error), error.code, error.message, error.field) == (family, code, "no", "x.y")
        assert error.details == {"needed": 3}


@pytest.mark.parametrize(("status", "family"), [
    (400, InvalidRequest), (404, NotFound), (409, Conflict), (429, QuotaExceeded), (500, Bug), (502, Unavailable)])
def test_an_unknown_code_falls_back_to_the_status(status: int, family: type[AimemError]) -> None:
    error = refused(lambda request: httpx.Response(status, json={"error": "odd", "code": "from_the_future"}))
    assert (type(error), error.message) == (family, "odd")


@pytest.mark.parametrize("answer", [
    httpx.Response(200, text="<html>"), httpx.Response(200, json={"total": "x"}), httpx.Response(200, json=[]),
    httpx.Response(200, content=b"\xff"), httpx.Response(200), httpx.Response(301, headers={"Location": "/x"}),
    httpx.Response(500, text="<html>"), httpx.Response(502, json={"error": {"a": 1}}), httpx.Response(404, json=[1]),
    httpx.Response(404, content=b"[" * 100_000), httpx.Response(200, content=b"[" * 100_000),
])
def test_nonsense_is_unavailable_and_says_so(answer: httpx.Response) -> None:
    error = refused(lambda request: answer)
    assert isinstance(error, Unavailable)
    assert "answer" in error.message


def test_a_page_of_somebody_else_is_quoted_in_short_and_on_one_line() -> None:
    page = "<!DOCTYPE HTML>\n<html>\n" + "<p>This is no node.</p>\n" * 100
    message = refused(lambda request: httpx.Response(404, text=page)).message
    assert "'<!DOCTYPE HTML> <html> <p>This" in message
    assert len(message) < 150


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_unreachable_node_is_unavailable_and_says_what_to_do(loop: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(Unavailable, match=r"cannot reach the node at http://node.*connection refused.*ai-memory serve"):
        ask(handler, lambda client: client.stats(), loop=loop)


def test_a_node_that_is_too_slow_is_a_deadline_and_only_of_a_write_the_outcome_is_unknown() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    error = refused(handler, lambda client: client.delete("m1"))
    assert (error.code, error.details["outcome"]) == (Code.DEADLINE_EXCEEDED, "unknown")
    error = refused(handler)
    assert (error.code, "outcome" in error.details) == (Code.DEADLINE_EXCEEDED, False)
    assert "applied" not in error.message


def test_an_error_of_ours_from_the_transport_passes_through() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise Unavailable("held by pid 7")

    assert refused(handler).message == "held by pid 7"


def test_a_queued_action_is_approval_required_with_its_details() -> None:
    pending = {"status": "pending", "pending_id": "p1", "reason": "policy says so", "action": "store"}
    error = refused(lambda request: httpx.Response(202, json=pending), lambda client: client.delete("m1"))
    assert isinstance(error, ApprovalRequired)
    assert error.details == pending


def test_an_unwell_node_s_health_is_a_value_and_a_refusal_an_error() -> None:
    health = ask(lambda request: httpx.Response(503, json=HEALTH), lambda client: client.health())
    assert isinstance(health, wire.Health)
    assert health.status == "error"
    envelope = {"error": "shutting down", "code": "shutting_down"}
    error = refused(lambda request: httpx.Response(503, json=envelope), lambda client: client.health())
    assert error.code is Code.SHUTTING_DOWN


@pytest.mark.parametrize("act", [
    lambda c: c.get(""), lambda c: c.get("  "), lambda c: c.get("x" * 200), lambda c: c.get("\udc80"),
    lambda c: c.search(wire.SearchQuery(q="\udc80")), lambda c: c.remember(wire.CreateMemory(content="\udc80")),
    lambda c: c.search(wire.SearchQuery(q="€" * 21_000)), lambda c: c.search(wire.SearchQuery(q="x" * 70_000)),
    lambda c: c.stats(agent_id="ä"), lambda c: c.delete("m1", key=""), lambda c: c.delete("m1", key="a\nb"),
])
def test_what_cannot_be_sent_is_refused_before_it_is_sent(act: Callable[[Client], Awaitable[object]]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise AssertionError("sent")

    assert isinstance(refused(handler, act), InvalidRequest)


def test_metrics_and_openapi_come_as_text() -> None:
    assert ask(lambda request: httpx.Response(200, text="a 1\n"), lambda client: client.metrics()) == "a 1\n"
    assert ask(lambda request: httpx.Response(200, text="{}"), lambda client: client.openapi()) == b"{}"


def test_the_client_does_not_load_trio() -> None:
    code = "import sys, aimem.client; sys.exit('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
