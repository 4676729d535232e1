"""The tools on the knowledge graph, entities, taxonomy and duplicates: what each asks, and what it answers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from aimem.errors import Code, InvalidRequest, NotFound
from aimem.wire import (
    AliasQuery,
    DuplicateCheck,
    EntityRequest,
    GraphQuery,
    InvalidateRequest,
    TaxonomyQuery,
    TimelineQuery,
)
from tests.mcp.graph_answers import GRAPH_ANSWERS
from tests.mcp.test_tools import answer, request, run

TRIPLE = {"source_id": "a", "target_id": "b", "relation": "supersedes"}
AT = "2026-01-01T00:00:00.000000Z"
EVERYTHING: list[tuple[str, str, dict[str, Any], type[msgspec.Struct], dict[str, Any]]] = [
    # tool, call, arguments, request, and where the request says it otherwise
    ("memory_kg_timeline", "kg_timeline", {"source_id": "a", "since": AT, "until": AT, "limit": 7}, TimelineQuery, {}),
    ("memory_kg_timeline", "kg_timeline", {"source_id": "a"}, TimelineQuery, {}),
    ("memory_kg_invalidate", "kg_invalidate", {**TRIPLE, "valid_until": AT, "reason": "r"}, InvalidateRequest, {}),
    ("memory_kg_query", "kg_query",
     {"source_id": "a", "max_depth": 5, "valid_at": "all", "allowed_agents": [], "limit": 9}, GraphQuery, {}),
    ("memory_kg_query", "kg_query", {"source_id": "a"}, GraphQuery, {}),
    ("memory_get_taxonomy", "get_taxonomy", {"namespace_prefix": "a/", "depth": 0, "limit": 1}, TaxonomyQuery,
     {"prefix": "a/"}),
    ("memory_get_taxonomy", "get_taxonomy", {}, TaxonomyQuery, {}),
    ("memory_check_duplicate", "check_duplicate",
     {"title": "t", "content": "c", "namespace": "n", "threshold": 1}, DuplicateCheck, {}),
    ("memory_entity_register", "register_entity",
     {"canonical_name": "Acme", "namespace": "crm", "aliases": ["A"], "metadata": {"k": 1}, "agent_id": "bob"},
     EntityRequest, {}),
    ("memory_entity_get_by_alias", "entity_by_alias", {"alias": "A", "namespace": "crm"}, AliasQuery, {}),
]


@pytest.mark.parametrize(("tool", "call", "arguments", "kind", "renamed"), EVERYTHING)
async def test_a_tool_passes_every_argument_and_answers_as_json(
    client: Any, tool: str, call: str, arguments: dict[str, Any], kind: type[msgspec.Struct], renamed: dict[str, Any]
) -> None:
    sent = {name: value for name, value in arguments.items() if name != "namespace_prefix"}
    assert await answer(client, tool, **arguments) == json.loads(msgspec.json.encode(GRAPH_ANSWERS[call]))
    assert client.calls == [(call, [request(kind, **sent, **renamed)], "me")]


async def test_a_link_that_is_not_there_is_an_answer(client: Any) -> None:
    client.answers["kg_invalidate"] = NotFound("not found: no link", found=False, **TRIPLE)
    assert await answer(client, "memory_kg_invalidate", **TRIPLE) == {"found": False, **TRIPLE}
    client.answers["kg_invalidate"] = NotFound("there is no such route")
    with pytest.raises(NotFound):
        await run(client, "memory_kg_invalidate", **TRIPLE)


async def test_a_refused_prefix_is_called_as_the_argument_is(client: Any) -> None:
    client.answers["get_taxonomy"] = InvalidRequest("prefix 'a//b' has an empty segment", field="prefix")
    with pytest.raises(InvalidRequest) as caught:
        await run(client, "memory_get_taxonomy", namespace_prefix="a//b")
    assert caught.value.field == "namespace_prefix"
    client.answers["get_taxonomy"] = InvalidRequest("depth is 9", field="depth")
    with pytest.raises(InvalidRequest, match="depth is 9"):
        await run(client, "memory_get_taxonomy")


@pytest.mark.parametrize(("tool", "arguments", "field"), [
    ("memory_kg_timeline", {}, "source_id"), ("memory_kg_timeline", {"source_id": "a", "limit": 0}, "limit"),
    ("memory_kg_timeline", {"source_id": "a", "limit": "7"}, "limit"),
    ("memory_kg_invalidate", {"source_id": "a", "target_id": "b"}, "relation"),
    ("memory_kg_invalidate", {**TRIPLE, "relation": "likes"}, "relation"),
    ("memory_kg_query", {"source_id": "a", "max_depth": 0}, "max_depth"),
    ("memory_kg_query", {"source_id": "a", "max_depth": 6}, "max_depth"),
    ("memory_kg_query", {"source_id": "a", "allowed_agents": "x"}, "allowed_agents"),
    ("memory_get_taxonomy", {"depth": 9}, "depth"), ("memory_get_taxonomy", {"limit": 10_001}, "limit"),
    ("memory_get_taxonomy", {"prefix": "a"}, "prefix"),
    ("memory_check_duplicate", {"title": "x"}, "content"),
    ("memory_check_duplicate", {"content": "x", "threshold": 0.4}, "threshold"),
    ("memory_entity_register", {"canonical_name": "x"}, "namespace"),
    ("memory_entity_register", {"canonical_name": "x", "namespace": "n", "aliases": ["a"] * 51}, "aliases"),
    ("memory_entity_register", {"canonical_name": "x", "namespace": "n", "aliases": [1]}, "aliases[0]"),
    ("memory_entity_get_by_alias", {}, "alias"),
])
async def test_a_wrong_argument_is_named_and_nothing_is_asked(
    client: Any, tool: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await run(client, tool, **arguments)
    assert (caught.value.code, caught.value.field) == (Code.SCHEMA_MISMATCH, field)
    assert client.calls == []
