"""Changing one memory: update, delete, promote."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from aimem.errors import Code, Denied, InvalidRequest
from aimem.model import (
    AgentId,
    Entry,
    FieldValue,
    Instant,
    Lifetimes,
    LinkKey,
    Memory,
    Namespace,
    Principal,
    Relation,
    Scope,
    Tier,
    parse_instant,
    rules,
)
from aimem.service.drafts import keeping_kind, metadata_value, name_value, scope_of
from aimem.service.lookup import exact, resolve
from aimem.service.names import EVERYTHING, free_name, owner_of, rows_of
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id, refuse_taken
from aimem.service.standards import standing_for
from aimem.service.writing import write_as
from aimem.store import LINK, LIVE, MEMORY, Transaction, link_key_text, memories
from aimem.wire import DeletedMemory, Promoted, UpdatedMemory, UpdateMemory, memory_fields

BEFORE_ALL_EXPIRY: Final = Instant(-(2**62))


def refuse_reserved(memory: Memory) -> None:
    """Rows of the system's namespaces are changed by its own services only. Raises: Denied(reserved_namespace)."""
    if memory.namespace.startswith("_"):
        raise Denied(
            f"{memory.id} lies in {memory.namespace!r}, which is kept by the system",
            code=Code.RESERVED_NAMESPACE,
            field="id",
        )


def decide_update(
    request: UpdateMemory, memory: Memory, who: Principal, now: Instant, lifetimes: Lifetimes
) -> dict[str, FieldValue]:
    """The fields that an update sets: those present, checked. A tier never goes down; the author never changes.

    Raises: InvalidRequest naming the field; Denied(reserved_namespace).
    """
    fields: dict[str, FieldValue] = {}
    if request.title is not None or request.namespace is not None:
        namespace = memory.namespace if request.namespace is None else rules.writable_namespace(request.namespace)
        fields["name"] = _new_name(request.title, namespace, memory)
    if request.content is not None:
        fields["content"] = rules.content(request.content)
    if request.tags is not None:
        fields["tags"] = rules.tags(request.tags)
    if request.priority is not None:
        fields["priority"] = rules.priority(request.priority)
    if request.confidence is not None:
        fields["confidence"] = rules.confidence(request.confidence)
    fields |= _metadata_fields(request, memory, who)
    fields |= _lifetime_fields(request, memory, now, lifetimes)
    return fields


def _new_name(title: str | None, namespace: Namespace, memory: Memory) -> FieldValue:
    if title is None:
        return name_value(namespace, memory.title, is_generated=memory.title_generated)
    checked = rules.title(title)
    if not checked:
        raise InvalidRequest("title is blank; leave it out to keep the present one", field="title")
    return name_value(namespace, checked, is_generated=False)


def _metadata_fields(request: UpdateMemory, memory: Memory, who: Principal) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {}
    given = request.metadata
    scope = scope_of(request.scope, given or {})
    if scope is not None:
        fields["scope"] = scope.value
    if given is not None:
        kept = keeping_kind(rules.metadata(given), memory.metadata)
        fields["metadata"] = metadata_value(
            kept if who.agent_id == memory.author else {**kept, "edited_by": who.agent_id}
        )
    elif who.agent_id != memory.author and (request.content is not None or request.title is not None):
        fields["metadata"] = metadata_value({**memory.metadata, "edited_by": who.agent_id})
    return fields


def _lifetime_fields(
    request: UpdateMemory, memory: Memory, now: Instant, lifetimes: Lifetimes
) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {}
    tier = memory.tier if request.tier is None else rules.choice(Tier, request.tier, field="tier")
    if tier.rank > memory.tier.rank:
        fields["tier"] = tier.value
        fresh = lifetimes.expiry(tier, now)
        fields["expires_at"] = None if fresh is None or memory.expires_at is None else max(fresh, memory.expires_at)
    if request.expires_at is not None:
        cleared = request.expires_at.strip() == ""
        fields["expires_at"] = None if cleared else parse_instant(request.expires_at, field="expires_at")
    return fields


async def update(
    node: Node, who: Principal, memory_id: str, request: UpdateMemory, once: Once | None = None
) -> UpdatedMemory:
    """Change what the request names of a memory (a unique prefix of the id will do).

    Raises: NotFound, Conflict(name_taken), InvalidRequest, Denied(reserved_namespace), Unavailable.
    """
    wrote = await write_as(node, who, _update, node, who, memory_id, request, once)
    node.counters.updated += 1
    answer: UpdatedMemory = wrote.value
    return answer


def _update(
    transaction: Transaction, node: Node, who: Principal, memory_id: str, request: UpdateMemory, once: Once | None
) -> UpdatedMemory:
    def run() -> UpdatedMemory:
        memory = resolve(transaction.conn, memory_id, who, transaction.now)
        refuse_reserved(memory)
        fields = decide_update(request, memory, who, transaction.now, node.policy.lifetimes)
        fields["updated_at"] = max(transaction.now, memory.updated_at)
        entries = entries_of_update(transaction, node, who, memory, fields)
        dot = transaction.emit("update", entries)
        return _updated(transaction, memory, str(dot))

    return answer_once(transaction, node, who, once, UpdatedMemory, run)


def entries_of_update(
    transaction: Transaction, node: Node, who: Principal, memory: Memory, fields: dict[str, FieldValue]
) -> list[Entry]:
    """Entries that set these fields, and whatever a new name asks for: that it is free, and that shadows come along.

    Raises: Conflict(name_taken).
    """
    entries = [transaction.change(MEMORY, memory.id, fields)]
    new_owner = memory.author if fields.get("scope", memory.scope) == Scope.PRIVATE else ""
    name = fields.get("name", (memory.namespace, memory.title))
    if not isinstance(name, tuple):
        return entries
    namespace, title = Namespace(str(name[0])), str(name[1])
    if (namespace, title, new_owner) == (memory.namespace, memory.title, owner_of(memory)):
        return entries
    freed = free_name(transaction, node, who, namespace, title, new_owner)
    # All rows of the name move together: a shadow left behind would come to light under the old name.
    shadows = [row for row in rows_of(transaction, who, memory) if row != memory.id]
    together: dict[str, FieldValue] = {key: fields[key] for key in fields if key in ("name", "scope")}
    return [*freed, *entries, *(transaction.change(MEMORY, shadow, together) for shadow in shadows)]


def _updated(transaction: Transaction, memory: Memory, version: str) -> UpdatedMemory:
    """The memory as stored, also if it expired with that or went out of sight: the last answer to show it."""
    stored = memories.find(transaction.conn, memory.id, BEFORE_ALL_EXPIRY, EVERYTHING)
    return UpdatedMemory(**memory_fields(stored or memory), version=version)


async def delete(node: Node, who: Principal, memory_id: str, once: Once | None = None) -> DeletedMemory:
    """Delete a memory for ever, on every node (the whole id is needed). Raises: NotFound, Denied, Unavailable."""
    wrote = await write_as(node, who, delete_in, node, who, memory_id, once)
    node.counters.deleted += 1
    answer: DeletedMemory = wrote.value
    return answer


def delete_in(
    transaction: Transaction, node: Node, who: Principal, memory_id: str, once: Once | None
) -> DeletedMemory:
    """As `delete`, inside a write's transaction."""

    def run() -> DeletedMemory:
        memory = exact(transaction.conn, memory_id, who, transaction.now)
        refuse_reserved(memory)
        rows = rows_of(transaction, who, memory)
        warning = standing_for(transaction.conn, rows)
        dot = transaction.emit("delete", [transaction.bury(MEMORY, each) for each in rows])
        return DeletedMemory(deleted=True, id=memory.id, version=str(dot), warning=warning or UNSET)

    return answer_once(transaction, node, who, once, DeletedMemory, run)


async def promote(
    node: Node, who: Principal, memory_id: str, to_namespace: str | None = None, once: Once | None = None
) -> Promoted:
    """Make a memory long-lived, or copy it into an ancestor namespace (linked `derived_from`).

    Raises: NotFound, InvalidRequest if the namespace is no ancestor, Conflict(name_taken), Denied, Unavailable.
    """
    fn = promote_in if to_namespace is None else promote_up_in
    wrote = await write_as(node, who, fn, node, who, memory_id, to_namespace or "", once)
    answer: Promoted = wrote.value
    return answer


def promote_in(
    transaction: Transaction, node: Node, who: Principal, memory_id: str, _to: str, once: Once | None
) -> Promoted:
    """As `promote` without a namespace, inside a write's transaction."""

    def run() -> Promoted:
        memory = exact(transaction.conn, memory_id, who, transaction.now)
        refuse_reserved(memory)
        fields: dict[str, FieldValue] = {
            "tier": Tier.LONG.value,
            "expires_at": None,
            "updated_at": max(transaction.now, memory.updated_at),
        }
        dot = transaction.emit("promote", [transaction.change(MEMORY, memory.id, fields)])
        return Promoted(promoted=True, mode="tier", id=memory.id, tier=Tier.LONG.value, version=str(dot))

    return answer_once(transaction, node, who, once, Promoted, run)


def promote_up_in(
    transaction: Transaction, node: Node, who: Principal, memory_id: str, to: str, once: Once | None
) -> Promoted:
    """As `promote` with a namespace, inside a write's transaction."""

    def run() -> Promoted:
        memory = exact(transaction.conn, memory_id, who, transaction.now)
        refuse_reserved(memory)
        target = rules.writable_namespace(to, field="to_namespace")
        if not memory.namespace.startswith(target + "/"):
            raise InvalidRequest(
                f"to_namespace: {target!r} is no ancestor of {memory.namespace!r}", field="to_namespace"
            )
        freed = free_name(transaction, node, who, target, memory.title, owner_of(memory))
        clone, now = fresh_id(node, who, once), transaction.now
        refuse_taken(transaction, clone)
        link = LinkKey(clone, memory.id, Relation.DERIVED_FROM)
        dot = transaction.emit(
            "promote",
            [
                *freed,
                transaction.create(MEMORY, clone, memory.author, copied_fields(memory, target, now)),
                transaction.create(LINK, link_key_text(link), who.agent_id, link_fields(who.agent_id, now)),
            ],
        )
        return Promoted(
            promoted=True, mode="vertical", source_id=memory.id, clone_id=clone, to_namespace=target, version=str(dot)
        )

    return answer_once(transaction, node, who, once, Promoted, run)


def copied_fields(memory: Memory, namespace: Namespace, now: Instant) -> dict[str, FieldValue]:
    """All fields of a copy of a memory in another namespace."""
    return {
        "name": name_value(namespace, memory.title, is_generated=memory.title_generated),
        "content": memory.content,
        "tags": memory.tags,
        "tier": memory.tier.value,
        "priority": memory.priority,
        "confidence": memory.confidence,
        "source": memory.source,
        "metadata": metadata_value(memory.metadata),
        "scope": None if memory.scope is None else memory.scope.value,
        "created_at": now,
        "updated_at": now,
        "expires_at": memory.expires_at,
        "lifecycle": LIVE,
    }


def link_fields(
    observer: AgentId, now: Instant, valid_from: Instant | None = None, valid_until: Instant | None = None
) -> dict[str, FieldValue]:
    """All fields of a new link."""
    return {
        "present": True,
        "created_at": now,
        "valid_from": now if valid_from is None else valid_from,
        "valid_until": valid_until,
        "observed_by": observer,
    }
