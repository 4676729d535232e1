"""Calls on the knowledge graph, contradictions, taxonomy, duplicates and entities: each sends its route."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from aimem import wire
from aimem.client import Client
from aimem.errors import NotFound
from tests.client.test_client import refused

TRIPLE = {"source_id": "a", "target_id": "b", "relation": "supersedes"}
ROUTES: list[tuple[Callable[[Client], Awaitable[object]], str, str, dict[str, object]]] = [
    (lambda c: c.kg_timeline(wire.TimelineQuery(source_id="a b", since="2026-01-01T00:00:00Z")), "GET",
     "/kg/timeline?source_id=a b&since=2026-01-01T00:00:00Z&limit=200", {}),
    (lambda c: c.kg_invalidate(wire.InvalidateRequest(**TRIPLE, reason="r")), "POST", "/kg/invalidate",
     {**TRIPLE, "reason": "r"}),
    (lambda c: c.kg_query(wire.GraphQuery(source_id="a", allowed_agents=[])), "POST", "/kg/query",
     {"source_id": "a", "max_depth": 1, "allowed_agents": [], "limit": 200}),
    (lambda c: c.contradictions(wire.ContradictionsQuery(topic="t")), "GET", "/contradictions?topic=t&limit=50", {}),
    (lambda c: c.resolve(wire.ResolveRequest(winner="a", loser="b")), "POST", "/resolve",
     {"winner": "a", "loser": "b"}),
    (lambda c: c.get_taxonomy(), "GET", "/taxonomy?depth=8&limit=1000", {}),
    (lambda c: c.check_duplicate(wire.DuplicateCheck(content="c")), "POST", "/check_duplicate",
     {"content": "c", "threshold": 0.85}),
    (lambda c: c.register_entity(wire.EntityRequest(canonical_name="N", namespace="a")), "POST", "/entities",
     {"canonical_name": "N", "namespace": "a"}),
    (lambda c: c.entity_by_alias(wire.AliasQuery(alias="ä")), "GET", "/entities/by_alias?alias=ä", {}),
]


@pytest.mark.parametrize(("act", "method", "path", "body"), ROUTES)
def test_each_method_sends_its_route(
    act: Callable[[Client], Awaitable[object]], method: str, path: str, body: dict[str, object]
) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"error": "stop here", "code": "not_found", "found": False})

    error = refused(handler, act)
    assert isinstance(error, NotFound)
    assert error.details == {"found": False}
    [request] = seen
    route, _, query = path.partition("?")
    assert (request.method, request.url.path) == (method, "/api/v1" + route)
    assert dict(request.url.params) == dict(pair.split("=") for pair in query.split("&") if pair)
    sent = {name: value for name, value in json.loads(request.content or b"{}").items() if value is not None}
    assert sent == body
    assert ("Idempotency-Key" in request.headers) == (method == "POST")
