"""Each tool against a fake node: what it asks, and what it answers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from aimem.errors import InvalidRequest
from aimem.mcp import TOOLS
from aimem.mcp.tools import Call
from aimem.wire import CreateMemory, Promoted, RecallRequest, UpdateMemory, to_builtins

HOUSE = (
    "store", "recall", "search", "list", "get", "update", "delete", "promote", "link", "get_links", "stats", "gc",
    "archive_list", "archive_purge", "archive_restore", "archive_stats", "capabilities", "forget", "consolidate",
    "expand_query", "auto_tag", "detect_contradiction",
)
NAMESPACES = ("namespace_set_standard", "namespace_get_standard", "namespace_clear_standard")
APPROVALS = ("pending_list", "pending_approve", "pending_reject")
AGENTS = (
    "agent_register", "agent_list", "notify", "inbox", "session_start", "subscribe", "unsubscribe",
    "list_subscriptions",
)
GRAPH = (
    "kg_timeline", "kg_invalidate", "kg_query", "entity_register", "entity_get_by_alias", "get_taxonomy",
    "check_duplicate",
)
MEMORY_KEYS = [
    "id", "tier", "namespace", "title", "content", "tags", "priority", "confidence", "source", "access_count",
    "created_at", "updated_at", "metadata",
]


async def run(client: Any, tool: str, **arguments: object) -> str:
    return await TOOLS[tool].run(Call(client=client, agent_id="me"), arguments)


async def answer(client: Any, tool: str, **arguments: object) -> Any:
    return json.loads(await run(client, tool, **arguments))


def request(kind: type[msgspec.Struct], **fields: object) -> object:
    return to_builtins(msgspec.convert(fields, kind))


def test_the_table_has_the_tools_of_this_house():
    assert set(TOOLS) == {f"memory_{name}" for name in (*HOUSE, *GRAPH, *NAMESPACES, *AGENTS, *APPROVALS)}


async def test_store_sends_what_was_given_and_leaves_other_defaults_to_the_node(client):
    stored = await answer(client, "memory_store", title="T", content="C")
    assert client.calls == [("remember", [request(CreateMemory, title="T", content="C", source="claude")], "me")]
    assert stored == {
        "id": "7f3a", "tier": "mid", "title": "T", "namespace": "team/app", "agent_id": "alice", "action": "created",
        "version": "s:1",
    }


async def test_store_passes_every_parameter(client):
    given = {
        "title": "T", "content": "C", "tier": "long", "namespace": "a/b", "tags": ["x"], "priority": 9,
        "confidence": 0.25, "source": "user", "metadata": {"k": 1}, "agent_id": "bob", "scope": "team", "ttl_secs": 60,
        "expires_at": "2030-01-01T00:00:00Z",
    }
    await run(client, "memory_store", **given)
    assert client.calls == [("remember", [request(CreateMemory, **given)], "me")]


async def test_store_onto_a_name_that_is_there_says_duplicate(client):
    client.answers["remember"] = msgspec.structs.replace(client.answers["remember"], action="updated")
    stored = await answer(client, "memory_store", title="T", content="C")
    assert stored["duplicate"] is True
    assert stored["action"] == "updated existing memory"


@pytest.mark.parametrize(
    ("arguments", "author"),
    [
        ({}, None),
        ({"agent_id": ""}, None),
        ({"agent_id": "bob", "metadata": {"agent_id": "eve"}}, "bob"),
        ({"metadata": {"agent_id": "eve"}}, "eve"),
        ({"metadata": {"agent_id": 5}}, None),
    ],
)
async def test_store_takes_the_author_from_the_argument_then_from_metadata(client, arguments, author):
    await run(client, "memory_store", title="T", content="C", **arguments)
    assert client.calls[0][1][0]["agent_id"] == author


async def test_recall_passes_every_parameter_and_answers_as_json_if_asked(client):
    given = {
        "context": "why", "namespace": "a", "limit": 3, "tags": "x", "since": "2026-01-01T00:00:00Z",
        "until": "2027-01-01T00:00:00Z", "as_agent": "a/b", "budget_tokens": 100, "context_tokens": ["now"],
        "floor": False, "explain": True,
    }
    result = await answer(client, "memory_recall", **given, format="json")
    assert client.calls == [("recall", [request(RecallRequest, **given, standards=True)], "me")]
    assert list(result) == ["memories", "count", "tokens_used", "mode", "budget_tokens", "below_floor"]
    assert list(result["memories"][0]) == [*MEMORY_KEYS, "score"]


async def test_what_recall_has_to_say_beside_its_columns_comes_behind_them(client):
    found = client.answers["recall"]
    [memory] = found.memories
    client.answers["recall"] = msgspec.structs.replace(
        found, below_floor=3, memories=(msgspec.structs.replace(memory, contradicted_by=("9c1e", "5b0d")),)
    )
    facts, header, row = (await run(client, "memory_recall", context="x")).split("\n")
    assert facts.endswith("|below_floor:3")
    assert header.endswith("|agent_id|content|contradicted_by]:")
    assert row.endswith("|9c1e,5b0d")


def _needed(tool: str) -> dict[str, object]:
    return {"memory_recall": {"context": "x"}, "memory_search": {"query": "x"}, "memory_list": {}}[tool]


@pytest.mark.parametrize("tool", ["memory_recall", "memory_search", "memory_list"])
async def test_the_default_answer_is_a_compact_table_with_the_content(client, tool):
    text = await run(client, tool, **_needed(tool))
    facts = {
        "memory_recall": "count:1|mode:hybrid|tokens_used:12|budget_tokens:100", "memory_search": "count:1",
        "memory_list": r"count:1|next_cursor:c\|1",
    }[tool]
    score = "0.75" if tool == "memory_recall" else ""
    assert text == (
        f"{facts}\nmemories[id|title|tier|namespace|priority|score|tags|agent_id|content]:\n"
        rf"7f3a|Deploys \| on Friday\: no|mid|team/app|7|{score}|ops,a\,b|alice|line one\nline two"
    )


@pytest.mark.parametrize("tool", ["memory_recall", "memory_search", "memory_list"])
async def test_an_unknown_format_is_refused_with_the_known_ones(client, tool):
    with pytest.raises(InvalidRequest, match="give one of json, toon, toon_compact") as refused:
        await run(client, tool, **_needed(tool), format="yaml")
    assert refused.value.field == "format"
    assert client.calls == []


async def test_search_filters_by_author_and_writes_each_hit_once(client):
    result = await answer(client, "memory_search", query="deploys", agent_id="bob", tier="mid", limit=2, format="json")
    ((name, (query,), caller),) = client.calls
    assert (name, caller) == ("search", "me")
    assert (query["q"], query["agent_id"], query["tier"], query["limit"]) == ("deploys", "bob", "mid", 2)
    assert list(result) == ["results", "count"]
    assert list(result["results"][0]) == MEMORY_KEYS


async def test_a_blank_query_is_refused_under_the_name_that_the_tool_gives_it(client):
    with pytest.raises(InvalidRequest) as refused:
        await run(client, "memory_search", query=" ")
    assert refused.value.field == "query"
    assert client.calls == []


async def test_list_goes_on_with_a_cursor(client):
    result = await answer(client, "memory_list", namespace="a", cursor="c|0", format="json")
    ((_, (query,), _),) = client.calls
    assert (query["namespace"], query["cursor"], query["limit"]) == ("a", "c|0", 20)
    assert list(result) == ["memories", "count", "next_cursor"]


async def test_get_answers_the_memory_flat_and_once_with_its_links(client):
    result = await answer(client, "memory_get", id="7f3a")
    assert client.calls == [("get", ["7f3a"], "me")]
    assert list(result) == [*MEMORY_KEYS, "links"]
    assert result["links"][0]["relation"] == "supersedes"


@pytest.mark.parametrize(
    ("arguments", "expires_at"),
    [({}, None), ({"expires_at": None}, ""), ({"expires_at": ""}, ""), ({"expires_at": "2030-01-01T00:00:00Z"},) * 2],
)
async def test_update_clears_the_expiry_by_null_and_by_an_empty_text_and_else_leaves_it(client, arguments, expires_at):
    if isinstance(expires_at, dict):
        expires_at = expires_at["expires_at"]
    result = await answer(client, "memory_update", id="7f3a", title="N", **arguments)
    expected = {**request(UpdateMemory, title="N"), "expires_at": expires_at}
    assert client.calls == [("update", ["7f3a", expected], "me")]
    assert list(result) == ["updated", "memory", "version"]
    assert result["updated"] is True
    assert list(result["memory"]) == MEMORY_KEYS


@pytest.mark.parametrize("arguments", [{}, {"title": None}])
async def test_update_without_a_change_is_refused_with_what_can_change(client, arguments):
    with pytest.raises(InvalidRequest, match="nothing to change; give at least one of title, content, tier"):
        await run(client, "memory_update", id="7f3a", **arguments)
    assert client.calls == []


async def test_store_without_a_title_leaves_it_to_the_node(client):
    await run(client, "memory_store", content="C")
    assert client.calls == [("remember", [request(CreateMemory, content="C", source="claude")], "me")]


async def test_delete_takes_no_identity_from_its_arguments(client):
    with pytest.raises(InvalidRequest, match="agent_id: there is no such argument"):
        await run(client, "memory_delete", id="7f3a", agent_id="somebody")
    assert client.calls == []
    assert await answer(client, "memory_delete", id="7f3a") == {"deleted": True, "id": "7f3a"}
    assert client.calls == [("delete", ["7f3a"], "me")]


async def test_promote_of_the_tier_and_into_a_namespace(client):
    assert await answer(client, "memory_promote", id="7f3a") == {
        "promoted": True, "mode": "tier", "id": "7f3a", "tier": "long",
    }
    client.answers["promote"] = Promoted(promoted=True, mode="vertical", source_id="a", clone_id="b", to_namespace="t")
    assert (await answer(client, "memory_promote", id="7f3a", to_namespace="t"))["clone_id"] == "b"
    assert client.calls == [("promote", ["7f3a", None], "me"), ("promote", ["7f3a", "t"], "me")]


async def test_link_defaults_to_related(client):
    result = await answer(client, "memory_link", source_id="a", target_id="b")
    assert client.calls[0][1][0] == {
        "source_id": "a", "target_id": "b", "relation": "related_to", "valid_from": None, "valid_until": None,
    }
    assert result["linked"] is True


async def test_get_links(client):
    result = await answer(client, "memory_get_links", id="7f3a")
    assert client.calls == [("links_of", ["7f3a"], "me")]
    assert result["count"] == len(result["links"]) == 1


@pytest.mark.parametrize("dry_run", [True, False])
async def test_gc_collects_unless_it_only_counts(client, dry_run):
    result = await answer(client, "memory_gc", dry_run=dry_run)
    assert client.calls == [("collect", [{"dry_run": dry_run}], "me")]
    assert result["collected"] == 4


async def test_archive_list_restore_and_stats(client):
    page = await answer(client, "memory_archive_list", namespace="a", limit=2, offset=4)
    restored = await answer(client, "memory_archive_restore", id="7f3a", mode="long")
    counts = await answer(client, "memory_archive_stats")
    assert client.calls == [
        ("list_archive", [{"namespace": "a", "limit": 2, "offset": 4}], "me"),
        ("restore", ["7f3a", {"mode": "long"}], "me"),
        ("archive_stats", [], "me"),
    ]
    assert list(page) == ["archived", "count"]
    assert restored == {"restored": True, "id": "7f3a"}
    assert counts["archived_total"] == 1


@pytest.mark.parametrize("given", [{"older_than_days": 90}, {"all": True}, {}])
async def test_archive_purge_leaves_it_to_the_node_whether_that_is_enough(client, given):
    assert await answer(client, "memory_archive_purge", **given) == {"purged": 3}
    assert client.calls == [("purge_archive", [{"older_than_days": None, "all": False, **given}], "me")]


@pytest.mark.parametrize(("tool", "key"), [("memory_stats", "total"), ("memory_capabilities", "schema_version")])
async def test_tools_without_parameters_answer_what_the_node_says(client, tool, key):
    assert key in await answer(client, tool)


async def test_json_answers_are_pretty_printed(client):
    assert await run(client, "memory_delete", id="7f3a") == '{\n  "deleted": true,\n  "id": "7f3a"\n}'


async def test_tools_of_the_language_model_send_what_was_given(client):
    terms = await answer(client, "memory_expand_query", query="db")
    tagged = await answer(client, "memory_auto_tag", id="7f3a")
    verdict = await answer(client, "memory_detect_contradiction", id_a="7f3a", id_b="9c")
    assert client.calls == [
        ("expand_query", [{"query": "db"}], "me"), ("auto_tag", ["7f3a"], "me"),
        ("detect_contradiction", [{"id_a": "7f3a", "id_b": "9c"}], "me"),
    ]
    assert terms == {"original": "db", "expanded_terms": ["engine"]}
    assert tagged == {"id": "7f3a", "new_tags": ["db"], "all_tags": ["ops", "db"], "version": "s:9"}
    assert verdict == {
        "contradicts": True, "memory_a": {"id": "7f3a", "title": "T"}, "memory_b": {"id": "9c", "title": "U"},
        "method": "deterministic", "reason": "different values: 1 / 2",
    }


@pytest.mark.parametrize(("tool", "arguments", "field"), [
    ("memory_expand_query", {}, "query"), ("memory_expand_query", {"query": 7}, "query"),
    ("memory_auto_tag", {"id": None}, "id"), ("memory_auto_tag", {"id": "x", "force": True}, "force"),
    ("memory_detect_contradiction", {"id_a": "x"}, "id_b"),
    ("memory_detect_contradiction", {"id_a": [], "id_b": ""}, "id_a"),
])
async def test_wrong_arguments_of_the_language_tools_reach_no_node(client, tool, arguments, field):
    with pytest.raises(InvalidRequest) as caught:
        await run(client, tool, **arguments)
    assert (caught.value.field, client.calls) == (field, [])
