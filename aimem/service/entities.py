"""Entities: memories that stand for something with several names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET

from aimem.errors import Code, Conflict, InvalidRequest
from aimem.model import AgentId, Entry, FieldValue, Instant, Memory, MemoryId, Namespace, Principal, Tier, rules
from aimem.ports import Connection
from aimem.service.drafts import ENTITY, KIND, Draft, creation_fields, draft_of
from aimem.service.names import beside_hidden, collect_name, holder_of, is_live
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id, refuse_taken
from aimem.service.writing import write_as
from aimem.store import ALIAS, MEMORY, Transaction, alias_key_text, entities, visible_to
from aimem.wire import AliasQuery, CreateMemory, EntityFound, EntityOut, EntityRequest

PRIORITY: Final = 7
TAG: Final = "entity"
ALIASES_MAX: Final = 200
"""So many aliases one entity has at most; 50 come in one request."""


async def register_entity(
    node: Node, who: Principal, request: EntityRequest, once: Once | None = None
) -> EntityOut:
    """Make an entity with its aliases, or add aliases to the one that has the name; its metadata then stays.

    Raises: InvalidRequest naming the field, Denied(reserved_namespace), Conflict(name_taken) if another memory has the
      name, Unavailable.
    """
    draft = entity_draft(request, who, node)
    aliases = rules.aliases(request.aliases or ())
    wrote = await write_as(node, who, _register, node, who, draft, aliases, once)
    answer: EntityOut = wrote.value
    node.counters.stored += answer.created
    return answer


def entity_draft(request: EntityRequest, who: Principal, node: Node) -> Draft:
    """The memory that an entity is, checked."""
    name = rules.title(request.canonical_name, field="canonical_name")
    if not name:
        raise InvalidRequest("canonical_name is blank; give the entity's name", field="canonical_name")
    memory = CreateMemory(
        title=name,
        content=name,
        namespace=request.namespace,
        tags=[TAG],
        tier=Tier.LONG.value,
        priority=PRIORITY,
        metadata={**(request.metadata or {}), KIND: ENTITY},
        agent_id=request.agent_id,
    )
    return draft_of(memory, who, node.clock.now(), node.policy.lifetimes)


def _register(
    transaction: Transaction, node: Node, who: Principal, asked: Draft, aliases: Sequence[str], once: Once | None
) -> EntityOut:
    def run() -> EntityOut:
        draft, names = _named_beside(transaction, who, asked, aliases)
        holder = holder_of(transaction, who, draft)
        if holder is None or not is_live(holder, transaction.now):
            entity_id, had = fresh_id(node, who, once), dict[str, int]()
            entries = _birth(transaction, node, draft, entity_id, holder)
        else:
            _refuse_other(holder)
            entity_id, had, entries = holder.id, entities.aliases_of(transaction.conn, holder, visible_to(who)), []
        is_new = bool(entries)
        entries += _naming(transaction, entity_id, had, [alias for alias in names if alias not in had], draft.author)
        version = str(transaction.emit("entity", entries)) if entries else UNSET
        return EntityOut(
            entity_id=entity_id,
            canonical_name=draft.title,
            namespace=draft.namespace,
            aliases=(*had, *(alias for alias in names if alias not in had)),
            created=is_new,
            version=version,
        )

    return answer_once(transaction, node, who, once, EntityOut, run)


def _named_beside(
    transaction: Transaction, who: Principal, asked: Draft, aliases: Sequence[str]
) -> tuple[Draft, Sequence[str]]:
    """The entity as it can be named, and its aliases: the name that was asked for among them if it is not free."""
    draft = beside_hidden(transaction, who, asked)
    if draft.title == asked.title or len(asked.title.encode()) > rules.ALIAS_MAX_BYTES:
        return draft, aliases
    return draft, tuple(dict.fromkeys((asked.title, *aliases)))


def _refuse_other(holder: Memory) -> None:
    if holder.metadata.get(KIND) != ENTITY:
        raise Conflict(
            f"a memory titled {holder.title[:80]!r} that is no entity already exists in namespace "
            f"{holder.namespace!r} (id {holder.id}); choose another name or namespace",
            code=Code.NAME_TAKEN,
            field="canonical_name",
            id=holder.id,
        )


def _birth(
    transaction: Transaction, node: Node, draft: Draft, entity_id: MemoryId, expired: Memory | None
) -> list[Entry]:
    """Entries that make the memory, and take away the expired one that still has its name."""
    refuse_taken(transaction, entity_id)
    entries: list[Entry] = []
    if expired is not None:
        entries += collect_name(transaction, node, draft.namespace, draft.title, draft.owner)
    fields = creation_fields(draft, draft.title, transaction.now)
    return [*entries, transaction.create(MEMORY, entity_id, draft.author, fields)]


def _naming(
    transaction: Transaction, entity_id: MemoryId, had: Mapping[str, int], fresh: Sequence[str], author: AgentId
) -> list[Entry]:
    """Entries for aliases that the entity does not have yet, in the order given."""
    if len(had) + len(fresh) > ALIASES_MAX:
        raise InvalidRequest(
            f"the entity has {len(had)} aliases and would have {len(had) + len(fresh)}; at most {ALIASES_MAX} are "
            "allowed",
            field="aliases",
        )
    entries = []
    for ordinal, alias in enumerate(fresh, start=max(had.values(), default=-1) + 1):
        key = alias_key_text(entity_id, alias)
        fields: dict[str, FieldValue] = {
            "alias": alias, "present": True, "created_at": transaction.now, "ordinal": ordinal
        }
        known = transaction.load(ALIAS, key).born is not None
        write = transaction.change(ALIAS, key, fields) if known else transaction.create(ALIAS, key, author, fields)
        entries.append(write)
    return entries


async def entity_by_alias(node: Node, who: Principal, query: AliasQuery) -> EntityFound:
    """The entity that a name stands for, in its own spelling: an alias, or else the canonical name.

    Of several the one made last, across namespaces unless one is given. Raises: InvalidRequest naming the parameter.
    """
    name = rules.title(query.alias, field="alias")
    if not name:
        raise InvalidRequest("alias is required and must not be blank", field="alias")
    namespace = rules.namespace(query.namespace) if query.namespace else None
    return await node.store.read(_by_alias, who, name, namespace, node.clock.now())


def _by_alias(
    conn: Connection, who: Principal, name: str, namespace: Namespace | None, now: Instant
) -> EntityFound:
    entity = entities.find_by_alias(conn, name, namespace, now, visible_to(who))
    if entity is None:
        return EntityFound(found=False, entity_id=None, canonical_name=None, namespace=None, aliases=())
    return EntityFound(
        found=True,
        entity_id=entity.id,
        canonical_name=entity.title,
        namespace=entity.namespace,
        aliases=tuple(entities.aliases_of(conn, entity, visible_to(who))),
    )
