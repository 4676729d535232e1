"""What an approval does: the ops that were captured when the action was queued, brought up to the state of now.

Ids stay those of the queueing. What was captured holds only if nobody changed its objects since: an approval is of what
was shown, and never overwrites what came later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import Bug, Code, Conflict
from aimem.model import AgentId, Entry, FieldValue, Instant, Memory, MemoryId, Namespace, ObjectState, Scope, is_inbox
from aimem.service.gate import Captured
from aimem.service.names import EVERYTHING, collect_name
from aimem.service.node import Node
from aimem.store import (
    ALIAS,
    KINDS,
    LINK,
    LIVE,
    MEMORY,
    Transaction,
    effective_expiry,
    memories,
    standing,
)

MOMENTS: Final = frozenset(
    {"created_at", "updated_at", "changed_at", "registered_at", "last_seen_at", "valid_from", "lifecycle"}
)
"""Fields that name the moment of the write: that of the approval takes the place of that of the queueing."""

INCIDENTAL: Final = frozenset({"updated_at", "changed_at", "changed_by", "last_seen_at"})
"""Fields that every write sets: that somebody else's did too is no reason to refuse."""


class Changes(StrEnum):
    """What it means that somebody changed an object since the action was queued."""

    REFUSE = "refuse"
    TAKE = "take"      # whoever asks again has seen it


class Effect(Struct, frozen=True, kw_only=True):
    """What there is to write.

    Attributes:
      entries: the op; empty if everything that it was about is gone.
      memory_id: what the answer names: the memory that is made, else the one that it is done to.
      skipped_count: objects that are gone.
    """

    entries: tuple[Entry, ...]
    memory_id: MemoryId | None
    skipped_count: int = 0


def joined(ops: Sequence[Captured]) -> list[Entry]:
    """The entries of several ops as those of one: of each object one, the later op's fields over the earlier's."""
    found: dict[tuple[str, str], Entry] = {}
    for op in ops:
        for entry in op.entries:
            earlier = found.get((entry.kind, entry.key))
            found[entry.kind, entry.key] = entry if earlier is None else _after(earlier, entry)
    return list(found.values())


def _after(earlier: Entry, later: Entry) -> Entry:
    if earlier.dead or later.dead:
        return Entry(kind=later.kind, key=later.key, dead=True)
    # What the earlier op wrote has no stamp that anybody will ever see: its own base is the one that counts.
    unwritten = {name: stamp for name, stamp in later.base.items() if name not in earlier.fields}
    return Entry(
        kind=later.kind, key=later.key, create=earlier.create or later.create,
        fields={**earlier.fields, **later.fields}, base={**unwritten, **earlier.base},
    )


def effect_of(
    transaction: Transaction, node: Node, ops: Sequence[Captured], queued_at: Instant, target: str | None,
    changes: Changes = Changes.REFUSE,
) -> Effect:
    """Bring captured ops up to now.

    Args:
      queued_at: when they were captured.
      target: what the action is about, if it is one thing.
    Raises: Conflict with a sentence that says why it cannot be done any more.
    """
    captured = joined(ops)
    entries = [_renewed(transaction, entry, queued_at, changes) for entry in captured]
    kept = [entry for entry in entries if entry is not None]
    freed = _free_names(transaction, node, kept)
    made = [entry.key for entry in kept if entry.kind == MEMORY.name and entry.create is not None]
    about = target if target is not None and (target in made or not made) else made[0] if made else None
    return Effect(
        entries=(*freed, *kept), memory_id=None if about is None else MemoryId(about),
        skipped_count=len(entries) - len(kept),
    )


def _renewed(transaction: Transaction, entry: Entry, queued_at: Instant, changes: Changes) -> Entry | None:
    """An entry as of now; None if what it is about is gone."""
    kind = KINDS.get(entry.kind)
    if kind is None:
        raise Bug(f"a captured op of the kind {entry.kind!r}, which is none")
    state, now = transaction.load(kind, entry.key), transaction.now
    ends = kind.split_key(entry.key)[: kind.end_count]
    if any(transaction.load(MEMORY, end).dead is not None for end in ends):
        return None
    if entry.dead:
        return None if state.dead is not None or state.born is None else transaction.bury(kind, entry.key)
    fields = {name: _moved(name, value, queued_at, now) for name, value in entry.fields.items()}
    if entry.create is not None:
        return _made(transaction, entry, state, fields)
    if state.dead is not None:
        return None
    if entry.kind == MEMORY.name and "lifecycle" not in fields and _is_out_of_sight(state, now):
        if fields.keys() <= kind.maxima:
            return None
        raise _changed(entry.kind, entry.key, "it was archived or has expired")
    if changes is Changes.REFUSE:
        _refuse_changed(entry, state, kind.maxima)
    updated = fields.get("updated_at")
    if isinstance(updated, int) and "updated_at" in state.fields:
        known = state.fields["updated_at"].value
        fields["updated_at"] = max(updated, known) if isinstance(known, int) else updated
    return transaction.change(kind, entry.key, fields)


def _made(
    transaction: Transaction, entry: Entry, state: ObjectState, fields: Mapping[str, FieldValue]
) -> Entry | None:
    """An entry that makes something: it must not be there yet, save for what several may state."""
    kind = KINDS[entry.kind]
    if entry.create is None:
        raise Bug("an entry that makes nothing")
    if kind is MEMORY and not memories.is_free_id(transaction.conn, MemoryId(entry.key)):
        raise Conflict(f"the id {entry.key} is taken now", code=Code.ID_TAKEN)
    if state.born is None:
        return transaction.create(kind, entry.key, AgentId(entry.create.author), fields)
    if kind in (LINK, ALIAS):
        present = state.fields.get("present")
        return None if present is not None and present.value is True else transaction.change(kind, entry.key, fields)
    raise _changed(entry.kind, entry.key, "somebody else has made it")


def _moved(name: str, value: FieldValue, queued_at: Instant, now: Instant) -> FieldValue:
    """A value of the queueing as one of now."""
    if name == "expires_at" and isinstance(value, int) and queued_at < value <= now:
        return now + (value - queued_at)     # its life begins with the approval: waiting must not use it up
    if name == "lifecycle" and isinstance(value, tuple) and value[-1:] == (queued_at,):
        return (*value[:-1], now)
    return now if name in MOMENTS and value == queued_at else value


def _is_out_of_sight(state: ObjectState, now: Instant) -> bool:
    if standing(state) != "live":
        return True
    expires_at = effective_expiry(state)
    return expires_at is not None and expires_at <= now


def _refuse_changed(entry: Entry, state: ObjectState, registers: frozenset[str]) -> None:
    """Refuse to write over what somebody else wrote since; the same value is no difference. Raises: Conflict."""
    for name, value in entry.fields.items():
        cell = state.fields.get(name)
        stamp = None if cell is None else cell.stamp.text()
        is_other = stamp != entry.base.get(name) and (cell is None or cell.value != value)
        if is_other and name not in INCIDENTAL and name not in registers:
            raise _changed(entry.kind, entry.key, f"its {name} was changed")


def _changed(kind: str, key: str, what: str) -> Conflict:
    return Conflict(f"the {kind} {key} is not what it was when the action was asked for: {what} since then")


def _free_names(transaction: Transaction, node: Node, entries: Sequence[Entry]) -> list[Entry]:
    """Make sure that names which are taken are free: entries that collect expired holders. Raises: Conflict."""
    leaving = {entry.key for entry in entries if entry.kind == MEMORY.name and _leaves_its_name(entry)}
    freed: list[Entry] = []
    for entry in entries:
        if entry.kind != MEMORY.name or entry.dead or not entry.fields.keys() & {"name", "scope", "lifecycle"}:
            continue
        name = _name_after(entry, transaction.load(MEMORY, entry.key))
        holder = None if name is None else memories.find_holder(transaction.conn, *name, EVERYTHING)
        if name is None or holder is None or holder.id == entry.key or holder.id in leaving:
            continue
        freed += _freed(transaction, node, holder, name)
    return freed


def _leaves_its_name(entry: Entry) -> bool:
    lifecycle = entry.fields.get("lifecycle", LIVE)
    is_moved = entry.create is None and "name" in entry.fields
    return entry.dead or is_moved or lifecycle != LIVE or "collected" in entry.fields


def _name_after(entry: Entry, state: ObjectState) -> tuple[Namespace, str, str] | None:
    """The name that a memory has once the entry is written; None if it has none."""
    fields = {name: cell.value for name, cell in state.fields.items()} | entry.fields
    name, author = fields.get("name"), state.author if entry.create is None else entry.create.author
    if fields.get("lifecycle", LIVE) != LIVE or not isinstance(name, tuple) or is_inbox(str(name[0])):
        return None
    return Namespace(str(name[0])), str(name[1]), author or "" if fields.get("scope") == Scope.PRIVATE.value else ""


def _freed(transaction: Transaction, node: Node, holder: Memory, name: tuple[Namespace, str, str]) -> list[Entry]:
    if holder.expires_at is not None and holder.expires_at <= transaction.now:
        return collect_name(transaction, node, *name)
    raise Conflict(
        f"another memory titled {name[1][:80]!r} is in namespace {name[0]!r} now", code=Code.NAME_TAKEN
    )


class Detail(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an outcome says besides who decided and when.

    Attributes:
      is_executed: whether anything was written.
      error: why nothing could be, as a sentence.
      counted: the votes that decided, by their stamps: later ones are kept as late.
    """

    is_executed: bool = False
    memory_id: MemoryId | None = None
    error: str | None = None
    counted: tuple[str, ...] = ()


def dump_detail(detail: Detail) -> str:
    """As text."""
    return msgspec.json.encode(detail).decode()


def load_detail(text: str) -> Detail:
    """Inverse of dump_detail; what another version wrote otherwise says nothing."""
    try:
        return msgspec.json.decode(text, type=Detail)
    except msgspec.DecodeError:
        return Detail()
