"""What peers of v0.6.3 push that governs: it passes the gate here, and nobody is believed to be somebody."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Credential, Role
from aimem.service import Node
from aimem.store import digest
from aimem.wire import KeyRequest, legacy
from tests.meshes import OPERATOR
from tests.nodes import principal
from tests.service.steps import ALICE, BOB, ids_listed, put, refused, shown
from tests.service.test_writing import govern

PENDING_ID = "00000000-0000-4000-8000-00000000000a"
MEMORY_ID = "00000000-0000-4000-8000-00000000000b"
EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
MEMORY = {
    "id": MEMORY_ID, "title": "Flood", "content": "At six.", "namespace": "acme", "tier": "long",
    "metadata": {"agent_id": "bob"}, "created_at": EARLIER, "updated_at": EARLIER,
}
STORE = {
    "id": PENDING_ID, "action_type": "store", "namespace": "acme", "payload": MEMORY, "requested_by": "bob",
    "requested_at": EARLIER, "status": "pending", "approvals": [],
}
COUNTS = ("pendings_applied", "pending_decisions_applied", "namespace_meta_applied", "namespace_meta_cleared")


async def push(node: Node, **kinds: Any) -> legacy.LegacyPushed:  # Any: bodies as peers send them
    body = msgspec.convert({"sender_agent_id": "host:old", "memories": [], **kinds}, legacy.LegacyPush)
    return await service.take_push(node, OPERATOR, body)


def counted(answer: legacy.LegacyPushed) -> tuple[int, ...]:
    return (*(getattr(answer, name) for name in COUNTS), answer.noop, answer.skipped)


def approved_by(decider: str) -> dict[str, object]:
    return {"id": PENDING_ID, "approved": True, "decider": decider}


async def test_what_waits_at_a_peer_waits_here_under_its_id_and_is_not_done(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    assert counted(await push(node, pendings=[STORE])) == (1, 0, 0, 0, 0, 0)
    waiting = await service.get_pending(node, ALICE, PENDING_ID)
    assert (waiting.status, waiting.requested_by, waiting.action_type) == ("pending", "bob", "store")
    assert await ids_listed(node) == set()
    before = await node.store.read(digest)
    assert counted(await push(node, pendings=[STORE, {**STORE, "status": "approved"}])) == (0, 0, 0, 0, 2, 0)
    assert await node.store.read(digest) == before


@pytest.mark.parametrize(("changed", "reason"), [
    ({}, "no policy of this node asks"),
    ({"action_type": "drop"}, "action_type"),
    ({"requested_by": "a b"}, "requested_by"),
    ({"payload": {"title": "no content"}}, "payload"),
    ({"action_type": "delete", "payload": {"id": MEMORY_ID}}, MEMORY_ID),
    ({"action_type": "promote", "memory_id": MEMORY_ID}, MEMORY_ID),
])
async def test_what_no_policy_here_asks_about_or_cannot_be_read_is_refused_and_leaves_nothing(
    node: Node, changed: dict[str, object], reason: str
) -> None:
    before = await node.store.read(digest)
    answer = await push(node, pendings=[{**STORE, **changed}])
    assert counted(answer) == (0, 0, 0, 0, 0, 1)
    assert reason in answer.refused[0]
    assert await node.store.read(digest) == before


async def test_deletions_and_promotions_wait_as_well(node: Node) -> None:
    stored = await put(node, "t", namespace="acme/x", tier="short")
    await govern(node, "acme", '{"write": "any", "delete": "approve", "promote": "approve"}')
    other = PENDING_ID[:-1] + "c"
    promotion = {**STORE, "id": other, "action_type": "promote", "payload": {"id": stored.id, "to_namespace": "acme"}}
    deletion = {**STORE, "action_type": "delete", "payload": {"id": stored.id, "title": "t"}}
    assert counted(await push(node, pendings=[deletion, promotion])) == (2, 0, 0, 0, 0, 0)
    assert (await push(node, pending_decisions=[approved_by("alice")])).pending_decisions_applied == 1
    assert await ids_listed(node) == set()
    assert (await service.get_pending(node, ALICE, other)).action_type == "promote"


async def test_a_decision_is_its_deciders_vote_while_nobody_has_a_credential(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    await push(node, pendings=[STORE])
    own = await push(node, pending_decisions=[approved_by("bob")])
    assert (counted(own), "asked for itself" in own.refused[0]) == ((0, 0, 0, 0, 0, 1), True)
    assert counted(await push(node, pending_decisions=[approved_by("alice")])) == (0, 1, 0, 0, 0, 0)
    assert (await shown(node, MEMORY_ID)).metadata["agent_id"] == "bob"
    late = [{**approved_by("carol"), "approved": False}, {**approved_by("carol"), "id": MEMORY_ID}]
    assert counted(await push(node, pending_decisions=late)) == (0, 0, 0, 0, 2, 0)


async def test_a_decision_is_refused_once_agents_have_keys(node: Node) -> None:
    await govern(node, "acme", '{"write": "approve"}')
    await push(node, pendings=[STORE])
    await service.add_key(node, OPERATOR, KeyRequest(agent_id="bot"))
    answer = await push(node, pending_decisions=[approved_by("alice")])
    assert counted(answer) == (0, 0, 0, 0, 0, 1)
    assert "have keys" in answer.refused[0]
    assert await ids_listed(node, by=OPERATOR) == set()


async def test_a_standard_brings_the_policy_that_lies_in_its_metadata(node: Node) -> None:
    standard = {**MEMORY, "metadata": {"agent_id": "bob", "governance": {"write": "registered"}}}
    entry = {"namespace": "acme", "standard_id": MEMORY_ID, "parent_namespace": "org", "updated_at": EARLIER}
    assert counted(await push(node, memories=[standard], namespace_meta=[entry])) == (0, 0, 1, 0, 0, 0)
    found = await service.standard_of(node, ALICE, "acme")
    assert (found.standard_id, found.parent) == (MEMORY_ID, "org")
    await refused(Code.DENIED_BY_POLICY, put(node, "t", by=BOB, namespace="acme"))
    before = await node.store.read(digest)
    older = {**entry, "parent_namespace": "other", "updated_at": "2025-01-01T00:00:00Z"}
    again = [entry, {**entry, "updated_at": LATER}, older]
    assert counted(await push(node, namespace_meta=again)) == (0, 0, 0, 0, 3, 0)
    assert await node.store.read(digest) == before


@pytest.mark.parametrize(("governance", "changed", "reason"), [
    ({"write": "sometimes"}, {}, "write"),
    (None, {"standard_id": PENDING_ID}, PENDING_ID),
    (None, {"updated_at": "2030-01-01T00:00:00Z"}, "future"),
    (None, {"namespace": "_curator"}, "_curator"),
])
async def test_a_standard_that_cannot_be_set_is_refused(
    node: Node, governance: object, changed: dict[str, object], reason: str
) -> None:
    await push(node, memories=[{**MEMORY, "metadata": {} if governance is None else {"governance": governance}}])
    before = await node.store.read(digest)
    answer = await push(node, namespace_meta=[{
        "namespace": "acme", "standard_id": MEMORY_ID, "updated_at": EARLIER, **changed
    }])
    assert counted(answer) == (0, 0, 0, 0, 0, 1)
    assert reason in answer.refused[0]
    assert await node.store.read(digest) == before


async def test_what_is_set_for_a_namespace_is_taken_away_once(node: Node) -> None:
    await govern(node, "acme", '{"write": "owner", "policy": "any"}')
    assert counted(await push(node, namespace_meta_clears=["acme", "acme", "none"])) == (0, 0, 0, 1, 2, 0)
    await put(node, "t", by=BOB, namespace="acme")


async def test_what_would_have_to_wait_here_is_refused_and_not_queued_again_and_again(node: Node) -> None:
    stored = await put(node, "t", namespace="acme")
    await govern(node, "acme", '{"write": "approve", "delete": "approve", "policy": "approve"}')
    before = await node.store.read(digest)
    answer = await push(
        node, memories=[MEMORY], deletions=[stored.id], archives=[stored.id], namespace_meta_clears=["acme"],
        namespace_meta=[{"namespace": "acme", "standard_id": stored.id}],
    )
    assert (answer.applied, answer.skipped) == (0, 5)
    assert await node.store.read(digest) == before


async def test_an_agents_key_pushes_nothing(node: Node) -> None:
    stranger = msgspec.structs.replace(principal("eve"), credential=Credential.AGENT_KEY, role=Role.AGENT)
    body = legacy.LegacyPush(sender_agent_id="host:old", memories=[])
    await refused(Code.OPERATOR_REQUIRED, service.take_push(node, stranger, body))
