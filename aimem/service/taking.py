"""What an imported memory does to the store: make, update, archive, bring back, or nothing."""

from __future__ import annotations

import hashlib
from enum import Enum, auto
from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import Code, Conflict, Gone, InvalidRequest
from aimem.model import ArchivedMemory, Entry, FieldValue, Instant, Lifetimes, Memory, MemoryId, Principal, Scope
from aimem.service.arrivals import ORIGINAL_AUTHOR, Arrival, Bringer
from aimem.service.drafts import Draft, creation_fields, metadata_value
from aimem.service.edit import BEFORE_ALL_EXPIRY, entries_of_update, refuse_reserved
from aimem.service.names import beside_hidden, collect_name, free_name, holder_of, is_live, rows_of
from aimem.service.node import Node, Once
from aimem.service.once import fresh_id
from aimem.service.remember import EDITED_BY, Rewrite, decide_remember
from aimem.store import MEMORY, Transaction, memories, visible_to

TITLE_KEPT_CHARS: Final = 500


class Taken(Enum):
    """What became of a row."""

    CREATED = auto()
    UPDATED = auto()
    ARCHIVED = auto()
    UNCHANGED = auto()


class Outcome(Struct, frozen=True):
    """What became of a row, and the memory that it is here: another id's, if that one has its name."""

    taken: Taken
    memory_id: MemoryId


def take(transaction: Transaction, node: Node, by: Bringer, arrival: Arrival, once: Once | None) -> Outcome:
    """Take one row in. Every check comes before the op, so a refusal leaves nothing behind.

    Raises: Gone if its id was deleted here; Conflict(name_taken); Denied(reserved_namespace); InvalidRequest.
    """
    conn, who, memory_id = transaction.conn, by.who, arrival.memory_id
    visible = visible_to(who)
    here = None if memory_id is None else memories.find(conn, memory_id, BEFORE_ALL_EXPIRY, visible)
    away = None if memory_id is None or here is not None else memories.find_archived(conn, memory_id, visible)
    known = here or (away.memory if away is not None else None)
    if known is not None and not by.is_trusted:
        refuse_reserved(known)
    if arrival.away is not None:
        taken, standing = _take_archived(transaction, who, arrival, here, away), known.id if known else memory_id
        return Outcome(taken, standing or MemoryId(""))
    if away is not None:
        return Outcome(_bring_back(transaction, node, who, arrival, away), away.memory.id)
    return _take_live(transaction, node, who, arrival, once, here)


def _take_live(
    transaction: Transaction, node: Node, who: Principal, arrival: Arrival, once: Once | None, here: Memory | None
) -> Outcome:
    now, draft = transaction.now, beside_hidden(transaction, who, arrival.draft)
    holder = holder_of(transaction, who, draft)
    if _is_other(arrival, here, holder, now):
        draft = msgspec.structs.replace(draft, title=_another_title(draft, arrival.memory_id))
        holder = holder_of(transaction, who, draft)
    entries: list[Entry] = []
    if here is None and holder is not None and not is_live(holder, now):
        entries += collect_name(transaction, node, draft.namespace, draft.title, draft.owner)
        holder = None
    known = here or holder
    if known is not None:
        if here is None:
            _refuse_another_author(arrival, known)
        arrival = msgspec.structs.replace(arrival, draft=draft)
        return Outcome(_bring_up_to_date(transaction, node, who, known, arrival), known.id)
    memory_id = arrival.memory_id or fresh_id(node, who, once, arrival.position)
    _refuse_known_id(transaction, who, memory_id)
    fields = creation_fields(draft, draft.title, now)
    fields |= {"created_at": arrival.created_at, "updated_at": arrival.updated_at}
    transaction.emit("store", [*entries, transaction.create(MEMORY, memory_id, draft.author, fields)])
    return Outcome(Taken.CREATED, memory_id)


def _is_other(arrival: Arrival, here: Memory | None, holder: Memory | None, now: Instant) -> bool:
    """Whether a row is another memory than the one that has its title, and takes another title.

    A generated title names nothing: a row with an id is a memory of its own, even if its text is not new. So is every
    conversation, whatever it is called.
    """
    if holder is None or not is_live(holder, now):
        return False
    if arrival.is_own:
        return here is None or holder.id != here.id
    if here is not None or not arrival.draft.title_generated:
        return False
    return arrival.memory_id is not None or holder.content != arrival.draft.content


def _another_title(draft: Draft, memory_id: MemoryId | None) -> str:
    """The same for the same row again, so that a second import finds what the first one stored."""
    digest = hashlib.sha256((memory_id or draft.content).encode()).hexdigest()
    return f"{draft.title[:TITLE_KEPT_CHARS]} ~{digest[:8]}"


def _refuse_another_author(arrival: Arrival, holder: Memory) -> None:
    """Keep the private memories of two authors apart, which restamping gives one name."""
    if arrival.draft.scope is Scope.PRIVATE and holder.metadata.get(ORIGINAL_AUTHOR) != arrival.original:
        raise Conflict(
            f"another author's private memory has this title here (id {holder.id}); trust the source, which keeps "
            "their authors, or rename one of them", code=Code.NAME_TAKEN, field="title", id=holder.id,
        )


def _refuse_known_id(transaction: Transaction, who: Principal, memory_id: MemoryId) -> None:
    if who.sights and not memories.is_free_id(transaction.conn, memory_id):
        # One text for both: whether a memory that the caller may not see is there or was deleted is not told.
        raise Gone(f"{memory_id} was deleted here or is another's; leave the id out to store this anew", field="id")
    if transaction.load(MEMORY, memory_id).dead is not None:
        raise Gone(f"{memory_id} was deleted here and stays so; leave the id out to store it anew", field="id")
    if not memories.is_free_id(transaction.conn, memory_id):
        raise InvalidRequest(f"the id {memory_id} is taken; leave it out to store this anew", field="id")


def _bring_up_to_date(
    transaction: Transaction, node: Node, who: Principal, known: Memory, arrival: Arrival
) -> Taken:
    """Newer wins, by the rule of a store onto a taken name. Raises: Conflict(name_taken) if it has a new name."""
    fields = _differences(arrival.draft, known, transaction.now, node.policy.lifetimes)
    is_older = arrival.is_dated and arrival.updated_at <= known.updated_at and not _goes_on(arrival, known)
    if not fields or is_older:
        return Taken.UNCHANGED
    if not is_live(known, transaction.now):
        fields["expires_at"] = arrival.draft.expires_at
    fields["updated_at"] = max(arrival.updated_at, known.updated_at)
    transaction.emit("update", entries_of_update(transaction, node, who, known, fields))
    return Taken.UPDATED


def _goes_on(arrival: Arrival, known: Memory) -> bool:
    """Whether a conversation was continued: then it is newer, also if the stored text was touched since."""
    text = arrival.draft.content
    return arrival.is_own and len(text) > len(known.content) and text.startswith(known.content)


def _differences(draft: Draft, known: Memory, now: Instant, lifetimes: Lifetimes) -> dict[str, FieldValue]:
    """The fields in which a row says something else than what is here. A source is told by the first who came."""
    if draft.title_generated:  # it names nothing, so it renames nothing
        draft = msgspec.structs.replace(draft, title=known.title, title_generated=known.title_generated)
    if not is_live(known, now):
        known = msgspec.structs.replace(known, expires_at=draft.expires_at)
    if draft.tier.rank < known.tier.rank:
        # The higher tier stays, and with it the life that it gives: the expiry of a lower one would take it away.
        draft = msgspec.structs.replace(draft, is_expiry_given=False)
    decision = decide_remember(draft, known, now, lifetimes)
    fields = dict(decision.fields) if isinstance(decision, Rewrite) else {}
    for name in ("updated_at", "source"):
        fields.pop(name, None)
    if not draft.is_expiry_given and "tier" not in fields:
        fields.pop("expires_at", None)
    is_signature = fields.keys() == {"metadata"} and draft.metadata == known.metadata
    return {} if is_signature else fields


def _whole_fields(draft: Draft, author: str, updated_at: Instant) -> dict[str, FieldValue]:
    """All that a row says, over what an archived memory says."""
    fields = creation_fields(draft, draft.title, updated_at)
    del fields["created_at"]
    if draft.author != author:
        fields["metadata"] = metadata_value({**draft.metadata, EDITED_BY: draft.author})
    return fields


def _bring_back(
    transaction: Transaction, node: Node, who: Principal, arrival: Arrival, away: ArchivedMemory
) -> Taken:
    """A memory that was changed after it was archived here was restored elsewhere. Raises: Conflict(name_taken)."""
    if not arrival.is_dated or arrival.updated_at <= away.archived_at:
        return Taken.UNCHANGED
    draft = arrival.draft
    freed = free_name(transaction, node, who, draft.namespace, draft.title, draft.owner)
    fields = _whole_fields(draft, away.memory.author, arrival.updated_at)
    transaction.emit("restore", [*freed, transaction.change(MEMORY, away.memory.id, fields)])
    return Taken.UPDATED


def _take_archived(
    transaction: Transaction, who: Principal, arrival: Arrival, here: Memory | None, away: ArchivedMemory | None
) -> Taken:
    put = arrival.away
    if put is None or arrival.memory_id is None:
        raise InvalidRequest("an archived memory needs its id", field="id")
    lifecycle: FieldValue = ("archived", put.reason, put.at)
    if here is not None:
        if put.is_expired or put.at <= here.updated_at:
            return Taken.UNCHANGED
        ids = rows_of(transaction, who, here)
        transaction.emit("archive", [transaction.change(MEMORY, i, {"lifecycle": lifecycle}) for i in ids])
        return Taken.ARCHIVED
    if away is not None:
        if put.is_expired or put.at <= away.archived_at:
            return Taken.UNCHANGED
        fields = _whole_fields(arrival.draft, away.memory.author, arrival.updated_at)
        transaction.emit("archive", [transaction.change(MEMORY, away.memory.id, {**fields, "lifecycle": lifecycle})])
        return Taken.ARCHIVED
    _refuse_known_id(transaction, who, arrival.memory_id)
    fields = creation_fields(arrival.draft, arrival.draft.title, arrival.updated_at)
    fields |= {"created_at": arrival.created_at, "lifecycle": lifecycle}
    transaction.emit("archive", [transaction.create(MEMORY, arrival.memory_id, arrival.draft.author, fields)])
    return Taken.ARCHIVED


