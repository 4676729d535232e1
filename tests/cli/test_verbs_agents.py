"""The verbs on agents and messages: what each asks the node, and what it prints as JSON and for people."""

from __future__ import annotations

import json

import httpx
import pytest

from aimem.cli import ExitStatus
from tests.cli.fakes import Machine

THEN = "2026-01-01T21:00:00.000000Z"
AGENT = {
    "agent_id": "ai:planner", "agent_type": "ai:codex-5.4", "capabilities": ["plan", "review"], "registered_at": THEN,
    "last_seen_at": "2026-01-01T23:55:00.000000Z", "registered_by": "alice",
}
AGENTS = {"count": 1, "agents": [AGENT], "total": 3}
REGISTERED = {"registered": True, "id": "ai:planner", **AGENT, "action": "created", "version": "s:1"}
SENT = {
    "id": "m-1", "from": "alice", "to": "bob", "namespace": "_messages/bob", "tier": "mid", "delivered_at": THEN,
    "version": "s:1",
}
MESSAGE = {
    "id": "m-1", "from": "alice", "title": "Plan", "payload": "It is ready.\n\nBegin.", "priority": 5, "tier": "mid",
    "created_at": THEN, "read": False, "access_count": 0,
}
READ = {**MESSAGE, "id": "m-0", "read": True, "access_count": 1, "payload": "Old."}
INBOX = {
    "agent_id": "bob", "namespace": "_messages/bob", "count": 2, "unread_only": False, "messages": [MESSAGE, READ],
    "unread_count": 4,
}
AGENTS_TABLE = """\
ID          TYPE          REGISTERED  SEEN    BY     CAPABILITIES
ai:planner  ai:codex-5.4  3h ago      5m ago  alice  plan, review
"""
INBOX_TEXT = """\
m-1  from alice, 3h ago, priority 5, unread
Plan
    It is ready.

    Begin.

m-0  from alice, 3h ago, priority 5, read
Plan
    Old.

"""
CASES: list[tuple[str, object, str, dict[str, object], str]] = [
    ("agents", AGENTS, "GET /agents", {"limit": "1000", "offset": "0"}, AGENTS_TABLE),
    ("agents list --limit 5 --offset 2", AGENTS, "GET /agents", {"limit": "5", "offset": "2"}, AGENTS_TABLE),
    ("agents register --agent-id ai:planner --agent-type ai:codex-5.4 --capabilities plan,,review", REGISTERED,
     "POST /agents", {"agent_id": "ai:planner", "agent_type": "ai:codex-5.4", "capabilities": ["plan", "review"]},
     "registered: ai:planner [ai:codex-5.4]\n"),
    ("agents register --agent-type human", {**REGISTERED, "action": "updated"}, "POST /agents",
     {"agent_id": "bob", "agent_type": "human"}, "updated: ai:planner [ai:codex-5.4]\n"),
    ("agents remove ai:planner", {"deleted": True, "id": "ai:planner", "version": "s:2"}, "DELETE /agents/ai:planner",
     {}, "removed: ai:planner\n"),
    ("notify carol -T Plan -c Ready -p 8 -t long", SENT, "POST /notify",
     {"target_agent_id": "carol", "title": "Plan", "payload": "Ready", "priority": 8, "tier": "long"},
     "sent: m-1 to bob (from alice)\n"),
    ("inbox", INBOX, "GET /inbox", {"unread_only": "false", "limit": "50", "offset": "0"}, INBOX_TEXT),
    ("inbox list --unread-only --limit 5 --offset 1", INBOX, "GET /inbox",
     {"unread_only": "true", "limit": "5", "offset": "1"}, INBOX_TEXT),
    ("inbox read m-1 m-0", {"read": ["m-1", "m-0"], "missing": [], "count": 2, "version": "s:3"}, "POST /inbox/read",
     {"ids": ["m-1", "m-0"]}, "read: m-1\nread: m-0\n"),
]


@pytest.mark.parametrize(("line", "answer", "request_line", "sent", "text"), CASES, ids=lambda value: (
    value if isinstance(value, str) and "\n" not in value else None))
def test_a_verb_asks_once_and_prints_the_answer(
    machine: Machine, line: str, answer: object, request_line: str, sent: dict[str, object], text: str
) -> None:
    machine.environ["AI_MEMORY_AGENT_ID"] = "bob"
    shown = machine.run(*line.split(), answer=answer)
    assert (shown.status, shown.out) == (ExitStatus.OK, text)
    printed = machine.run(*line.split(), "--json", answer=answer)
    assert (printed.status, printed.json) == (ExitStatus.OK, answer)
    for request in (shown.request, printed.request):
        assert f"{request.method} {request.url.path}" == request_line.replace(" /", " /api/v1/")
        assert request.headers["X-Agent-Id"] == "bob"
        body = {k: v for k, v in json.loads(request.content or b"{}").items() if v is not None}
        asked = {**dict(request.url.params), **body}
        assert {name: asked.get(name) for name in sent} == sent


def test_the_list_of_agents_says_how_many_there_are_and_what_is_damaged(machine: Machine) -> None:
    listed = machine.run("agents", answer={**AGENTS, "unreadable": 2})
    assert listed.err == "ai-memory: 3 agents\nai-memory: warning: 2 rows of the list cannot be read\n"


def test_registering_nobody_is_wrong_usage(machine: Machine) -> None:
    refused = machine.run("agents", "register", "--agent-type", "human")
    assert (refused.status, refused.runtime.requests) == (ExitStatus.INVALID, [])
    assert "needs --agent-id" in refused.err


def test_a_message_comes_from_standard_input(machine: Machine) -> None:
    sent = machine.run("notify", "bob", "-T", "t", "-c", "-", answer=SENT, stdin="grüß\n".encode())
    assert sent.body["payload"] == "grüß\n"


def test_an_inbox_marks_what_it_shows_if_asked(machine: Machine) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert json.loads(request.content)["ids"] == ["m-1"]
            return httpx.Response(200, json={"read": ["m-1"], "missing": [], "count": 1, "version": "s:3"})
        return httpx.Response(200, json=INBOX)

    shown = machine.run("--agent-id", "bob", "inbox", "--mark-read", handler=handler)
    assert [request.url.path for request in shown.runtime.requests] == ["/api/v1/inbox", "/api/v1/inbox/read"]
    assert shown.err == "ai-memory: 2 messages to bob, 4 unread, 1 marked as read\n"


def test_messages_that_are_not_there_are_named(machine: Machine) -> None:
    answer = {"read": ["m-1"], "missing": ["m-2"], "count": 1}
    read = machine.run("--agent-id", "bob", "inbox", "read", "m-1", "m-2", answer=answer)
    assert (read.status, read.out) == (ExitStatus.NOT_FOUND, "read: m-1\n")
    assert "no message 'm-2'" in read.err


def test_messages_are_deleted_one_by_one(machine: Machine) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("m-2"):
            return httpx.Response(404, json={"error": "not found", "code": "not_found"})
        return httpx.Response(200, json={"deleted": True, "id": "m-1", "version": "s:4"})

    line = ["--agent-id", "bob", "inbox", "delete", "m-1", "m-2"]
    deleted = machine.run(*line, handler=handler)
    assert (deleted.status, deleted.out) == (ExitStatus.NOT_FOUND, "deleted: m-1\n")
    assert machine.run(*line, "--json", handler=handler).json == {"deleted": ["m-1"], "missing": ["m-2"]}


@pytest.mark.parametrize("line", ["inbox", "inbox list", "inbox read m-1", "inbox delete m-1"])
def test_an_inbox_of_nobody_is_wrong_usage(machine: Machine, line: str) -> None:
    refused = machine.run(*line.split())
    assert (refused.status, refused.runtime.requests) == (ExitStatus.INVALID, [])
    assert "AI_MEMORY_AGENT_ID" in refused.err


@pytest.mark.parametrize(("line", "reason"), [
    ("agents register --agent-id a", "--agent-type"), ("agents remove", "id"), ("notify", "target"),
    ("notify bob -c x", "-T"), ("notify bob -T t", "-c"), ("notify bob -T t -c c -p high", "-p"),
    ("notify bob -T t -c c -t eternal", "-t"), ("inbox read", "id"), ("agents resign", "resign"),
    ("inbox --limit many", "--limit"),
])
def test_wrong_usage_names_what_is_wrong(machine: Machine, line: str, reason: str) -> None:
    refused = machine.run(*line.split())
    assert (refused.status, refused.runtime.requests) == (ExitStatus.INVALID, [])
    assert reason in refused.err
