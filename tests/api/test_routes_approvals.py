"""Actions that wait for approval over HTTP: statuses, bodies, and that bad input changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from aimem.service import Node
from aimem.store import digest
from tests.api.test_routes import client_of
from tests.nodes import FakeClock, open_node, principal
from tests.pendings import ASKED, PENDING, queue_pending
from tests.service.test_writing import govern

BOB = {"X-Agent-Id": "bob"}
CAROL = {"X-Agent-Id": "carol"}
WEEK_S = 7 * 24 * 3600


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def opened(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=clock) as node:
        yield node


@pytest.fixture
async def alice(opened: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(opened) as http:
        yield http


async def test_a_queued_store_is_answered_as_in_v063(opened: Node, alice: httpx.AsyncClient) -> None:
    await govern(opened, ASKED, '{"write": "approve", "delete": "approve"}')
    body, key = {"title": "t", "content": "x", "namespace": ASKED}, {"Idempotency-Key": "k"}
    asked = await alice.post("/memories", json=body, headers=key)
    assert asked.status_code == 202
    told = asked.json()
    assert (told["status"], told["reason"], told["action"], told["namespace"], told["code"]) == (
        "pending", "governance requires approval", "store", ASKED, "approval_required"
    )
    assert "error" not in told
    again = await alice.post("/memories", json=body, headers=key)
    assert (again.status_code, again.json()) == (202, told)
    [waiting] = (await alice.get("/pending")).json()["pending"]
    assert waiting["id"] == told["pending_id"]


async def test_a_queued_delete_and_promotion_name_their_memory(opened: Node, alice: httpx.AsyncClient) -> None:
    stored = (await alice.post("/memories", json={"title": "t", "content": "x", "namespace": ASKED})).json()
    await govern(opened, ASKED, '{"write": "any", "delete": "approve", "promote": "approve"}')
    for method, path, action in (
        ("DELETE", f"/memories/{stored['id']}", "delete"), ("POST", f"/memories/{stored['id']}/promote", "promote"),
    ):
        told = await alice.request(method, path)
        assert (told.status_code, told.json()["action"], told.json()["memory_id"]) == (202, action, stored["id"])
    assert (await alice.get(f"/memories/{stored['id']}")).json()["tier"] == "mid"


async def test_an_approval_is_answered_as_in_v063(opened: Node, alice: httpx.AsyncClient) -> None:
    pending_id = await queue_pending(opened)
    shown = (await alice.get(f"/pending/{pending_id}")).json()
    assert {one["field"] for one in shown["changes"]} >= {"title", "content", "namespace"}
    assert all(one["effect"] == "create" and one["from"] is None for one in shown["changes"])
    done = await alice.post(f"/pending/{pending_id}/approve")
    assert done.status_code == 200
    assert {"approved": True, "id": pending_id, "decided_by": "alice", "executed": True,
            "memory_id": shown["payload"]["id"]}.items() <= done.json().items()
    assert (await alice.get(f"/memories/{shown['payload']['id']}")).json()["metadata"] == {"agent_id": "bob"}
    [listed] = (await alice.get("/pending?status=approved")).json()["pending"]
    [approval] = listed["approvals"]
    assert (approval["agent_id"], listed["status"]) == ("alice", "approved")


async def test_a_rejection_is_answered_as_in_v063(opened: Node, alice: httpx.AsyncClient) -> None:
    pending_id = await queue_pending(opened)
    answer = await alice.post(f"/pending/{pending_id}/reject", json={"comment": "no"})
    assert answer.status_code == 200
    assert {"rejected": True, "id": pending_id, "decided_by": "alice"}.items() <= answer.json().items()


async def test_a_vote_that_does_not_decide_yet_is_202(opened: Node, alice: httpx.AsyncClient) -> None:
    await govern(opened, "both", '{"write": "approve", "approver": {"consensus": 2}}')
    for name in ("alice", "carol"):
        await alice.post("/agents", json={"agent_id": name, "agent_type": "human"})
    body = {"title": "t", "content": "x", "namespace": "both"}
    pending_id = (await alice.post("/memories", json=body, headers=BOB)).json()["pending_id"]
    first = await alice.post(f"/pending/{pending_id}/approve")
    assert (first.status_code, first.json()) == (202, {
        "approved": False, "status": "pending", "id": pending_id, "votes": 1, "quorum": 2,
        "reason": "consensus threshold not yet reached", "version": first.json()["version"],
    })
    second = await alice.post(f"/pending/{pending_id}/approve", headers=CAROL)
    assert (second.status_code, second.json()["executed"]) == (200, True)


async def test_each_refusal_of_a_vote_has_its_own_status_and_code(
    opened: Node, alice: httpx.AsyncClient, clock: FakeClock
) -> None:
    await queue_pending(opened)
    await govern(opened, "one", '{"write": "approve", "approver": {"agent": "judge"}}')
    body = {"title": "t", "content": "x", "namespace": "one"}
    judged = (await alice.post("/memories", json=body)).json()["pending_id"]
    late = await queue_pending(opened, "late", principal("dave"), "late")
    before = await opened.store.read(digest)

    async def refused(pending_id: str, act: str, headers: dict[str, str]) -> tuple[int, str]:
        answer = await alice.post(f"/pending/{pending_id}/{act}", headers=headers)
        return answer.status_code, answer.json()["code"]

    for act in ("approve", "reject"):
        assert await refused("nothing", act, CAROL) == (404, "not_found")
        assert await refused(judged, act, CAROL) == (403, "not_entitled")
    assert await refused(PENDING, "approve", BOB) == (403, "own_action")
    assert await refused(PENDING, "again", BOB) == (409, "conflict")
    assert await opened.store.read(digest) == before
    assert (await alice.post(f"/pending/{PENDING}/reject")).status_code == 200
    clock.advance(WEEK_S + 1)
    before = await opened.store.read(digest)
    for act in ("approve", "reject"):
        assert await refused(PENDING, act, CAROL) == (409, "already_decided")
        assert await refused(late, act, CAROL) == (409, "pending_expired")
    assert await refused(PENDING, "again", BOB) == (409, "already_decided")
    assert await opened.store.read(digest) == before


async def test_what_expired_is_asked_for_again(opened: Node, alice: httpx.AsyncClient, clock: FakeClock) -> None:
    pending_id = await queue_pending(opened)
    clock.advance(WEEK_S + 1)
    again = await alice.post(f"/pending/{pending_id}/again", headers=BOB)
    assert (again.status_code, again.json()["status"], again.json()["executed"]) == (202, "pending", False)
    done = await alice.post(f"/pending/{again.json()['pending_id']}/approve")
    assert (done.status_code, done.json()["executed"]) == (200, True)


async def test_a_retry_under_a_key_decides_once(opened: Node, alice: httpx.AsyncClient) -> None:
    pending_id = await queue_pending(opened)
    key = {"Idempotency-Key": "approve-it"}
    first = await alice.post(f"/pending/{pending_id}/approve", headers=key)
    again = await alice.post(f"/pending/{pending_id}/approve", headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await alice.post(f"/pending/{pending_id}/reject", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_capabilities_tell_how_many_wait_and_how_long(opened: Node, alice: httpx.AsyncClient) -> None:
    await queue_pending(opened)
    told = (await alice.get("/capabilities")).json()["approval"]
    assert (told["pending_requests"], told["default_timeout_seconds"]) == (1, WEEK_S)


BAD = (
    ("GET", "/pending?status=waiting", None, 400, "status"), ("GET", "/pending?limit=1001", None, 400, "limit"),
    ("GET", "/pending?limit=x", None, 400, "limit"), ("GET", "/pending?offset=-1", None, 400, "offset"),
    ("GET", "/pending?action=burn", None, 400, "action"), ("GET", "/pending?namespace=a//b", None, 400, "namespace"),
    ("GET", "/pending?requested_by=a%20b", None, 400, "requested_by"), ("GET", "/pending/%00", None, 400, "id"),
    ("GET", f"/pending/{'x' * 200}", None, 400, "id"),
    ("POST", f"/pending/{PENDING}/approve", b'{"comment": 5}', 422, "comment"),
    ("POST", f"/pending/{PENDING}/approve", b"[]", 422, None),
    ("POST", f"/pending/{PENDING}/approve", rb'{"comment": "\u0000"}', 400, "comment"),
    ("POST", f"/pending/{PENDING}/reject", rb'{"comment": "\ud800"}', 400, None),
    ("POST", f"/pending/{PENDING}/reject", b'{"comment": "' + b"x" * 2_001 + b'"}', 400, "comment"),
    ("POST", f"/pending/{PENDING}/approve", b'{"agent_id": "a b"}', 400, "agent_id"),
    ("POST", f"/pending/{PENDING}/approve", b'{"agent_id": "bob"}', 403, "agent_id"),
    ("POST", f"/pending/{PENDING}/comment", b"{}", 422, "text"),
    ("POST", f"/pending/{PENDING}/comment", b'{"text": NaN}', 400, None),
    ("POST", f"/pending/{PENDING}/comment", b'{"text": " "}', 400, "text"),
    ("POST", f"/pending/{PENDING}/comment", None, 400, None),
)


async def test_bad_input_is_refused_and_writes_nothing(opened: Node, alice: httpx.AsyncClient) -> None:
    await queue_pending(opened)
    before = await opened.store.read(digest)
    for method, path, body, status, field in BAD:
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = await alice.request(method, path, content=body, headers=headers)
        assert (answer.status_code, answer.json().get("field")) == (status, field), (path, body, answer.text)
    assert await opened.store.read(digest) == before
