"""What the curator does to memories: each act is one op that also holds the record of how to undo it.

Decisions are pure; the functions that take a transaction look at the facts again, because what proposed the act was
read before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, Struct

from aimem.model import (
    CURATOR,
    DAY_S,
    SYSTEM_AGENT,
    FieldValue,
    Instant,
    Lifetimes,
    Memory,
    MemoryId,
    Scope,
    after,
    format_instant,
    new_memory_id,
    rules,
)
from aimem.service.consolidating import Recipe, archive_entries, replace_by_one
from aimem.service.drafts import metadata_value
from aimem.service.facts import judge_facts
from aimem.service.names import rows_of
from aimem.service.node import Node
from aimem.service.records import (
    SOURCE,
    Change,
    Consolidation,
    Forgetting,
    PriorityAdjustment,
    Record,
    Tagging,
    action_of,
    record_entry,
)
from aimem.service.similarity import Duplicates, decide_duplicates
from aimem.store import MEMORY, NO_STANDARD, Clause, Transaction, linkage, memories
from aimem.wire import ActOut

EVERYTHING: Final = Clause("1", {})
RAISE_AT_ACCESSES: Final = 10
RAISE_WITHIN_S: Final = 7 * DAY_S
LOWER_AFTER_S: Final = 30 * DAY_S
PRIORITY_MIN: Final = 1
PRIORITY_MAX: Final = 10
TITLE_PREFIX: Final = "[consolidated] "
TITLE_KEPT_CHARS: Final = 480
REASON: Final = "curator:"


def decide_priority(memory: Memory, now: Instant) -> int | None:
    """One more for what is used much and was lately, one less for what is old and never was; None for neither."""
    used = memory.last_accessed_at
    if memory.access_count >= RAISE_AT_ACCESSES and used is not None and used > after(now, -RAISE_WITHIN_S):
        wanted = min(PRIORITY_MAX, memory.priority + 1)
    elif memory.access_count == 0 and memory.created_at < after(now, -LOWER_AFTER_S):
        wanted = max(PRIORITY_MIN, memory.priority - 1)
    else:
        return None
    return None if wanted == memory.priority else wanted


def rest_s(memory: Memory) -> int:
    """Seconds between two adjustments of one memory, as long as the use that they judge."""
    return RAISE_WITHIN_S if memory.access_count else LOWER_AFTER_S


def decide_forget(older: Memory, newer: Memory) -> bool:
    """Whether a stated contradiction makes the older memory go.

    Only if the newer one is at least as sure, says so in the same place, and to nobody less: else a note that others
    cannot read could take theirs away.
    """
    is_for_as_many = older.scope == newer.scope and (newer.scope is not Scope.PRIVATE or older.author == newer.author)
    return newer.confidence >= older.confidence and newer.namespace == older.namespace and is_for_as_many


class Merging(Struct, frozen=True, kw_only=True):
    """The fields of a kept memory that its duplicates raise."""

    changes: dict[str, Change]

    @property
    def fields(self) -> dict[str, FieldValue]:
        """To be written."""
        return {name: change.after for name, change in self.changes.items()}


def merge_into(kept: Memory, others: Sequence[Memory], lifetimes: Lifetimes) -> Merging:
    """The kept one lives as long and weighs as much as any of them did."""
    every = (kept, *others)
    tier = max((row.tier for row in every), key=lambda one: one.rank)
    known = [row.expires_at for row in every if row.expires_at is not None]
    is_endless = len(known) < len(every) or lifetimes.ttl_s(tier) is None
    wanted: dict[str, tuple[FieldValue, FieldValue]] = {
        "tier": (kept.tier.value, tier.value),
        "priority": (kept.priority, max(row.priority for row in every)),
        "expires_at": (kept.expires_at, None if is_endless else max(known)),
    }
    return Merging(
        changes={name: Change(before=old, after=new) for name, (old, new) in wanted.items() if old != new}
    )


def keep_newest(transaction: Transaction, node: Node, plan: Duplicates) -> ActOut | None:
    """Archive duplicates. None if they are none any more."""
    rows = _live(transaction, (plan.kept, *plan.others))
    if decide_duplicates(rows) != [plan]:
        return None
    kept, others = rows[0], rows[1:]
    record_id = _new_id(node)
    away = archive_entries(transaction, CURATOR, others, REASON + record_id)
    merging = merge_into(kept, others, node.policy.lifetimes)
    record = Consolidation(
        originals=tuple(MemoryId(entry.key) for entry in away), result_id=kept.id, made=False, changes=merging.changes
    )
    changed = [transaction.change(MEMORY, kept.id, merging.fields)] if merging.changes else []
    transaction.emit("curate", [*away, *changed, record_entry(transaction, record_id, record)])
    return _act(record, record_id)


def forget_contradicted(transaction: Transaction, node: Node, older: MemoryId, newer: MemoryId) -> ActOut | None:
    """Archive what a newer memory contradicts, by a link that somebody made. None if that is not so any more."""
    rows = _live(transaction, (older, newer))
    if len(rows) < 2 or newer not in contradicting(transaction, older) or not decide_forget(rows[0], rows[1]):
        return None
    record_id = _new_id(node)
    away = archive_entries(transaction, CURATOR, rows[:1], REASON + record_id)
    ids = tuple(MemoryId(entry.key) for entry in away)
    record = Forgetting(memory_id=older, rows=ids, contradicted_by=newer)
    transaction.emit("curate", [*away, record_entry(transaction, record_id, record)])
    return _act(record, record_id)


def contradicting(transaction: Transaction, older: MemoryId) -> tuple[MemoryId, ...]:
    """The newer memories that contradict one now."""
    facts = linkage.facts_about(transaction.conn, [older], transaction.now, EVERYTHING)
    return judge_facts(facts).contradicted.get(older, ())


def adjust_priority(transaction: Transaction, node: Node, memory_id: MemoryId) -> ActOut | None:
    """Bring a priority nearer to how much a memory is used. None if there is no reason any more."""
    rows = _live(transaction, (memory_id,))
    wanted = decide_priority(rows[0], transaction.now) if rows else None
    if wanted is None:
        return None
    record_id = _new_id(node)
    record = PriorityAdjustment(memory_id=memory_id, before=rows[0].priority, after=wanted)
    change = transaction.change(MEMORY, memory_id, {"priority": wanted})
    transaction.emit("curate", [change, record_entry(transaction, record_id, record)])
    return _act(record, record_id)


def put_together(transaction: Transaction, node: Node, seen: Sequence[Memory], summary: str) -> ActOut | None:
    """Put what the language model wrote of some memories in their place. None if one was changed since it read them."""
    rows = _live(transaction, [memory.id for memory in seen])
    if [(row.title, row.content) for row in rows] != [(row.title, row.content) for row in seen]:
        return None
    record_id, memory_id, first = _new_id(node), _new_id(node), rows[0]
    recipe = Recipe(
        title=f"{TITLE_PREFIX}{first.title[:TITLE_KEPT_CHARS]} ~{memory_id[:8]}", content=summary,
        namespace=first.namespace, tier=max((row.tier for row in rows), key=lambda one: one.rank), source=SOURCE,
        author=first.author if first.scope is Scope.PRIVATE else SYSTEM_AGENT,
    )
    originals = tuple(dict.fromkeys(i for row in rows for i in rows_of(transaction, CURATOR, row)))
    record = Consolidation(originals=originals, result_id=memory_id, made=True)
    replace_by_one(transaction, node, CURATOR, rows, recipe, memory_id, [record_entry(transaction, record_id, record)])
    return _act(record, record_id)


def set_tags(transaction: Transaction, node: Node, seen: Memory, tags: Sequence[str]) -> ActOut | None:
    """Keep the tags that the language model gave a memory. None if it was changed since the model read it.

    Raises: InvalidRequest if its metadata has no room for them.
    """
    rows = _live(transaction, (seen.id,))
    if not rows or (rows[0].title, rows[0].content) != (seen.title, seen.content) or rows[0].metadata.get("auto_tags"):
        return None
    record_id, now = _new_id(node), format_instant(transaction.now)
    metadata = rules.metadata({**rows[0].metadata, "auto_tags": list(tags), "curated_at": now})
    record = Tagging(memory_id=seen.id, curated_at=now)
    change = transaction.change(MEMORY, seen.id, {"metadata": metadata_value(metadata)})
    transaction.emit("curate", [change, record_entry(transaction, record_id, record)])
    return _act(record, record_id)


def _live(transaction: Transaction, ids: Sequence[MemoryId]) -> list[Memory]:
    found = [memories.find(transaction.conn, memory_id, transaction.now, NO_STANDARD) for memory_id in ids]
    return [row for row, memory_id in zip(found, ids, strict=True) if row is not None and row.id == memory_id]


def _new_id(node: Node) -> MemoryId:
    return new_memory_id(node.chance.rng)


def _act(record: Record, record_id: MemoryId) -> ActOut:
    kept = record.result_id if isinstance(record, Consolidation) else UNSET
    return ActOut(action=action_of(record), ids=record.ids, kept=kept, rollback_id=record_id)
