"""Consolidate: one new memory in place of several, which go to the archive in the same op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from aimem.errors import Code, Conflict, InvalidRequest
from aimem.model import (
    AgentId,
    Entry,
    FieldValue,
    Instant,
    LinkKey,
    Memory,
    MemoryId,
    Namespace,
    Principal,
    Relation,
    Scope,
    Tier,
    format_instant,
    rules,
)
from aimem.ports import Connection
from aimem.service.callers import author
from aimem.service.drafts import metadata_value, name_value
from aimem.service.edit import link_fields, refuse_reserved
from aimem.service.lookup import exact
from aimem.service.merging import Merged, merge_memories
from aimem.service.names import free_name, rows_of
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id, refuse_taken
from aimem.service.thinking import summarise
from aimem.service.writing import write_as
from aimem.store import LINK, LIVE, MEMORY, Transaction, idempotency, link_key_text, memories, namespaces, visible_to
from aimem.wire import Consolidated, ConsolidateRequest

SOURCES_MIN: Final = 2
SOURCES_MAX: Final = 100
PREVIEW_MAX_CHARS: Final = 200
REASON: Final = "consolidate:"


class Recipe(Struct, frozen=True, kw_only=True):
    """The new memory, as far as its sources do not decide it."""

    title: str
    content: str
    namespace: Namespace
    tier: Tier
    source: str
    author: AgentId


def recipe_of(request: ConsolidateRequest, who: Principal) -> Recipe:
    """Check what the caller says of the new memory; without a summary its text is still empty.

    Raises: InvalidRequest naming the field, Denied(reserved_namespace, identity_mismatch).
    """
    title = rules.title(request.title)
    if not title:
        raise InvalidRequest("title is blank; the new memory needs one", field="title")
    return Recipe(
        title=title,
        content="" if request.summary is None else rules.content(request.summary, field="summary"),
        namespace=rules.writable_namespace(request.namespace),
        tier=rules.choice(Tier, request.tier, field="tier"),
        source=rules.source(request.source),
        author=author(who, request.agent_id),
    )


def ids_of(request: ConsolidateRequest) -> tuple[MemoryId, ...]:
    """Check the ids: 2 to 100, none twice. Raises: InvalidRequest naming the place."""
    rules.bounded(len(request.ids), SOURCES_MIN, SOURCES_MAX, field="ids")
    ids = tuple(rules.memory_id(text, field=f"ids[{place}]") for place, text in enumerate(request.ids))
    _refuse_twice(ids)
    return ids


def _refuse_twice(ids: Sequence[str]) -> None:
    for place, memory_id in enumerate(ids):
        if memory_id in ids[:place]:
            raise InvalidRequest(
                f"ids[{place}] and ids[{ids.index(memory_id)}] are one memory; name each once", field=f"ids[{place}]"
            )


async def consolidate(
    node: Node, who: Principal, request: ConsolidateRequest, once: Once | None = None
) -> Consolidated:
    """Store a new memory made of 2 to 100 others, and archive these, linked as what it is derived from.

    Without a summary the language model writes one, before the write and not within it.
    Raises: NotFound for an unknown id, Conflict(name_taken) unless a source has the name, Conflict(is_standard) for
      the standard of a namespace, InvalidRequest, Denied,
      Unavailable (needs_llm, llm_answer_unusable for a summary that has to be written).
    """
    ids, recipe = ids_of(request), recipe_of(request, who)
    texts: tuple[str, ...] | None = None
    if not recipe.content and not await _is_answered(node, who, once):
        seen = await node.store.read(_sources, who, ids, node.clock.now())
        recipe, texts = replace(recipe, content=await summarise(node, who, seen)), _texts(seen)
    answer: Consolidated = (await write_as(node, who, _consolidate, node, who, ids, recipe, texts, once)).value
    node.counters.stored += 1
    return answer


async def _is_answered(node: Node, who: Principal, once: Once | None) -> bool:
    """Whether this is a retry, which the write answers: nothing has to be written for it again."""
    if once is None:
        return False
    return await node.store.read(idempotency.find, who.idempotency_scope, once.key) is not None


def _sources(conn: Connection, who: Principal, ids: Sequence[MemoryId], now: Instant) -> list[Memory]:
    sources = [exact(conn, text, who, now, field=f"ids[{place}]") for place, text in enumerate(ids)]
    _refuse_twice([memory.id for memory in sources])
    for memory in sources:
        refuse_reserved(memory)
        _refuse_standard(conn, memory)
    return sources


def _refuse_standard(conn: Connection, memory: Memory) -> None:
    standing = namespaces.with_standard(conn, [memory.id], 1)
    if standing:
        raise Conflict(
            f"{memory.id} is the standard of the namespace {standing[0]!r} and is not consolidated; set another "
            "standard there first, or clear it",
            code=Code.IS_STANDARD, field="ids", id=memory.id, namespace=standing[0],
        )


def _texts(sources: Sequence[Memory]) -> tuple[str, ...]:
    return tuple(text for memory in sources for text in (memory.title, memory.content))


def _consolidate(
    transaction: Transaction,
    node: Node,
    who: Principal,
    ids: Sequence[MemoryId],
    recipe: Recipe,
    texts: tuple[str, ...] | None,
    once: Once | None,
) -> Consolidated:
    """The write. `texts` are those that the language model read, None if it read none."""

    def run() -> Consolidated:
        sources = _sources(transaction.conn, who, ids, transaction.now)
        if not recipe.content or (texts is not None and texts != _texts(sources)):
            raise Conflict("a memory was changed while its summary was written; nothing was stored: repeat the request")
        made = replace_by_one(transaction, node, who, sources, recipe, fresh_id(node, who, once))
        return made if texts is None else replace(
            made, auto_summary=True, summary_preview=recipe.content[:PREVIEW_MAX_CHARS]
        )

    return answer_once(transaction, node, who, once, Consolidated, run)


def replace_by_one(
    transaction: Transaction,
    node: Node,
    who: Principal,
    sources: Sequence[Memory],
    recipe: Recipe,
    memory_id: MemoryId,
    also: Sequence[Entry] = (),
) -> Consolidated:
    """The one op of a consolidation, inside the write's transaction.

    Args:
      sources: none of the system's.
      also: entries that belong to the same act, such as the record of how to undo it.
    Raises: Conflict(name_taken, id_taken).
    """
    refuse_taken(transaction, memory_id)
    merged = merge_memories(sources)
    owner = recipe.author if merged.scope is Scope.PRIVATE else ""
    away = archive_entries(transaction, who, sources, REASON + memory_id)
    # The sources leave their names in this op: a title of theirs is free.
    leaving = {entry.key for entry in away}
    holder = memories.find_holder(transaction.conn, recipe.namespace, recipe.title, owner, visible_to(who))
    is_theirs = holder is not None and holder.id in leaving
    freed = [] if is_theirs else free_name(transaction, node, who, recipe.namespace, recipe.title, owner)
    fields = _fields(transaction, node, recipe, merged)
    made = transaction.create(MEMORY, memory_id, recipe.author, fields)
    links = [
        transaction.create(
            LINK, link_key_text(LinkKey(memory_id, memory.id, Relation.DERIVED_FROM)), who.agent_id,
            link_fields(who.agent_id, transaction.now),
        )
        for memory in sources
    ]
    dot = transaction.emit("consolidate", [*freed, *away, made, *links, *also])
    memories.carry_accesses(transaction.conn, memory_id, merged.access_count)
    expires_at = node.policy.lifetimes.expiry(recipe.tier, transaction.now)
    return Consolidated(
        id=memory_id, consolidated=len(sources), title=recipe.title, namespace=recipe.namespace,
        tier=recipe.tier.value, agent_id=recipe.author, version=str(dot),
        expires_at=UNSET if expires_at is None else format_instant(expires_at),
        warning=_warning(merged) or UNSET,
    )


def archive_entries(
    transaction: Transaction, who: Principal, sources: Sequence[Memory], reason: str
) -> list[Entry]:
    """Entries that put memories away, each with all rows of its name."""
    away: FieldValue = ("archived", reason, transaction.now)
    rows = dict.fromkeys(row for memory in sources for row in rows_of(transaction, who, memory))
    return [transaction.change(MEMORY, row, {"lifecycle": away}) for row in rows]


def _fields(transaction: Transaction, node: Node, recipe: Recipe, merged: Merged) -> dict[str, FieldValue]:
    now = transaction.now
    return {
        "name": name_value(recipe.namespace, recipe.title, is_generated=False),
        "content": recipe.content,
        "tags": merged.tags,
        "tier": recipe.tier.value,
        "priority": merged.priority,
        "confidence": 1.0,
        "source": recipe.source,
        "metadata": metadata_value(merged.metadata),
        "scope": None if merged.scope is None else merged.scope.value,
        "created_at": now,
        "updated_at": now,
        "expires_at": node.policy.lifetimes.expiry(recipe.tier, now),
        "lifecycle": LIVE,
    }


def _warning(merged: Merged) -> str:
    if not merged.left_out:
        return ""
    shown = ", ".join(key[:64] for key in merged.left_out[:8])
    return f"metadata of the sources that did not fit was left out: {shown}; the archive has it"


