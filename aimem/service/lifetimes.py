"""Lifetimes: collecting what has expired, and what recalls earn (extension, promotion, priority)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.model import SYSTEM, Entry, FieldValue, Instant, Memory, MemoryId, Principal, Tier, Verb, after
from aimem.ports import Connection
from aimem.service.callers import require_operator
from aimem.service.gate import lets_anybody
from aimem.service.node import IDEMPOTENCY_KEPT_DAYS, Node, Policy, Touch
from aimem.service.writing import write_as
from aimem.store import (
    MEMORY,
    Clause,
    Transaction,
    deliveries,
    effective_expiry,
    events,
    expiry_judged,
    idempotency,
    memories,
    messages,
)
from aimem.wire import GcQuery, GcResult

BATCH: Final = 200
PROMOTE_AT_ACCESSES: Final = 5
RAISE_EVERY_ACCESSES: Final = 10
PRIORITY_MAX: Final = 10
_EVERYTHING = Clause("1", {})


def collect_entries(transaction: Transaction, policy: Policy, ids: Sequence[MemoryId]) -> list[Entry]:
    """Entries by which gc takes these rows; each names the expiry that was judged, so that an extension undoes it.

    Without an archive (`archive_on_gc` off) what has expired is deleted; a row that goes with it before its own expiry
    (a shadow of the same name) is archived all the same.
    """
    entries = []
    for memory_id in ids:
        state = transaction.load(MEMORY, memory_id)
        expires_at = effective_expiry(state)
        if not policy.archive_on_gc and expires_at is not None and expires_at <= transaction.now:
            entries.append(transaction.bury(MEMORY, memory_id))
            continue
        stamp, extension = expiry_judged(state)
        entries.append(
            Entry(kind=MEMORY.name, key=memory_id, fields={"collected": (stamp, extension, transaction.now)})
        )
    return entries


async def collect(node: Node, who: Principal, query: GcQuery) -> GcResult:
    """Archive (or delete, if `archive_on_gc` is off) every expired memory; with `dry_run` only count them.

    Messages that were read and have expired since are deleted: an archive that nobody may see serves nobody.

    Raises: Denied(operator_required), Unavailable.
    """
    require_operator(who, "collecting what has expired")
    if query.dry_run:
        count = await node.store.read(_count_expired, node.clock.now())
        return GcResult(expired_deleted=0, collected=count, dry_run=True)
    total = 0
    for collect_batch in (_collect_batch, _collect_messages):
        while True:
            wrote = await write_as(node, SYSTEM, collect_batch, node)
            total += wrote.value
            if wrote.value < BATCH:
                break
    node.counters.collected += total
    return GcResult(expired_deleted=total, collected=total, dry_run=False)


def _collect_batch(transaction: Transaction, node: Node) -> int:
    ids = memories.expired_ids(transaction.conn, transaction.now, BATCH)
    if ids:
        transaction.emit("gc", collect_entries(transaction, node.policy, ids))
    return len(ids)


def _collect_messages(transaction: Transaction, _: Node) -> int:
    ids = messages.expired_ids(transaction.conn, transaction.now, BATCH)
    if ids:
        transaction.emit("gc", [transaction.bury(MEMORY, memory_id) for memory_id in ids])
    return len(ids)


def _count_expired(conn: Connection, now: Instant) -> int:
    return memories.count_expired(conn, now) + messages.count_expired(conn, now)


async def tidy(node: Node) -> None:
    """What the curator's clock does besides collecting: old archive rows, idempotency notes, events, dead letters."""
    if node.policy.archive_max_days is not None:
        before = after(node.clock.now(), -86_400 * node.policy.archive_max_days)
        while (await write_as(node, SYSTEM, purge_batch, _EVERYTHING, before)).value == BATCH:
            pass
    before = after(node.clock.now(), -86_400 * IDEMPOTENCY_KEPT_DAYS)
    while (await node.store.write(idempotency.drop_older, before, BATCH)).value == BATCH:
        pass
    before = after(node.clock.now(), -86_400 * node.policy.events_days)
    while (await node.store.write(_forget_events, before)).value == BATCH:
        pass
    while (await node.store.write(deliveries.trim_dead, before, BATCH)).value == BATCH:
        pass


def _forget_events(transaction: Transaction, before: Instant) -> int:
    return events.trim_older(transaction.conn, before, BATCH)


def purge_batch(transaction: Transaction, visible: Clause, before: Instant | None) -> int:
    """Delete one batch of archived memories for ever. Returns: how many."""
    ids = memories.purgeable(transaction.conn, visible, before, BATCH)
    if ids:
        transaction.emit("delete", [transaction.bury(MEMORY, memory_id) for memory_id in ids])
    return len(ids)


async def run_touches(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Write down, one batch a recall, that memories were used. Ends when the sending side is closed.

    What the store cannot take now (full disk) is dropped and counted, as where the queue is full.
    """
    task_status.started()
    async with node.touches[1] as arriving:
        async for touch in arriving:
            try:
                await write_as(node, SYSTEM, apply_touch, node, touch)
            except Unavailable:
                node.counters.touches_dropped += 1


def touch_nowait(node: Node, ids: tuple[MemoryId, ...]) -> None:
    """Queue a touch; where the queue is full it is dropped and counted: access counts are a node's own estimate."""
    if not ids:
        return
    try:
        node.touches[0].send_nowait(Touch(ids, node.clock.now()))
    except (trio.WouldBlock, trio.ClosedResourceError, trio.BrokenResourceError):
        node.counters.touches_dropped += 1


def apply_touch(transaction: Transaction, node: Node, touch: Touch) -> None:
    """Count the accesses on this node, and write what they earn as one op, if they earn anything."""
    entries = []
    for memory_id in touch.ids:
        count = memories.note_access(transaction.conn, memory_id, touch.at)
        memory = memories.find(transaction.conn, memory_id, touch.at, _EVERYTHING) if count else None
        if memory is not None:
            entries += _earned(transaction, node, memory, count, touch.at)
    if entries:
        transaction.emit("extend", entries)


def _earned(transaction: Transaction, node: Node, memory: Memory, count: int, now: Instant) -> list[Entry]:
    fields: dict[str, FieldValue] = {}
    is_earned = memory.tier is Tier.MID and count >= PROMOTE_AT_ACCESSES
    if is_earned and lets_anybody(transaction, Verb.PROMOTE, memory.namespace):
        # Not updated_at: the text is as old as it was, and a read must not outdo an edit made elsewhere.
        fields |= {"tier": Tier.LONG.value, "expires_at": None}
    if count % RAISE_EVERY_ACCESSES == 0 and memory.priority < PRIORITY_MAX:
        fields["priority"] = memory.priority + 1
    entries = [transaction.change(MEMORY, memory.id, fields)] if fields else []
    reached = node.policy.lifetimes.extended(memory.tier, memory.expires_at, now)
    if reached is not None and "expires_at" not in fields:
        stamp, _ = expiry_judged(transaction.load(MEMORY, memory.id))
        entries.append(Entry(kind=MEMORY.name, key=memory.id, fields={"extended": (stamp, reached)}))
    return entries
