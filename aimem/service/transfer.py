"""Export and import: memories and links as documents."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import AimemError, InvalidRequest
from aimem.model import (
    AgentId,
    Entry,
    FieldValue,
    Instant,
    Lifetimes,
    Link,
    Memory,
    MemoryId,
    Principal,
    format_instant,
    parse_instant,
    rules,
)
from aimem.ports import Connection
from aimem.service.drafts import Draft, creation_fields, draft_of, refuse_past_expiry
from aimem.service.edit import entries_of_update, link_fields
from aimem.service.lifetimes import collect_entries
from aimem.service.linking import between, key_of, validity_of
from aimem.service.lookup import exact
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id
from aimem.service.remember import Rewrite, decide_remember, holder_of
from aimem.store import LINK, MEMORY, Transaction, link_key_text, linkage, memories, visible_to
from aimem.wire import (
    CreateMemory,
    ExportDocument,
    ImportedLink,
    ImportMemory,
    ImportRequest,
    ImportResult,
    LinkRequest,
    MemoryOut,
    link_out,
    memory_out,
)

IMPORT_MAX: Final = 1000
ORIGINAL_AUTHOR: Final = "imported_from_agent_id"
GENERATED_KEPT_CHARS: Final = 500


class Arrival(Struct, frozen=True, kw_only=True):
    """One memory to import, checked.

    Attributes:
      is_dated: whether the item says when it was changed; one that does not is newer only by saying something else.
    """

    position: int
    label: str
    memory_id: MemoryId | None
    draft: Draft
    created_at: Instant
    updated_at: Instant
    is_dated: bool
    is_restamped: bool


class _Tally(Struct):
    imported: int = 0
    unchanged: int = 0
    restamped: int = 0
    links: int = 0


async def export(node: Node, who: Principal) -> ExportDocument:
    """Every live memory that the caller may see, in order of creation, and the links among them."""
    now = node.clock.now()
    found, links = await node.store.read(_export, who, now)
    return ExportDocument(
        memories=found, links=tuple(link_out(link) for link in links), count=len(found), exported_at=format_instant(now)
    )


def _export(conn: Connection, who: Principal, now: Instant) -> tuple[tuple[MemoryOut, ...], tuple[Link, ...]]:
    found = tuple(memory_out(memory) for memory in memories.in_order_of_creation(conn, visible_to(who), now))
    return found, linkage.all_links(conn, now, visible_to(who))


async def import_memories(node: Node, who: Principal, request: ImportRequest, once: Once | None = None) -> ImportResult:
    """Store exported memories and links, all that are sound in one transaction, each refused one with its reason.

    Importing the same document again changes nothing: an id (or else a name) that is here is updated only by an item
    whose `updated_at` is later. Authors are restamped with the caller unless `trust_source` is set.

    Raises: InvalidRequest if there are too many items; Unavailable.
    """
    rules.bounded(len(request.memories), 0, IMPORT_MAX, field="memories")
    rules.bounded(len(request.links), 0, IMPORT_MAX, field="links")
    now, errors = node.clock.now(), {}
    arrivals = []
    for position, item in enumerate(request.memories):
        try:
            arrivals.append(arrival_of(item, position, request, who, now, node.policy.lifetimes))
        except AimemError as error:
            errors[position] = f"{item.id or item.title or f'item {position}'}: {error.message}"
    wrote = await node.store.write(_import, node, who, request, arrivals, errors, once)
    answer: ImportResult = wrote.value
    node.counters.stored += answer.imported
    return answer


def arrival_of(
    item: ImportMemory, position: int, request: ImportRequest, who: Principal, now: Instant, lifetimes: Lifetimes
) -> Arrival:
    """Check one item. Raises: InvalidRequest, Denied(reserved_namespace)."""
    metadata, author, is_restamped = _provenance(item, request, who)
    asked = CreateMemory(
        content=item.content, title=item.title, tier=item.tier, namespace=item.namespace, tags=item.tags,
        priority=item.priority, confidence=item.confidence, source=item.source or "import",
        expires_at=item.expires_at, metadata=metadata, agent_id=author,
    )
    draft = draft_of(asked, who, now, lifetimes)
    refuse_past_expiry(draft, now)
    if item.title_generated:
        draft = msgspec.structs.replace(draft, title_generated=True)
    if item.id and not item.expires_at:
        # A memory as it was exported: no expiry means that it has none. What comes without an id is new.
        draft = msgspec.structs.replace(draft, expires_at=None, is_expiry_given=True)
    created = parse_instant(item.created_at, field="created_at") if item.created_at else now
    updated = parse_instant(item.updated_at, field="updated_at") if item.updated_at else created
    if created > now or updated > now:
        raise InvalidRequest("created_at and updated_at must not lie in the future", field="created_at")
    return Arrival(
        position=position, label=item.id or draft.title, memory_id=rules.memory_id(item.id) if item.id else None,
        draft=draft, created_at=created, updated_at=updated, is_restamped=is_restamped,
        is_dated=bool(item.updated_at or item.created_at),
    )


def _provenance(item: ImportMemory, request: ImportRequest, who: Principal) -> tuple[dict[str, object], AgentId, bool]:
    """Metadata, author, and whether the author was replaced by the caller (then the metadata says by whom it was)."""
    metadata = dict(item.metadata or {})
    original = metadata.get("agent_id")
    if not isinstance(original, str) or original == who.agent_id:
        return metadata, who.agent_id, False
    if request.trust_source:
        return metadata, rules.agent_id(original, field="metadata.agent_id"), False
    metadata.setdefault(ORIGINAL_AUTHOR, original)
    return metadata, who.agent_id, True


def _import(
    transaction: Transaction,
    node: Node,
    who: Principal,
    request: ImportRequest,
    arrivals: list[Arrival],
    refused: dict[int, str],
    once: Once | None,
) -> ImportResult:
    def run() -> ImportResult:
        errors, tally = dict(refused), _Tally()
        for arrival in arrivals:
            try:
                _take(transaction, node, who, arrival, once, tally)
            except AimemError as error:
                errors[arrival.position] = f"{arrival.label}: {error.message}"
        link_errors = _take_links(transaction, who, request, tally)
        return ImportResult(
            imported=tally.imported,
            errors=(*(errors[i] for i in sorted(errors)), *link_errors),
            restamped=tally.restamped,
            trusted_source=request.trust_source,
            unchanged=tally.unchanged,
            links_imported=tally.links,
        )

    return answer_once(transaction, node, who, once, ImportResult, run)


def _take(
    transaction: Transaction, node: Node, who: Principal, arrival: Arrival, once: Once | None, tally: _Tally
) -> None:
    """Create, update or leave one memory. Every check comes before the op, so a refusal leaves nothing behind."""
    conn, now, draft = transaction.conn, transaction.now, arrival.draft
    here = None if arrival.memory_id is None else memories.find(conn, arrival.memory_id, now, visible_to(who))
    holder = holder_of(transaction, who, draft)
    if here is None and draft.title_generated and holder is not None and _is_other(arrival, holder, now):
        draft = msgspec.structs.replace(draft, title=_another_title(draft, arrival.memory_id))
        holder = holder_of(transaction, who, draft)
    entries: list[Entry] = []
    if here is None and holder is not None and not _lives(holder, now):
        ids = memories.ids_of_name(conn, draft.namespace, draft.title, draft.owner)
        entries += collect_entries(transaction, node.policy, ids)
        holder = None
    known = here or holder
    if known is not None:
        _bring_up_to_date(transaction, node, who, known, msgspec.structs.replace(arrival, draft=draft), tally)
        return
    memory_id = arrival.memory_id or fresh_id(node, who, once, arrival.position)
    if not memories.is_free_id(conn, memory_id):
        raise InvalidRequest(
            f"the id {memory_id} was deleted or archived here; leave the id out to store it anew", field="id"
        )
    fields = creation_fields(draft, draft.title, now)
    fields |= {"created_at": arrival.created_at, "updated_at": arrival.updated_at}
    transaction.emit("store", [*entries, transaction.create(MEMORY, memory_id, draft.author, fields)])
    tally.imported += 1
    tally.restamped += arrival.is_restamped


def _lives(memory: Memory, now: Instant) -> bool:
    return memory.expires_at is None or memory.expires_at > now


def _is_other(arrival: Arrival, holder: Memory, now: Instant) -> bool:
    """Whether an untitled item is another memory than the one that has its generated title, which names nothing.

    An item with an id is a memory of its own, even if its text is not new.
    """
    return _lives(holder, now) and (arrival.memory_id is not None or holder.content != arrival.draft.content)


def _another_title(draft: Draft, memory_id: MemoryId | None) -> str:
    """The same for the same item again, so that a second import finds what the first one stored."""
    digest = hashlib.sha256((memory_id or draft.content).encode()).hexdigest()
    return f"{draft.title[:GENERATED_KEPT_CHARS]} ~{digest[:8]}"


def _bring_up_to_date(
    transaction: Transaction, node: Node, who: Principal, known: Memory, arrival: Arrival, tally: _Tally
) -> None:
    """Newer wins, by the rule of a store onto a taken name. Raises: Conflict(name_taken) if it has a new name."""
    fields = _differences(arrival.draft, known, transaction.now, node.policy.lifetimes)
    is_older = arrival.is_dated and arrival.updated_at <= known.updated_at
    if not fields or is_older:
        tally.unchanged += 1
        return
    fields["updated_at"] = max(arrival.updated_at, known.updated_at)
    transaction.emit("update", entries_of_update(transaction, node, who, known, fields))
    tally.imported += 1
    tally.restamped += arrival.is_restamped


def _differences(draft: Draft, known: Memory, now: Instant, lifetimes: Lifetimes) -> dict[str, FieldValue]:
    """The fields in which an item says something else than what is here. A source is told by the first who came."""
    if draft.title_generated:  # it names nothing, so it renames nothing
        draft = msgspec.structs.replace(draft, title=known.title, title_generated=known.title_generated)
    decision = decide_remember(draft, known, now, lifetimes)
    fields = dict(decision.fields) if isinstance(decision, Rewrite) else {}
    for name in ("updated_at", "source"):
        fields.pop(name, None)
    if not draft.is_expiry_given and "tier" not in fields:
        fields.pop("expires_at", None)
    is_signature = fields.keys() == {"metadata"} and draft.metadata == known.metadata
    return {} if is_signature else fields


def _take_links(transaction: Transaction, who: Principal, request: ImportRequest, tally: _Tally) -> list[str]:
    errors = []
    for item in request.links:
        try:
            tally.links += _take_link(transaction, who, item, request)
        except AimemError as error:
            errors.append(f"{item.source_id} -> {item.target_id}: {error.message}")
    return errors


def _take_link(transaction: Transaction, who: Principal, item: ImportedLink, request: ImportRequest) -> bool:
    key = key_of(LinkRequest(source_id=item.source_id, target_id=item.target_id, relation=item.relation))
    begin, end = validity_of(item.valid_from, item.valid_until)
    conn, now = transaction.conn, transaction.now
    source, target = (exact(conn, end, who, now) for end in (key.source_id, key.target_id))
    text = link_key_text(between(source.id, target.id, key.relation))
    if transaction.load(LINK, text).born is not None:
        return False
    observer = who.agent_id
    if request.trust_source and item.observed_by:
        observer = AgentId(rules.agent_id(item.observed_by, field="observed_by"))
    fields = link_fields(observer, now, begin, end)
    if item.created_at:
        fields["created_at"] = parse_instant(item.created_at, field="created_at")
    transaction.emit("link", [transaction.create(LINK, text, who.agent_id, fields)])
    return True
