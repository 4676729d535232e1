"""Consolidation by tags: what shares a tag becomes one list, without anybody writing a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from aimem.model import AgentId, Memory, Namespace, Principal, Tier, rules
from aimem.ports import Connection
from aimem.service.consolidating import Recipe, replace_by_one
from aimem.service.grouping import Group, decide_groups, digest_of, title_of
from aimem.service.node import Node
from aimem.service.once import fresh_id
from aimem.service.writing import write_as
from aimem.store import NO_STANDARD, Clause, Filters, Transaction, curation, memories, visible_to
from aimem.wire import AutoConsolidated, AutoConsolidateRequest, Consolidated, GroupOut

SOURCE: Final = "auto-consolidate"
ROWS_MAX: Final = 10_000
"""Memories of one namespace that are looked at, the oldest; what they leave over is looked at next time."""

GROUPS_MAX: Final = 100
MIN_COUNT_MAX: Final = 100


class Found(Struct, frozen=True, kw_only=True):
    """A group and where it is."""

    namespace: Namespace
    group: Group


async def auto_consolidate(node: Node, who: Principal, request: AutoConsolidateRequest) -> AutoConsolidated:
    """Consolidate, group by group, the memories of each namespace that share a tag; at most 100 groups.

    What an earlier run has made is left alone, so that repeating it changes nothing.
    Raises: InvalidRequest, Denied(reserved_namespace), Unavailable.
    """
    least = rules.bounded(request.min_count, 2, MIN_COUNT_MAX, field="min_count")
    namespace = None if request.namespace is None else rules.writable_namespace(request.namespace)
    tier = Tier.SHORT if request.short_only else None
    found = await node.store.read(_find, node, who, namespace, tier, least)
    taken: list[GroupOut] = []
    version: str | UnsetType = UNSET
    for item in found[:GROUPS_MAX]:
        made = None
        if not request.dry_run:
            wrote = await write_as(node, who, _consolidate_group, node, who, item, tier, least)
            made = wrote.value
            if made is None:
                continue
            node.counters.stored += 1
            version = made.version
        taken.append(_group_out(item, made))
    return AutoConsolidated(
        consolidated=0 if request.dry_run else sum(group.count for group in taken), dry_run=request.dry_run,
        groups=tuple(taken), more=len(found) > GROUPS_MAX, version=version,
    )


def _find(
    conn: Connection, node: Node, who: Principal, namespace: Namespace | None, tier: Tier | None, least: int
) -> list[Found]:
    now, visible = node.clock.now(), visible_to(who)
    asked = Filters(namespaces=None if namespace is None else (namespace,), tier=tier)
    found: list[Found] = []
    for name in curation.large_namespaces(conn, asked, visible, now, least):
        filters = Filters(namespaces=(name,), tier=tier)
        sketches = curation.sketches(conn, filters, visible, now, made_by=SOURCE, limit=ROWS_MAX)
        found += [Found(namespace=name, group=group) for group in decide_groups(sketches, least)]
        if len(found) > GROUPS_MAX:
            break
    return found


def _consolidate_group(
    transaction: Transaction, node: Node, who: Principal, item: Found, tier: Tier | None, least: int
) -> Consolidated | None:
    """One group, as far as it is still what it was; None if too little is left of it."""
    conn, visible = transaction.conn, visible_to(who) & NO_STANDARD
    known = [memories.find(conn, one.id, transaction.now, visible) for one in item.group.members]
    sources = [memory for memory in known if memory is not None and _is_still(memory, item, tier)]
    if len(sources) < least:
        return None
    first = item.group.members[0]
    memory_id = fresh_id(node, who, None)
    title = title_of(item.group.tag, item.namespace, len(sources))
    if _is_taken(transaction, item.namespace, title, first.owner, sources):
        title = f"{title} ~{memory_id[:8]}"
    recipe = Recipe(
        title=title, content=digest_of(sources), namespace=item.namespace, tier=Tier.LONG, source=SOURCE,
        # What is private stays with whom it belongs to, whoever has it put together.
        author=AgentId(first.owner) if first.owner else who.agent_id,
    )
    return replace_by_one(transaction, node, who, sources, recipe, memory_id)


def _is_still(memory: Memory, item: Found, tier: Tier | None) -> bool:
    first = item.group.members[0]
    is_tagged = item.group.tag in memory.tags if first.tags else not memory.tags
    is_same_place = memory.namespace == item.namespace and memory.scope == first.scope
    return is_tagged and is_same_place and tier in (None, memory.tier) and first.owner in ("", memory.author)


def _is_taken(
    transaction: Transaction, namespace: Namespace, title: str, owner: str, sources: Sequence[Memory]
) -> bool:
    everything = Clause("1", {})
    holder = memories.find_holder(transaction.conn, namespace, title, owner, everything)
    return holder is not None and holder.id not in {memory.id for memory in sources}


def _group_out(item: Found, made: Consolidated | None) -> GroupOut:
    members = item.group.members
    new_id: str | UnsetType = UNSET if made is None else made.id
    return GroupOut(
        namespace=item.namespace, tag=item.group.tag,
        count=len(members) if made is None else made.consolidated,
        titles=tuple(member.title for member in members), ids=tuple(member.id for member in members),
        id=new_id, title=UNSET if made is None else made.title,
    )
