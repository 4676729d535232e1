"""Remember: store a memory, or bring the one of that name up to date."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Struct

from aimem.model import (
    AgentId,
    FieldValue,
    Instant,
    Lifetimes,
    Memory,
    MemoryId,
    Principal,
    Tier,
    format_instant,
)
from aimem.ports import Connection
from aimem.search import parse_query
from aimem.service.drafts import (
    Draft,
    creation_fields,
    draft_of,
    keeping_kind,
    metadata_value,
    name_value,
    refuse_past_expiry,
)
from aimem.service.hooks import offer_hooks
from aimem.service.names import EVERYTHING, beside_hidden, collect_name, find_holder, holder_of
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id, refuse_taken
from aimem.service.writing import write_as
from aimem.store import MEMORY, Transaction, likeness, visible_to
from aimem.wire import CreateMemory, Stored

SIMILAR_LIMIT: Final = 5
EDITED_BY: Final = "edited_by"


class Rewrite(Struct, frozen=True, kw_only=True):
    """The decision to bring a stored memory up to date: the fields to set."""

    memory_id: MemoryId
    fields: dict[str, FieldValue]


class Creation(Struct, frozen=True, kw_only=True):
    """The decision to store a new memory, whose name an expired one may have to give up first."""

    collects: bool


def decide_remember(draft: Draft, holder: Memory | None, now: Instant, lifetimes: Lifetimes) -> Rewrite | Creation:
    """Whether a store makes a memory or updates the one that has the name (design §4).

    Args:
      holder: *the* memory of the draft's name, expired ones included; None if the name is free.
    """
    if holder is None:
        return Creation(collects=False)
    if holder.expires_at is not None and holder.expires_at <= now:
        return Creation(collects=True)
    tier = max(holder.tier, draft.tier, key=lambda t: t.rank)
    metadata = dict(keeping_kind(draft.metadata, holder.metadata))
    if draft.author != holder.author:
        metadata[EDITED_BY] = draft.author
    fields: dict[str, FieldValue] = {
        "name": name_value(draft.namespace, draft.title, is_generated=draft.title_generated),
        "content": draft.content,
        "tags": draft.tags,
        "source": draft.source,
        "tier": tier.value,
        "priority": max(holder.priority, draft.priority),
        "confidence": max(holder.confidence, draft.confidence),
        "metadata": metadata_value(metadata),
        "expires_at": _merged_expiry(draft, holder, tier, now, lifetimes),
        "updated_at": max(now, holder.updated_at),
    }
    if draft.scope is not None:
        fields["scope"] = draft.scope.value
    stored: dict[str, FieldValue] = {
        "name": name_value(holder.namespace, holder.title, is_generated=holder.title_generated),
        "content": holder.content,
        "tags": holder.tags,
        "source": holder.source,
        "tier": holder.tier.value,
        "priority": holder.priority,
        "confidence": holder.confidence,
        "metadata": metadata_value(holder.metadata),
        "expires_at": holder.expires_at,
        "scope": None if holder.scope is None else holder.scope.value,
    }
    # A field that does not change is not written: it would only make conflicts with those who change it elsewhere.
    changed = {name: value for name, value in fields.items() if name == "updated_at" or stored[name] != value}
    return Rewrite(memory_id=holder.id, fields=changed)


def _merged_expiry(draft: Draft, holder: Memory, tier: Tier, now: Instant, lifetimes: Lifetimes) -> Instant | None:
    if draft.is_expiry_given:
        return draft.expires_at
    fresh = lifetimes.expiry(tier, now)
    return None if fresh is None or holder.expires_at is None else max(fresh, holder.expires_at)


async def remember(node: Node, who: Principal, request: CreateMemory, once: Once | None = None) -> Stored:
    """Store a memory, or update the visible one of the same (namespace, title) and, if private, author.

    Raises: InvalidRequest naming the field, Denied(reserved_namespace), Conflict(id_taken), Unavailable.
    """
    draft = draft_of(request, who, node.clock.now(), node.policy.lifetimes)
    similar = () if draft.title_generated else await node.store.read(_similar, draft, who, node.clock.now())
    wrote = await write_as(node, who, _remember, node, who, draft, similar, once)
    stored: Stored = wrote.value
    if wrote.acks is not None:
        stored = msgspec.structs.replace(stored, quorum_acks=wrote.acks)
    if stored.action == "created":
        node.counters.stored += 1
    else:
        node.counters.updated += 1
    # A retry that is answered from its note wrote nothing, and its hooks were offered the first time.
    is_new = stored.action == "created" and wrote.version is not None
    return offer_hooks(node, who, stored, draft.content) if is_new else stored


def _similar(conn: Connection, draft: Draft, who: Principal, now: Instant) -> tuple[MemoryId, ...]:
    title = parse_query(draft.title)
    # One more than is shown: the memory of this very name may be among them.
    return likeness.like(conn, title, draft.namespace, visible_to(who), now, SIMILAR_LIMIT + 1)


def _remember(
    transaction: Transaction,
    node: Node,
    who: Principal,
    draft: Draft,
    similar: tuple[MemoryId, ...],
    once: Once | None,
) -> Stored:
    def run() -> Stored:
        refuse_past_expiry(draft, transaction.now)
        stored = store_draft(transaction, node, who, draft, fresh_id(node, who, once))
        # Part of the answer that is noted: a retry names the same ones, whatever was stored since.
        others = tuple(memory_id for memory_id in similar if memory_id != stored.id)[:SIMILAR_LIMIT]
        return msgspec.structs.replace(stored, potential_contradictions=others) if others else stored

    return answer_once(transaction, node, who, once, Stored, run)


def store_draft(
    transaction: Transaction, node: Node, who: Principal, draft: Draft, memory_id: MemoryId
) -> Stored:
    """Facts, decision and effect of one store, inside the write's transaction.

    Args:
      memory_id: of the memory, if it makes one.
    Raises: Conflict(id_taken, name_taken), and what the gate raises.
    """
    now = transaction.now
    if draft.title_generated:
        title, holder = _unique_title(transaction, draft, memory_id), None
    else:
        draft = beside_hidden(transaction, who, draft)
        title, holder = draft.title, holder_of(transaction, who, draft)
    decision = decide_remember(draft, holder, now, node.policy.lifetimes)
    if isinstance(decision, Rewrite):
        dot = transaction.emit("store", [transaction.change(MEMORY, decision.memory_id, decision.fields)])
        return _stored(transaction, decision.memory_id, "updated", str(dot))
    refuse_taken(transaction, memory_id)
    made = transaction.create(MEMORY, memory_id, draft.author, creation_fields(draft, title, now))
    if decision.collects:
        collected = collect_name(transaction, node, draft.namespace, title, draft.owner)
        dot = transaction.emit("store", [*collected, made])
    else:
        dot = transaction.emit_beside("store", made)
    return _stored(transaction, memory_id, "created", str(dot))


def _unique_title(transaction: Transaction, draft: Draft, memory_id: MemoryId) -> str:
    if find_holder(transaction, draft.namespace, draft.title, draft.owner, EVERYTHING) is None:
        return draft.title
    return f"{draft.title} ~{memory_id[:8]}"


def _stored(transaction: Transaction, memory_id: MemoryId, action: str, version: str) -> Stored:
    """The answer says what is stored, not what was asked for."""
    state = transaction.load(MEMORY, memory_id)
    name, expires_at = state.fields["name"].value, state.fields["expires_at"].value
    namespace, title = (str(name[0]), str(name[1])) if isinstance(name, tuple) else ("", "")
    return Stored(
        id=memory_id,
        tier=str(state.fields["tier"].value),
        namespace=namespace,
        title=title,
        agent_id=AgentId(state.author or ""),
        action=action,
        version=version,
        expires_at=format_instant(Instant(expires_at)) if isinstance(expires_at, int) else UNSET,
        title_generated=True if isinstance(name, tuple) and len(name) == 3 else UNSET,
    )
