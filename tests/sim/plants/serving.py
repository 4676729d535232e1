"""Bugs in what callers are told, and in what waits for approval."""

from __future__ import annotations

import importlib
import itertools
from typing import Any  # what patched functions are handed

import msgspec
import pytest

from aimem import service
from aimem.governance import approval
from aimem.model import Principal
from aimem.replication import quorum
from aimem.service import Node, approvals, delivering, once, writing
from aimem.service.homes import Home
from aimem.store.transaction import Transaction
from tests.sim.planting import Planted, calm, storm

RETRIERS: dict[str, Any] = {"clients": 10, "think_s": 0.15, "duplicates": 0.3, "delay_s": 0.15}
# So many clients and so few faults that votes meet in nearly every seed; with few of either, most fail or come alone.
VOTERS: dict[str, Any] = {"governed": True, "delay_s": 0.05, "think_s": 0.15, "clients": 10, "calm_s": 12.0}


def idempotency_key_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(once.idempotency, "find", lambda *_: None)
    patch.setattr(once.idempotency, "note", lambda *_: None)
    ids_drawn_not_derived(patch)


def ids_drawn_not_derived(patch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count(1)
    patch.setattr(once, "derived_memory_id", lambda *_: f"00000000-0000-4000-8000-{next(numbers):012x}")


def session_token_ignored(patch: pytest.MonkeyPatch) -> None:
    async def serve(*_: object) -> None:
        return

    patch.setattr(service, "wait_version", serve)


def node_hides_a_writer(patch: pytest.MonkeyPatch) -> None:
    page = service.list_memories

    async def hide(node: Node, who: Principal, query: Any) -> Any:
        answer = await page(node, who, query)
        shown = [one for one in answer.memories if one.metadata.get("agent_id") != "ben"]
        return msgspec.structs.replace(answer, memories=shown) if node.store.node_name == "n1" else answer

    patch.setattr(service, "list_memories", hide)


def revoked_keys_open(patch: pytest.MonkeyPatch) -> None:
    for module in ("aimem.governance.keyring", "aimem.service.keyring"):
        patch.setattr(importlib.import_module(module), "refuse_ended", lambda *_: None)


def votes_decided_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(approvals, "home_of", lambda *_: Home.HERE)


def rejections_do_not_count(patch: pytest.MonkeyPatch) -> None:
    judge = approval._judge
    patch.setattr(
        approval, "_judge", lambda question, approval_count, _, now: judge(question, approval_count, 0, now)
    )


def outcome_told_early(patch: pytest.MonkeyPatch) -> None:
    needed = quorum.Rule.needed
    patch.setattr(
        quorum.Rule, "needed", lambda self, wish: 1 if wish is quorum.Consistency.MAJORITY else needed(self, wish)
    )


def done_before_approved(patch: pytest.MonkeyPatch) -> None:
    queue = writing.queue

    def hasten(transaction: Transaction, node: Node, gate: Any, portion: Any, **given: Any) -> Any:
        waiting = queue(transaction, node, gate, portion, **given)
        gate.write_own(transaction, "store", portion.ops[0].entries)
        return waiting

    patch.setattr(writing, "queue", hasten)


def every_node_calls_hooks(patch: pytest.MonkeyPatch) -> None:
    page = delivering._page

    async def claim(node: Node, no: int) -> Any:
        return [msgspec.structs.replace(event, is_own=True) for event in await page(node, no)]

    patch.setattr(delivering, "_page", claim)


def deliveries_forgotten(patch: pytest.MonkeyPatch) -> None:
    count, deliveries_of = itertools.count(1), delivering._deliveries_of
    patch.setattr(
        delivering, "_deliveries_of",
        lambda *given: [delivery for delivery in deliveries_of(*given) if next(count) % 2],
    )


ROWS = (
    Planted(
        name="idempotency-key-ignored", seeds=range(2, 10), plant=idempotency_key_ignored, weather=calm(**RETRIERS),
        checks=frozenset({"idempotence"}),
        broken="A request that comes again under its Idempotency-Key is done again.",
    ),
    Planted(
        name="ids-drawn-not-derived", seeds=range(2, 10), plant=ids_drawn_not_derived, weather=calm(**RETRIERS),
        checks=frozenset({"idempotence"}),
        broken="Ids are drawn, and not derived from the Idempotency-Key: a retry at another node makes another object.",
    ),
    Planted(
        name="session-token-ignored", plant=session_token_ignored, weather=storm(), checks=frozenset({"session"}),
        broken="A read does not wait for the version that its caller has seen.",
    ),
    Planted(
        name="node-hides-a-writer", plant=node_hides_a_writer, weather=storm(), checks=frozenset({"answers"}),
        broken="One node leaves the memories of one agent out of its lists.",
    ),
    Planted(
        name="revoked-keys-open", plant=revoked_keys_open, weather=storm(secured=True, think_s=0.15),
        checks=frozenset({"access"}),
        broken="A key that was revoked still opens.",
    ),
    Planted(
        name="votes-decided-away", plant=votes_decided_away, weather=storm(**VOTERS), checks=frozenset({"governance"}),
        broken="Whichever node takes a vote decides, and not the one that queued the action.",
    ),
    Planted(
        name="rejections-do-not-count", seeds=range(4, 12), plant=rejections_do_not_count,
        weather=storm(**VOTERS), checks=frozenset({"governance"}),
        broken="An action that somebody entitled rejected is done once enough approve of it.",
    ),
    Planted(
        name="done-before-approved", plant=done_before_approved, weather=storm(**VOTERS),
        checks=frozenset({"governance"}),
        broken="What waits for approval is done at once.",
    ),
    Planted(
        name="outcome-told-early", plant=outcome_told_early, weather=storm(**VOTERS, nodes=5),
        checks=frozenset({"governance"}),
        broken="A voter is told the outcome before more than half of the nodes have it.",
    ),
    Planted(
        name="every-node-calls-hooks", plant=every_node_calls_hooks, weather=storm(), checks=frozenset({"hooks"}),
        broken="Webhooks are called for what happened at other nodes, too.",
    ),
    Planted(
        name="deliveries-forgotten", seeds=range(4, 12), plant=deliveries_forgotten, weather=storm(),
        checks=frozenset({"hooks"}),
        broken="Every second delivery to a webhook is forgotten.",
    ),
)
