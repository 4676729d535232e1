"""Bulk: many stores in one transaction, each as if it came alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct

from aimem.errors import AimemError, Conflict, Denied, InvalidRequest, QuotaExceeded
from aimem.model import Instant, Lifetimes, MemoryId, Principal, rules
from aimem.service.drafts import Draft, draft_of, refuse_past_expiry
from aimem.service.hooks import offer_hook
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id
from aimem.service.refusals import note_refused_items
from aimem.service.remember import store_draft
from aimem.service.waiting import Waiting
from aimem.service.writing import in_part, write_as
from aimem.store import MEMORY, Transaction
from aimem.wire import BulkAnswer, BulkMemories, BulkRequest, BulkResult, CreateMemory, decode_body

BULK_MAX: Final = 1000
_OF_THE_ITEM: Final = (InvalidRequest, Denied, Conflict, QuotaExceeded)
"""What refuses an item. Anything else (no room, damage) is the node's, and fails the request as a whole."""


class Item(Struct, frozen=True):
    """One memory to store, checked, or why it is none; `label` is what messages call it."""

    label: str
    checked: Draft | AimemError


async def remember_many(
    node: Node, who: Principal, request: BulkRequest, once: Once | None = None
) -> BulkAnswer:
    """Store up to 1,000 memories in one transaction. A refused one leaves nothing, and does not hinder the others.

    Raises: InvalidRequest if there are too many; Unavailable, and then nothing of it is stored.
    """
    raw = request.memories if isinstance(request, BulkMemories) else request
    rules.bounded(len(raw), 0, BULK_MAX, field="memories")
    now, lifetimes = node.clock.now(), node.policy.lifetimes
    items = [_checked(index, data, who, now, lifetimes) for index, data in enumerate(raw)]
    # The gate notes what it refuses; what was refused before it is noted here, once a request.
    note_refused_items(node, who, (item.checked for item in items if isinstance(item.checked, AimemError)), "bulk")
    wrote = await write_as(node, who, _remember_many, node, who, items, once)
    answer: BulkAnswer = wrote.value
    node.counters.stored += answer.created
    node.counters.updated += answer.updated
    # A retry that is answered from its note wrote nothing, and its hooks were offered the first time.
    return _with_hooks(node, who, items, answer) if wrote.version is not None else answer


def _with_hooks(node: Node, who: Principal, items: Sequence[Item], answer: BulkAnswer) -> BulkAnswer:
    results = []
    for item, result in zip(items, answer.results, strict=True):
        reason = ""
        if result.action == "created" and isinstance(result.id, str) and isinstance(item.checked, Draft):
            reason = offer_hook(node, who, MemoryId(result.id), item.checked.namespace, item.checked.content)
        results.append(msgspec.structs.replace(result, autonomy_hook_skipped=reason) if reason else result)
    return msgspec.structs.replace(answer, results=tuple(results))


def _checked(index: int, data: Raw, who: Principal, now: Instant, lifetimes: Lifetimes) -> Item:
    label = f"item {index}"
    try:
        item = decode_body(CreateMemory, bytes(data))
        label = (item.title or "").strip()[: rules.TITLE_MAX_CHARS] or label
        return Item(label, draft_of(item, who, now, lifetimes))
    except _OF_THE_ITEM as error:
        return Item(label, error)


def _remember_many(
    transaction: Transaction, node: Node, who: Principal, items: Sequence[Item], once: Once | None
) -> BulkAnswer:
    def run() -> BulkAnswer:
        # Drawn for all, as nobody knows yet which will be new: what is there of them is read at once.
        ids = [fresh_id(node, who, once, index) for index in range(len(items))]
        drafts = [item.checked for item in items if isinstance(item.checked, Draft)]
        transaction.expect(
            [(MEMORY.name, memory_id) for memory_id in ids], [(draft.namespace, draft.title) for draft in drafts]
        )
        with transaction.gathering():
            results = tuple(
                _stored(transaction, node, who, index, item, memory_id)
                for index, (item, memory_id) in enumerate(zip(items, ids, strict=True))
            )
        return BulkAnswer(
            created=sum(result.action == "created" for result in results),
            errors=tuple(
                f"{item.label}: {result.error}"
                for item, result in zip(items, results, strict=True)
                if result.error is not UNSET
            ),
            updated=sum(result.action == "updated" for result in results),
            ids=tuple(dict.fromkeys(result.id for result in results if isinstance(result.id, str))),
            results=results,
            pending=tuple(result.pending_id for result in results if isinstance(result.pending_id, str)) or UNSET,
        )

    return answer_once(transaction, node, who, once, BulkAnswer, run)


def _stored(
    transaction: Transaction, node: Node, who: Principal, index: int, item: Item, memory_id: MemoryId
) -> BulkResult:
    if isinstance(item.checked, AimemError):
        return _refused(index, item.checked)
    try:
        refuse_past_expiry(item.checked, transaction.now)
        run = partial(store_draft, transaction, node, who, item.checked, memory_id)
        stored = in_part(transaction, node, run, index=index)
    except _OF_THE_ITEM as error:  # every check comes before the op, so a refusal leaves nothing behind
        return _refused(index, error)
    if isinstance(stored, Waiting):
        return BulkResult(index=index, status=stored.status, pending_id=stored.pending_id, version=stored.version)
    return BulkResult(index=index, id=stored.id, action=stored.action, version=stored.version)


def _refused(index: int, error: AimemError) -> BulkResult:
    return BulkResult(index=index, error=error.message, code=error.code.value, field=error.field or UNSET)
