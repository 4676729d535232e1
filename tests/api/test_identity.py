"""Over HTTP, once agents have keys: claims of others are refused everywhere, and administration is for operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aimem.api import Transport, make_app
from aimem.config import ApiConfig
from aimem.service import Node
from tests.api.conftest import arriving_by
from tests.nodes import FakeClock, InlineThreads, open_node

CLAIMS = [
    ("POST", "/memories", {"title": "t", "content": "c", "agent_id": "ann"}, {}),
    ("POST", "/memories", {"title": "t", "content": "c", "metadata": {"agent_id": "ann"}}, {}),
    ("POST", "/consolidate", {"ids": ["a" * 8, "b" * 8], "title": "t", "summary": "s", "agent_id": "ann"}, {}),
    ("POST", "/entities", {"canonical_name": "n", "namespace": "x", "agent_id": "ann"}, {}),
    ("POST", "/notify", {"target_agent_id": "cat", "title": "t", "payload": "p", "agent_id": "ann"}, {}),
    ("GET", "/inbox", None, {"agent_id": "ann"}),
    ("POST", "/inbox/read", {"ids": ["a" * 8], "agent_id": "ann"}, {}),
    ("DELETE", "/inbox/aaaaaaaa", None, {"agent_id": "ann"}),
    ("POST", "/session/start", {"agent_id": "ann"}, {}),
]
FOR_OPERATORS = [
    ("POST", "/curator", {}, {}), ("GET", "/curator/reports", None, {}),
    ("POST", "/curator/rollback", {"last": 1}, {}), ("POST", "/gc", None, {}),
    ("POST", "/gc", None, {"dry_run": "true"}), ("POST", "/index", {"what": "text"}, {}),
    ("DELETE", "/archive", None, {"all": "true"}), ("GET", "/metrics", None, {}),
    ("POST", "/import", {"memories": [], "trust_source": True}, {}), ("GET", "/agents/keys", None, {}),
    ("POST", "/agents/keys", {"agent_id": "bot"}, {}), ("POST", "/agents/keys/0000000000000000/rotate", {}, {}),
    ("DELETE", "/agents/keys/0000000000000000", None, {}), ("DELETE", "/agents/keys", None, {"agent_id": "bot"}),
    ("POST", "/agents", {"agent_id": "ann", "agent_type": "human"}, {}), ("DELETE", "/agents/ann", None, {}),
]


class Door:
    """A surface of one node, asked over one transport with one key."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.keys: dict[str, str] = {}

    async def ask(
        self, who: str | None, method: str, path: str, json: Any = None, *,
        transport: Transport = Transport.TCP_LOOPBACK, headers: dict[str, str] | None = None, **params: str,
    ) -> httpx.Response:
        key = {} if who is None else {"X-API-Key": self.keys[who]}
        app = httpx.ASGITransport(arriving_by(make_app(self._node, ApiConfig()), transport))
        async with httpx.AsyncClient(
            transport=app, base_url="http://localhost:9077/api/v1", headers={**key, **(headers or {})}
        ) as http:
            return await http.request(method, path, json=json, params=params)

    async def owner(self, method: str, path: str, json: Any = None, **params: str) -> httpx.Response:
        return await self.ask(None, method, path, json, transport=Transport.UNIX, **params)

    async def add(self, agent: str, **fields: str) -> dict[str, Any]:
        answer = await self.owner("POST", "/agents/keys", {"agent_id": agent, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        self.keys[agent] = made["key"]
        return made

    async def written(self) -> int:
        count: int = (await self.owner("GET", "/stats")).json()["op_log_count"]
        return count


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), threads=InlineThreads()) as node:
        door = Door(node)
        await door.add("bot", home="acme/bot")
        await door.add("ann", role="operator")
        yield door


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(("method", "path", "body", "params"), CLAIMS)
async def test_a_claim_of_another_agent_is_refused_and_writes_nothing(door, method, path, body, params):
    before = await door.written()
    answer = await door.ask("bot", method, path, body, **params)
    assert code_of(answer) == (403, "identity_mismatch"), answer.text
    assert answer.json()["field"].endswith("agent_id")
    header = await door.ask("bot", method, path, body, headers={"X-Agent-Id": "ann"}, **params)
    assert code_of(header) == (403, "identity_mismatch")
    assert await door.written() == before


@pytest.mark.parametrize(("method", "path", "body", "params"), CLAIMS)
async def test_naming_oneself_is_no_forgery(door, method, path, body, params):
    answer = await door.ask("ann", method, path, body, **params)
    assert answer.status_code < 500
    assert answer.json().get("code") != "identity_mismatch"


async def test_a_forged_item_of_many_is_refused_alone(door: Door) -> None:
    items = [{"title": "a", "content": "a", "agent_id": "ann"}, {"title": "b", "content": "b"}]
    answer = (await door.ask("bot", "POST", "/memories/bulk", items)).json()
    assert answer["created"] == 1
    assert "identity_mismatch" in str(answer)
    (memory,) = (await door.owner("GET", "/memories")).json()["memories"]
    assert (memory["title"], memory["metadata"]["agent_id"]) == ("b", "bot")


async def test_an_import_is_the_callers_whatever_its_rows_say(door: Door) -> None:
    rows = [{"title": "a", "content": "a", "metadata": {"agent_id": "ann"}}]
    assert (await door.ask("bot", "POST", "/import", {"memories": rows})).json()["restamped"] == 1
    rows = [{"title": "b", "content": "b", "metadata": {"agent_id": "cat"}}]
    assert (await door.ask("ann", "POST", "/import", {"memories": rows, "trust_source": True})).status_code == 200
    found = (await door.owner("GET", "/memories")).json()["memories"]
    assert {memory["title"]: memory["metadata"]["agent_id"] for memory in found} == {"a": "bot", "b": "cat"}


@pytest.mark.parametrize(("method", "path", "body", "params"), FOR_OPERATORS)
async def test_administration_is_for_operators(door, method, path, body, params):
    before = await door.written()
    assert code_of(await door.ask("bot", method, path, body, **params)) == (403, "operator_required")
    assert await door.written() == before
    for who, transport in (("ann", Transport.TCP), (None, Transport.UNIX)):
        answer = await door.ask(who, method, path, body, transport=transport, **params)
        assert answer.status_code not in (401, 403), answer.text


async def test_an_agent_registers_and_removes_itself(door: Door) -> None:
    body = {"agent_id": "bot", "agent_type": "ai:claude"}
    assert (await door.ask("bot", "POST", "/agents", body)).status_code == 201
    assert (await door.ask("bot", "DELETE", "/agents/bot")).status_code == 200
    assert (await door.ask("bot", "GET", "/agents")).json()["total"] == 1


async def test_without_a_key_nobody_gets_in_over_tcp_but_health_answers(door: Door) -> None:
    assert code_of(await door.ask(None, "GET", "/memories")) == (401, "unauthenticated")
    assert code_of(await door.ask(None, "GET", "/memories", headers={"X-Agent-Id": "ann"})) == (401, "unauthenticated")
    health = (await door.ask(None, "GET", "/health")).json()
    assert (health["open_access"], health["access"]) == (False, "agent_keys")
    capabilities = (await door.ask("bot", "GET", "/capabilities")).json()
    assert capabilities["permissions"]["mode"] == "agent_keys"


async def test_a_key_where_none_belongs_is_kept_nowhere(door: Door) -> None:
    key, path = door.keys["bot"], "/memories/" + door.keys["bot"]
    assert (await door.ask(None, "GET", "/stats", headers={"X-Agent-Id": key})).status_code == 401
    assert (await door.ask("bot", "GET", "/stats", headers={"X-Agent-Id": "x" * 80 + key})).status_code == 403
    assert (await door.ask(None, "GET", path)).status_code == 401
    named = await door.ask("bot", "POST", "/memories", {"title": "t", "content": "c", "agent_id": key})
    assert (named.status_code, key in named.text) == (400, False)
    audit = (await door.owner("GET", "/audit", limit="100")).text
    assert key.split("_")[1] in audit
    assert "x" * 80 in audit
    assert key.split("_", 2)[2][:16] not in audit


UNRULY = [
    ("POST", "/memories", {"title": "t", "content": "c", "scope": "galaxy"}, 400, "unknown_scope"),
    ("POST", "/memories", {"title": "t", "content": "c", "metadata": {"scope": 1}}, 400, "unknown_scope"),
    ("POST", "/memories/bulk", [{"title": "t", "content": "c", "scope": "galaxy"}], 200, "unknown_scope"),
    ("POST", "/import", {"memories": [{"content": "c", "metadata": {"scope": "galaxy"}}]}, 200, "unknown_scope"),
    ("POST", "/namespaces", {"namespace": "acme/bot", "governance": {"write": "all"}}, 400, "malformed_policy"),
    ("POST", "/namespaces", {"namespace": "acme/bot", "governance": {"write": "any", "approver": {"consensus": 0}}},
     400, "malformed_policy"),
    ("POST", "/namespaces", {"namespace": "acme/bot", "governance": "any"}, 422, "schema_mismatch"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), UNRULY)
async def test_no_scope_and_no_policy_have_codes_of_their_own_and_leave_a_row(door, method, path, body, status, code):
    before = await door.written()
    answer = await door.ask("bot", method, path, body)
    assert (answer.status_code, code in answer.text) == (status, True), answer.text
    assert await door.written() == before
    (row, *_) = (await door.owner("GET", "/audit", decision="denied")).json()["rows"]
    assert (row["agent_id"], row["rule"], row["count"]) == ("bot", code, 1)


async def test_a_revoked_key_does_not_serve_for_the_next_request(door: Door) -> None:
    (key,) = (await door.owner("GET", "/agents/keys", agent_id="bot")).json()["keys"]
    assert (await door.ask("bot", "GET", "/memories")).status_code == 200
    assert (await door.owner("DELETE", f"/agents/keys/{key['key_id']}")).status_code == 200
    assert code_of(await door.ask("bot", "GET", "/memories")) == (401, "key_revoked")
    assert code_of(await door.ask("bot", "GET", "/memories", transport=Transport.UNIX)) == (401, "key_revoked")


async def test_a_secret_is_in_no_note_for_retries(door: Door) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"agent_id": "cat"}
    one = (await door.ask("ann", "POST", "/agents/keys", body, headers=headers)).json()
    two = (await door.ask("ann", "POST", "/agents/keys", body, headers=headers)).json()
    assert one["key_id"] != two["key_id"]


@pytest.mark.parametrize(("place", "expected"), [
    ("acme/bot", 200), ("acme/bot/sub", 200), ("acme", 403), ("acme/bo", 403), ("acme/bottle", 403), ("other", 403),
])
@pytest.mark.parametrize(("method", "path", "json", "params"), [
    ("GET", "/memories", None, {}), ("GET", "/search", None, {"q": "x"}), ("GET", "/recall", None, {"context": "x"}),
    ("POST", "/recall", {"context": "x"}, {}),
])
async def test_a_view_is_narrowed_to_a_place_at_or_below_the_home(door, method, path, json, params, place, expected):
    narrowing = {"as_agent": place}
    body = None if json is None else {**json, **narrowing}
    answer = await door.ask("bot", method, path, body, **params, **({} if body else narrowing))
    assert answer.status_code == expected
    if expected == 403:
        assert (answer.json()["code"], answer.json()["field"]) == ("outside_home", "as_agent")
    assert (await door.ask("ann", method, path, body, **params, **({} if body else narrowing))).status_code == 200


async def test_an_agent_named_keys_can_be_removed(door: Door) -> None:
    await door.owner("POST", "/agents", {"agent_id": "keys", "agent_type": "human"})
    assert (await door.owner("DELETE", "/agents/%6Beys")).status_code == 200


@pytest.mark.parametrize("body", [
    {"agent_id": 5}, {"agent_id": "x", "ttl_secs": 1.5}, {"agent_id": "x", "ttl_secs": 2**70}, {"role": "agent"},
    {"agent_id": "\0"}, {"agent_id": "x", "home": "\0"}, {"agent_id": "x", "expires_at": 5}, [],
])
async def test_a_bad_body_makes_no_key(door, body):
    before = await door.written()
    answer = await door.owner("POST", "/agents/keys", body)
    assert answer.status_code in (400, 422)
    assert {"error", "code"} <= answer.json().keys()
    assert await door.written() == before
