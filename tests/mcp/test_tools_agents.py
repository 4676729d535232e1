"""The tools on agents, messages and sessions against a fake node: what each asks, and what it answers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from aimem.errors import InvalidRequest
from aimem.mcp import TOOLS
from aimem.mcp.tools import Call

PROCESS = "ai:claude-code@box:pid-42"
UNREAD_INBOX = {"unread_only": False, "limit": 50, "offset": 0}


async def run(client: Any, tool: str, *, by: str = "me", **arguments: object) -> str:
    return await TOOLS[tool].run(Call(client=client, agent_id=by), arguments)


async def answer(client: Any, tool: str, *, by: str = "me", **arguments: object) -> Any:
    return json.loads(await run(client, tool, by=by, **arguments))


async def test_an_agent_is_registered_by_the_connection(client):
    result = await answer(client, "memory_agent_register", agent_id="bob", agent_type="ai:anything", capabilities=["a"])
    asked = {"agent_id": "bob", "agent_type": "ai:anything", "capabilities": ["a"]}
    assert client.calls == [("register_agent", [asked], "me")]
    assert list(result)[:5] == ["registered", "id", "agent_id", "agent_type", "capabilities"]


async def test_agents_are_listed(client):
    result = await answer(client, "memory_agent_list")
    assert client.calls == [("list_agents", [], "me")]
    assert (result["count"], result["agents"][0]["agent_id"]) == (1, "bob")


async def test_a_message_is_sent_by_the_connection(client):
    result = await answer(
        client, "memory_notify", target_agent_id="bob", title="T", payload="P", priority=7, tier="long"
    )
    ((name, (asked,), caller),) = client.calls
    assert (name, caller, asked["agent_id"]) == ("notify", "me", None)
    assert {key: value for key, value in asked.items() if value is not None} == {
        "target_agent_id": "bob", "title": "T", "payload": "P", "priority": 7, "tier": "long",
    }
    assert list(result)[:6] == ["id", "from", "to", "namespace", "tier", "delivered_at"]


@pytest.mark.parametrize("priority", [0, 11, 2**31, 2**40, -1, "5", 5.5])
async def test_a_priority_out_of_range_is_refused(client, priority):
    with pytest.raises(InvalidRequest, match="priority"):
        await run(client, "memory_notify", target_agent_id="bob", title="T", payload="P", priority=priority)
    assert client.calls == []


@pytest.mark.parametrize(
    ("by", "named", "caller"),
    [("me", None, "me"), ("me", "", "me"), ("me", "bob", "me"), (PROCESS, None, PROCESS), (PROCESS, "bob", "bob")],
)
async def test_only_a_connection_without_an_identity_says_whose_inbox(client, by, named, caller):
    """The node refuses a name that is not the caller's."""
    result = await answer(client, "memory_inbox", by=by, agent_id=named)
    assert client.calls == [("inbox", [{"agent_id": named or None, **UNREAD_INBOX}], caller)]
    assert list(result) == ["agent_id", "namespace", "count", "unread_only", "messages", "unread_count"]
    assert list(result["messages"][0]) == [
        "id", "from", "title", "payload", "priority", "tier", "created_at", "read", "access_count",
    ]


async def test_an_inbox_marks_what_it_shows_as_read_if_asked(client):
    result = await answer(client, "memory_inbox", unread_only=True, limit=3, offset=1, mark_read=True)
    assert client.calls == [
        ("inbox", [{"agent_id": None, "unread_only": True, "limit": 3, "offset": 1}], "me"),
        ("mark_read", [{"ids": ["9c"], "agent_id": None}], "me"),
    ]
    assert result["marked_read"] == 1
    assert result["messages"][0]["read"] is False


async def test_an_inbox_without_anything_unread_marks_nothing(client):
    found = client.answers["inbox"]
    client.answers["inbox"] = msgspec.structs.replace(found, messages=found.messages[1:])
    assert (await answer(client, "memory_inbox", mark_read=True))["marked_read"] == 0
    assert [name for name, _, _ in client.calls] == ["inbox"]


async def test_a_session_starts_with_a_table_that_has_the_summary(client):
    started = client.answers["start_session"]
    client.answers["start_session"] = msgspec.structs.replace(started, summary="Two lines:\nof it.")
    facts, header, row = (await run(client, "memory_session_start", namespace="a", limit=3)).split("\n")
    assert client.calls == [
        ("start_session", [{"namespace": "a", "limit": 3, "agent_id": None, "summary": True}], "me")
    ]
    assert facts == r"count:1|mode:session_start|session_id:5e|summary:Two lines\:\nof it."
    assert header == "memories[id|title|tier|namespace|priority|score|tags|agent_id|content]:"
    assert row.startswith("7f3a|")


async def test_a_session_without_a_summary_answers_json_if_asked(client):
    result = await answer(client, "memory_session_start", format="json")
    assert list(result) == ["memories", "count", "mode", "session_id", "agent_id"]
    assert result["memories"][0]["score"] == 0.0


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("memory_agent_register", {"agent_id": "a"}, "agent_type"),
        ("memory_agent_register", {"agent_id": "a", "agent_type": "human", "capabilities": "x"}, "capabilities"),
        ("memory_notify", {"title": "t", "payload": "p"}, "target_agent_id"),
        ("memory_notify", {"target_agent_id": "b", "title": "t", "payload": {}}, "payload"),
        ("memory_notify", {"target_agent_id": "b", "title": "t", "payload": "p", "agent_id": "eve"}, "agent_id"),
        ("memory_inbox", {"limit": 501}, "limit"), ("memory_inbox", {"limit": "5"}, "limit"),
        ("memory_inbox", {"mark_read": 1}, "mark_read"), ("memory_session_start", {"limit": 0}, "limit"),
        ("memory_session_start", {"format": "yaml"}, "format"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_asked(client, tool, arguments, field):
    with pytest.raises(InvalidRequest) as refused:
        await run(client, tool, **arguments)
    assert refused.value.field == field
    assert client.calls == []
