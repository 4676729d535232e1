"""Rollback: undoing what the curator did, from its records."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from aimem.errors import AimemError, InvalidRequest
from aimem.model import ArchivedMemory, Entry, FieldValue, Memory, MemoryId, Principal, rules
from aimem.service.acts import REASON as ACT_REASON
from aimem.service.archive import bring_back
from aimem.service.callers import require_operator
from aimem.service.consolidating import REASON as CONSOLIDATED
from aimem.service.consolidating import archive_entries
from aimem.service.drafts import metadata_value
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.records import (
    REVERSED,
    ROLLBACK,
    Change,
    Consolidation,
    Forgetting,
    PriorityAdjustment,
    Record,
    Tagging,
    action_of,
    find_record,
    is_reversed,
    read_record,
    reversed_entry,
)
from aimem.service.writing import write_as
from aimem.store import MEMORY, Transaction, curation, memories, visible_to
from aimem.wire import Reversal, RollbackRequest, RolledBack

LAST_MAX: Final = 100


class Undoing(Struct, frozen=True, kw_only=True):
    """What it takes to undo an act: see Reversal for the ids."""

    entries: tuple[Entry, ...] = ()
    restored: tuple[MemoryId, ...] = ()
    missing: tuple[MemoryId, ...] = ()
    kept: tuple[MemoryId, ...] = ()


async def roll_back(node: Node, who: Principal, request: RollbackRequest, once: Once | None = None) -> RolledBack:
    """Undo one act by its record's id, or the last ones that are not undone yet, the latest first.

    Undone already is an answer, not an error. Of several, those whose names were taken since are told and stay.
    Raises: NotFound; Conflict(name_taken) for a single one; InvalidRequest; Denied(operator_required); Unavailable.
    """
    require_operator(who, "taking back what the curator did")
    if (request.id is None) == (request.last is None):
        raise InvalidRequest("give id, or last (a number)", field="id")
    if request.last is not None:
        rules.bounded(request.last, 1, LAST_MAX, field="last")
    wanted = None if request.id is None else rules.memory_id(request.id)
    answer: RolledBack = (await write_as(node, who, _roll_back, node, who, wanted, request.last or 0, once)).value
    return answer


def _roll_back(
    transaction: Transaction, node: Node, who: Principal, record_id: MemoryId | None, last: int, once: Once | None
) -> RolledBack:
    def run() -> RolledBack:
        conn, now = transaction.conn, transaction.now
        if record_id is not None:
            done = [_reverse(transaction, node, who, find_record(conn, who, record_id, now))]
        else:
            rows = curation.latest_untagged(conn, ROLLBACK, REVERSED, now, last)
            done = [_try_to_reverse(transaction, node, who, row) for row in rows]
        return RolledBack(reversed=sum(one.reversed and not one.already for one in done), records=tuple(done))

    return answer_once(transaction, node, who, once, RolledBack, run)


def _try_to_reverse(transaction: Transaction, node: Node, who: Principal, row: Memory) -> Reversal:
    # Whatever refuses does so before the op is written: nothing of this one is left behind.
    try:
        return _reverse(transaction, node, who, row)
    except AimemError as error:
        return Reversal(id=row.id, reversed=False, code=error.code, error=error.message)


def _reverse(transaction: Transaction, node: Node, who: Principal, row: Memory) -> Reversal:
    record = read_record(row)
    if is_reversed(row):
        return Reversal(id=row.id, reversed=True, already=True, action=action_of(record))
    undoing = _undoing(transaction, node, who, row, record)
    dot = transaction.emit("rollback", [*undoing.entries, reversed_entry(transaction, row)])
    return Reversal(
        id=row.id, reversed=True, action=action_of(record), restored=undoing.restored, missing=undoing.missing,
        kept=undoing.kept, version=str(dot),
    )


def _undoing(transaction: Transaction, node: Node, who: Principal, row: Memory, record: Record) -> Undoing:
    match record:
        case Consolidation():
            reason = CONSOLIDATED + record.result_id if record.made else ACT_REASON + row.id
            back = _restoring(transaction, node, who, record.originals, reason)
            result = _live(transaction, who, record.result_id)
            if record.made:
                away = [] if result is None else archive_entries(transaction, who, [result], f"rolled_back:{row.id}")
                return replace(back, entries=(*back.entries, *away))
            return _join(back, _resetting(transaction, result, record.result_id, record.changes))
        case Forgetting():
            return _restoring(transaction, node, who, record.rows, ACT_REASON + row.id)
        case PriorityAdjustment():
            found = _live(transaction, who, record.memory_id)
            change = Change(before=record.before, after=record.after)
            return _resetting(transaction, found, record.memory_id, {"priority": change})
    return _untagging(transaction, who, record)


def _live(transaction: Transaction, who: Principal, memory_id: MemoryId) -> Memory | None:
    """The live memory with this id; not the one that has its name, if it is a shadow by now."""
    found = memories.find(transaction.conn, memory_id, transaction.now, visible_to(who))
    return found if found is not None and found.id == memory_id else None


def _join(one: Undoing, other: Undoing) -> Undoing:
    return Undoing(
        entries=(*one.entries, *other.entries), restored=(*one.restored, *other.restored),
        missing=(*one.missing, *other.missing), kept=(*one.kept, *other.kept),
    )


def _restoring(
    transaction: Transaction, node: Node, who: Principal, ids: tuple[MemoryId, ...], reason: str
) -> Undoing:
    """Bring back what lies in the archive for just this reason; what was purged or restored since is told.

    Raises: Conflict(name_taken): an act is undone as a whole or not at all.
    """
    found: list[ArchivedMemory] = []
    kept, missing = [], []
    for memory_id in ids:
        item = memories.find_archived(transaction.conn, memory_id, visible_to(who))
        if item is not None and item.reason == reason:
            found.append(item)
        elif memories.is_free_id(transaction.conn, memory_id) or transaction.load(MEMORY, memory_id).dead is not None:
            missing.append(memory_id)
        else:
            kept.append(memory_id)
    back = bring_back(transaction, node, who, found)
    for _, error in back.refused:
        raise error
    return Undoing(entries=back.entries, restored=back.ids, missing=tuple(missing), kept=tuple(kept))


def _resetting(
    transaction: Transaction, memory: Memory | None, memory_id: MemoryId, changes: dict[str, Change]
) -> Undoing:
    """Set fields back that still have the value of the act; somebody's own word since then stays."""
    if memory is None:
        return Undoing(missing=(memory_id,))
    now: dict[str, FieldValue] = {
        "tier": memory.tier.value, "priority": memory.priority, "expires_at": memory.expires_at
    }
    back = {name: change.before for name, change in changes.items() if now[name] == change.after}
    entries = (transaction.change(MEMORY, memory.id, back),) if back else ()
    return Undoing(entries=entries, kept=(memory.id,) if len(back) < len(changes) else ())


def _untagging(transaction: Transaction, who: Principal, record: Tagging) -> Undoing:
    memory = _live(transaction, who, record.memory_id)
    if memory is None:
        return Undoing(missing=(record.memory_id,))
    if memory.metadata.get("curated_at") != record.curated_at:
        return Undoing(kept=(memory.id,))
    metadata = {key: value for key, value in memory.metadata.items() if key not in ("auto_tags", "curated_at")}
    return Undoing(entries=(transaction.change(MEMORY, memory.id, {"metadata": metadata_value(metadata)}),))
