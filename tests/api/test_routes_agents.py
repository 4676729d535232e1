"""Agents, messages, the start of a session and bulk over HTTP: what each route answers, and that bad input changes
nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import trio

from aimem.api.routes import session
from aimem.service import Node
from tests.api.test_routes import client_of, state
from tests.languages import ScriptedModel
from tests.nodes import FakeClock, open_node

BOB = {"X-Agent-Id": "bob"}
NOBODY = {"X-Agent-Id": ""}
JSON = {"Content-Type": "application/json"}
MESSAGE = {"target_agent_id": "bob", "title": "Plan", "payload": "It is ready."}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as node:
        yield node


@pytest.fixture
async def alice(opened: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(opened) as http:
        yield http


async def test_an_agent_registers_is_listed_and_leaves(alice: httpx.AsyncClient) -> None:
    body = {"agent_id": "ai:x/1", "agent_type": "ai:codex-5.4", "capabilities": ["plan"]}
    made = await alice.post("/agents", json=body)
    assert made.status_code == 201
    assert {"registered": True, "id": "ai:x/1", "registered_by": "alice", "action": "created", **body}.items() <= (
        made.json().items()
    )
    listed = (await alice.get("/agents")).json()
    [agent] = listed.pop("agents")
    assert listed == {"count": 1, "total": 1}
    assert set(agent) == {"agent_id", "agent_type", "capabilities", "registered_at", "last_seen_at", "registered_by"}
    path = httpx.URL(f"http://localhost/api/v1/agents/{quote('ai:x/1', safe='')}")
    assert (await alice.delete(path)).json()["deleted"] is True
    assert (await alice.delete(path)).status_code == 404
    assert (await alice.get("/agents")).json() == {"count": 0, "agents": [], "total": 0}


async def test_a_message_has_the_fields_of_v063_and_comes_from_the_header(alice: httpx.AsyncClient) -> None:
    sent = await alice.post("/notify", json={**MESSAGE, "priority": 7})
    assert sent.status_code == 201
    assert set(sent.json()) == {"id", "from", "to", "namespace", "tier", "delivered_at", "version"}
    assert (sent.json()["from"], sent.json()["to"], sent.json()["namespace"]) == ("alice", "bob", "_messages/bob")
    found = (await alice.get("/inbox", headers=BOB)).json()
    assert {key: found[key] for key in found if key != "messages"} == {
        "agent_id": "bob", "namespace": "_messages/bob", "count": 1, "unread_only": False, "unread_count": 1,
    }
    assert found["messages"] == [{
        "id": sent.json()["id"], "from": "alice", "title": "Plan", "payload": "It is ready.", "priority": 7,
        "tier": "mid", "created_at": sent.json()["delivered_at"], "read": False, "access_count": 0,
    }]


async def test_a_client_without_the_header_names_itself_in_query_or_body(alice: httpx.AsyncClient) -> None:
    alice.headers.pop("X-Agent-Id")
    sent = (await alice.post("/notify", json={"to": "bob", "subject": "s", "body": "b", "agent_id": "carol"})).json()
    assert sent["from"] == "carol"
    [message] = (await alice.get("/inbox?agent_id=bob")).json()["messages"]
    read = (await alice.post("/inbox/read", json={"ids": [message["id"]], "agent_id": "bob"})).json()
    assert (read["read"], read["missing"], read["count"]) == ([message["id"]], [], 1)
    assert (await alice.get("/inbox?agent_id=bob&unread_only=true")).json()["messages"] == []
    assert (await alice.delete(f"/inbox/{message['id']}?agent_id=bob")).json()["deleted"] is True
    started = (await alice.post("/session/start", json={"agent_id": "carol"})).json()
    assert started["agent_id"] == "carol"


async def test_another_agents_inbox_is_denied(alice: httpx.AsyncClient) -> None:
    sent = (await alice.post("/notify", json=MESSAGE)).json()
    for answer in (
        await alice.get("/inbox?agent_id=bob"),
        await alice.post("/inbox/read", json={"ids": [sent["id"]], "agent_id": "bob"}),
        await alice.delete(f"/inbox/{sent['id']}?agent_id=bob"),
        await alice.post("/notify", json={**MESSAGE, "agent_id": "bob"}),
        await alice.post("/session/start", json={"agent_id": "bob"}),
    ):
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (403, "denied", "agent_id")
    assert (await alice.delete(f"/inbox/{sent['id']}")).status_code == 404
    assert (await alice.get("/inbox", headers=BOB)).json()["unread_count"] == 1


async def test_a_session_starts_with_and_without_a_body(alice: httpx.AsyncClient) -> None:
    await alice.post("/memories", json={"content": "x", "namespace": "a"})
    for answer in (await alice.post("/session/start"), await alice.post("/session/start", json={"namespace": "a"})):
        started = answer.json()
        assert (answer.status_code, started["count"], started["mode"]) == (200, 1, "session_start")
        assert started["memories"][0]["score"] == 0.0
        assert len(started["session_id"]) == 36
        assert "summary" not in started


async def test_a_slow_language_model_costs_the_summary_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SUMMARY_WAIT_S", 0.05)

    class Slow(ScriptedModel):
        async def chat(self, system: str, user: str) -> str:
            await trio.sleep_forever()
            return ""

    async with open_node(tmp_path / "m.db", language=Slow("x")) as node, client_of(node) as http:
        await http.post("/memories", json={"content": "x"})
        started = await http.post("/session/start", json={"summary": True})
    assert (started.status_code, started.json()["count"], "summary" in started.json()) == (200, 1, False)


async def test_bulk_takes_an_array_and_an_object(alice: httpx.AsyncClient) -> None:
    items = [{"title": "a", "content": "x"}, {"title": "b", "content": " "}]
    for body in (items, {"memories": items}):
        answer = await alice.post("/memories/bulk", json=body)
        assert answer.status_code == 200
        stored = answer.json()
        assert stored["created"] + stored["updated"] == 1
        assert stored["errors"] == [f"b: {stored['results'][1]['error']}"]
        assert stored["results"][1]["code"] == "invalid_request"
    assert (await alice.get(f"/memories/{stored['ids'][0]}")).json()["metadata"] == {"agent_id": "alice"}
    assert (await alice.post("/memories/bulk", json=[])).json()["results"] == []


async def test_a_memory_may_be_called_bulk(alice: httpx.AsyncClient) -> None:
    await alice.post("/import", json={"memories": [{"id": "bulk", "content": "x"}]})
    assert (await alice.get("/memories/bulk")).json()["id"] == "bulk"


async def test_a_repeated_bulk_with_its_key_is_answered_once(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    first = await alice.post("/memories/bulk", json=[{"content": "x"}], headers=key)
    again = await alice.post("/memories/bulk", json=[{"content": "x"}], headers=key)
    assert first.json() == again.json()
    other = await alice.post("/memories/bulk", json=[{"content": "y"}], headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_bulk_above_its_count_is_refused_whole(alice: httpx.AsyncClient) -> None:
    answer = await alice.post("/memories/bulk", json=[{"content": f"Number {number}."} for number in range(1001)])
    assert (answer.status_code, answer.json()["field"]) == (400, "memories")
    assert (await alice.get("/stats")).json()["total"] == 0


async def test_a_namespace_has_no_standard_yet_and_says_so(alice: httpx.AsyncClient) -> None:
    await alice.post("/memories", json={"content": "x", "namespace": "a/b"})
    answer = (await alice.get("/namespaces?namespace=a/b")).json()
    assert answer == {"namespace": "a/b", "standard_id": None, "governance": None, "effective": None, "from": None}
    assert (await alice.get("/namespaces?namespace=a/b&inherit=true")).json() == {
        "namespace": "a/b", "chain": ["*", "a", "a/b"], "standards": [], "count": 0, "effective": None, "from": None,
    }
    assert (await alice.get("/namespaces?namespace=*&inherit=1")).json()["chain"] == ["*"]
    assert (await alice.get("/namespaces?inherit=true")).json() == {"namespaces": [{"namespace": "a/b", "count": 1}]}


BAD_BODIES = (
    ("/agents", b"{}", 422), ("/agents", b'{"agent_id": "a"}', 422),
    ("/agents", b'{"agent_id": 5, "agent_type": "human"}', 422),
    ("/agents", b'{"agent_id": "a b", "agent_type": "human"}', 400),
    ("/agents", b'{"agent_id": "a", "agent_type": "robot"}', 400),
    ("/agents", b'{"agent_id": "a", "agent_type": "human", "capabilities": "x"}', 422),
    ("/agents", b'{"agent_id": "a", "agent_type": "human", "capabilities": [1]}', 422),
    ("/agents", rb'{"agent_id": "a", "agent_type": "human", "capabilities": ["\u0000"]}', 400),
    ("/agents", rb'{"agent_id": "\ud800", "agent_type": "human"}', 400),
    ("/agents", b'{"agent_id": "a", "agent_type": NaN}', 400),
    ("/notify", b"{}", 422), ("/notify", b'{"to": "bob", "title": "t"}', 422), ("/notify", b"[]", 422),
    ("/notify", b'{"to": "bob", "title": "t", "payload": {"a": 1}}', 422),
    ("/notify", b'{"to": "bob", "title": "t", "payload": "p", "priority": 99999999999}', 400),
    ("/notify", b'{"to": "bob", "title": "t", "payload": "p", "priority": 99999999999999999999}', 400),
    ("/notify", b'{"to": "bob", "title": "t", "payload": "p", "priority": "high"}', 422),
    ("/notify", b'{"to": "bob", "title": "t", "payload": "p", "priority": 1.5}', 422),
    ("/notify", b'{"to": "bob", "title": "t", "payload": "p", "tier": "eternal"}', 400),
    ("/notify", rb'{"to": "bob", "title": "t", "payload": "\ud800"}', 400),
    ("/notify", rb'{"to": "bob", "title": "\u0000", "payload": "p"}', 400),
    ("/notify", b'{"to": "bob", "title": "t", "payload": "' + b"x" * 65_537 + b'"}', 400),
    ("/notify", b'{"to": "bob", "title": "t", "payload": "' + b"x" * (2 * 1024 * 1024) + b'"}', 413),
    ("/inbox/read", b"{}", 422), ("/inbox/read", b'{"ids": []}', 400), ("/inbox/read", b'{"ids": "x"}', 422),
    ("/inbox/read", b'{"ids": [7]}', 422), ("/inbox/read", rb'{"ids": ["\u0000"]}', 400),
    ("/session/start", b'{"limit": 0}', 400), ("/session/start", b'{"limit": 51}', 400),
    ("/session/start", b'{"limit": "many"}', 422), ("/session/start", b'{"namespace": "a//b"}', 400),
    ("/session/start", b'{"summary": "yes"}', 422), ("/session/start", b"[]", 422),
    ("/memories/bulk", b"{}", 422), ("/memories/bulk", b'"x"', 422), ("/memories/bulk", b"7", 422),
    ("/memories/bulk", b'{"memories": {}}', 422), ("/memories/bulk", b"[{]", 400), ("/memories/bulk", b"", 400),
    ("/memories/bulk", b'[{"content": "\xff"}]', 400), ("/memories/bulk", b"[NaN]", 400),
    ("/memories/bulk", rb'["\ud800"]', 400),
    ("/memories/bulk", b'[{"content": "' + b"x" * (2 * 1024 * 1024) + b'"}]', 413),
)


@pytest.mark.parametrize(("path", "body", "status"), BAD_BODIES, ids=lambda value: str(value)[:60])
async def test_a_bad_body_is_refused_and_nothing_is_written(
    alice: httpx.AsyncClient, path: str, body: bytes, status: int
) -> None:
    before = await state(alice)
    answer = await alice.post(path, content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert {"error", "code"} <= set(answer.json())
    assert await state(alice) == before


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/agents?limit=1001", 400), ("GET", "/agents?limit=x", 400), ("GET", "/agents?offset=-1", 400),
    ("DELETE", "/agents/a%20b", 400), ("DELETE", "/agents/nobody", 404), ("DELETE", "/agents/%ff", 400),
    ("GET", "/inbox?limit=501", 400), ("GET", "/inbox?limit=-1", 400), ("GET", "/inbox?unread_only=perhaps", 400),
    ("GET", "/inbox?agent_id=a%20b", 400), ("GET", "/inbox?agent_id=%00", 400), ("GET", "/inbox?offset=x", 400),
    ("DELETE", "/inbox/nothing", 404), ("DELETE", "/inbox/%00", 400), ("DELETE", f"/inbox/{'x' * 129}", 400),
    ("GET", "/namespaces?namespace=a//b", 400), ("GET", "/namespaces?namespace=a%00", 400),
    ("GET", "/namespaces?namespace=a&inherit=perhaps", 400),
])
async def test_a_bad_parameter_is_refused_with_the_envelope(
    alice: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await alice.request(method, httpx.URL("http://localhost", raw_path=f"/api/v1{path}".encode()))
    assert answer.status_code == status, answer.text
    assert {"error", "code", "field"} == set(answer.json()), answer.text
