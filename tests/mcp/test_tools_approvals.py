"""The tools on actions that wait for approval: what each asks the node, and what a queued call is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.client.client import Client

from aimem.errors import ApprovalRequired, InvalidRequest
from aimem.mcp import TOOLS
from aimem.mcp.protocol import make_server
from aimem.mcp.tools import Call
from aimem.wire import PendingQuery, to_builtins

PROCESS = "ai:claude-code@box:pid-42"


async def run(client: Any, tool: str, *, by: str = "me", **arguments: object) -> Any:
    return json.loads(await TOOLS[tool].run(Call(client=client, agent_id=by), arguments))


async def test_a_list_without_a_status_holds_all(client):
    result = await run(client, "memory_pending_list")
    assert client.calls == [("list_pending", [to_builtins(PendingQuery())], "me")]
    assert result == {"count": 0, "pending": [], "more": False}
    shown = TOOLS["memory_pending_list"].schema["properties"]["status"]
    assert shown.get("default") is None


async def test_a_list_hands_its_filters_on(client):
    given = {"status": "expired", "namespace": "a", "requested_by": "bob", "action": "store", "limit": 3, "offset": 1}
    await run(client, "memory_pending_list", **given)
    assert client.calls == [("list_pending", [given], "me")]


@pytest.mark.parametrize("arguments", [{"status": "waiting"}, {"limit": 1001}, {"limit": -1}, {"limit": "3"}])
async def test_a_bad_filter_is_refused(client, arguments):
    with pytest.raises(InvalidRequest):
        await run(client, "memory_pending_list", **arguments)
    assert client.calls == []


@pytest.mark.parametrize("act", ["approve", "reject"])
@pytest.mark.parametrize(
    ("by", "named", "caller"), [("me", None, "me"), ("me", "bob", "me"), (PROCESS, None, PROCESS), (PROCESS, "b", "b")]
)
async def test_only_a_connection_without_an_identity_says_who_votes(client, act, by, named, caller):
    """The node refuses a name that is not the caller's."""
    result = await run(client, f"memory_pending_{act}", by=by, id="9e", comment="fine", agent_id=named)
    [(name, [pending_id, request], asked_by)] = client.calls
    assert (name, pending_id, asked_by) == (f"{act}_pending", "9e", caller)
    assert request == {"comment": "fine", "agent_id": named}
    assert result["decided_by"] == "me"


async def test_what_is_queued_is_an_answer_and_no_failure(client):
    details = {"status": "pending", "pending_id": "9e", "reason": "governance requires approval", "action": "store",
               "namespace": "asked"}
    client.answers["remember"] = ApprovalRequired("store in 'asked' waits for approval as 9e", **details)
    async with Client(make_server(client, lambda name: f"ai:{name}"), mode="legacy") as peer:
        called = await peer.call_tool("memory_store", {"title": "T", "content": "C"})
    assert not called.is_error
    told = json.loads(called.content[0].text)
    assert details.items() <= told.items()
    assert (told["code"], told["message"]) == ("approval_required", "store in 'asked' waits for approval as 9e")
