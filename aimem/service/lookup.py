"""Finding without ranking: by id, in lists, by words."""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from msgspec import UNSET

from aimem.errors import Code, Denied, InvalidRequest, NotFound
from aimem.model import (
    Ground,
    Instant,
    Link,
    Memory,
    MemoryId,
    Namespace,
    Principal,
    Role,
    Tier,
    parse_instant,
    rules,
)
from aimem.ports import Connection
from aimem.search import parse_query
from aimem.service.node import Node
from aimem.store import Filters, fulltext, linkage, memories, visible_to
from aimem.wire import (
    LinksOut,
    ListQuery,
    MemoryPage,
    MemoryWithLinks,
    SearchQuery,
    SearchResult,
    link_out,
    memory_fields,
    memory_out,
)

LIST_MAX: Final = 1000
AMBIGUOUS_SHOWN: Final = 20


def resolve(conn: Connection, text: str, who: Principal, now: Instant) -> Memory:
    """The live memory with this id, or the only one whose id begins with it (4 characters or more).

    Raises: InvalidRequest(ambiguous_id) listing the ids; NotFound.
    """
    memory_id, visible = rules.memory_id(text), visible_to(who)
    found = memories.find(conn, memory_id, now, visible)
    if found is None and len(memory_id) >= rules.ID_PREFIX_MIN_CHARS:
        ids = memories.ids_with_prefix(conn, memory_id, now, visible, AMBIGUOUS_SHOWN)
        if len(ids) > 1:
            raise InvalidRequest(
                f"ambiguous ID prefix {memory_id!r}: it fits {', '.join(ids)}; give more characters",
                code=Code.AMBIGUOUS_ID,
                field="id",
                ids=list(ids),
            )
        found = memories.find(conn, ids[0], now, visible) if ids else None
    if found is None:
        raise missing(memory_id)
    return found


def exact(conn: Connection, text: str, who: Principal, now: Instant, *, field: str = "id") -> Memory:
    """The live memory with this whole id: what changes or removes something takes no prefix. Raises: NotFound."""
    memory_id = rules.memory_id(text, field=field)
    visible = visible_to(who)
    found = memories.find(conn, memory_id, now, visible)
    if found is not None:
        return found
    is_prefix = len(memory_id) >= rules.ID_PREFIX_MIN_CHARS
    ids = memories.ids_with_prefix(conn, memory_id, now, visible, 2) if is_prefix else ()
    if not ids:
        raise missing(memory_id, field=field)
    which = f"the one that begins so is {ids[0]}" if len(ids) == 1 else "several begin so"
    raise NotFound(f"not found: no memory has the id {memory_id!r}; give the whole id: {which}", field=field)


def missing(memory_id: MemoryId, *, field: str = "id") -> NotFound:
    """The error for an id that is not there, or not for this caller."""
    return NotFound(f"not found: no memory has the id {memory_id!r}", field=field)


def narrowed(who: Principal, as_agent: str | None) -> Principal:
    """The caller, reading as the agent that lives at a namespace.

    Raises: InvalidRequest naming `as_agent`; Denied(outside_home) if an agent with a key does not live at or above it.
    """
    if not as_agent:
        return who
    place = rules.namespace(as_agent, field="as_agent")
    if who.role is Role.AGENT and (who.home is None or not Ground(who.home).holds(place)):
        home = "names no home" if who.home is None else f"has its home at {who.home!r}"
        raise Denied(
            f"as_agent is {place!r}, and the caller's key {home}: a view is narrowed to a place at or below one's home",
            code=Code.OUTSIDE_HOME, field="as_agent",
        )
    return msgspec.structs.replace(who, as_agent=place)


def filters_of(query: ListQuery | SearchQuery) -> Filters:
    """The reader's conditions, checked. Raises: InvalidRequest naming the parameter."""
    return Filters(
        namespaces=None if not query.namespace else (rules.namespace(query.namespace),),
        tier=None if not query.tier else rules.choice(Tier, query.tier, field="tier"),
        min_priority=None
        if query.min_priority is None
        else rules.bounded(query.min_priority, 0, 10, field="min_priority"),
        since=moment(query.since, "since"),
        until=moment(query.until, "until"),
        tag=rules.tag(query.tags) if query.tags else None,
        author=None if not query.agent_id else rules.agent_id(query.agent_id),
    )


def moment(text: str | None, field: str) -> Instant | None:
    """An optional time of a query."""
    return parse_instant(text, field=field) if text else None


async def get(node: Node, who: Principal, memory_id: str) -> MemoryWithLinks:
    """One memory with its links in both directions. Raises: NotFound, InvalidRequest(ambiguous_id)."""
    return await node.store.read(_get, who, memory_id, node.clock.now())


def _get(conn: Connection, who: Principal, memory_id: str, now: Instant) -> MemoryWithLinks:
    memory = resolve(conn, memory_id, who, now)
    links = tuple(link_out(link) for link in linkage.links_of(conn, memory.id, now, visible_to(who)))
    return MemoryWithLinks(**memory_fields(memory), memory=memory_out(memory), links=links)


async def list_memories(node: Node, who: Principal, query: ListQuery) -> MemoryPage:
    """A page of live memories by priority, then last update. Raises: InvalidRequest naming the parameter."""
    rules.bounded(query.limit, 0, LIST_MAX, field="limit")
    rules.bounded(query.offset, 0, 2**31, field="offset")
    after = _read_cursor(query.cursor) if query.cursor else None
    if after is not None and query.offset:
        raise InvalidRequest("give either cursor or offset, not both", field="offset")
    return await node.store.read(
        _list, narrowed(who, query.as_agent), query, filters_of(query), after, node.clock.now()
    )


def _list(
    conn: Connection, who: Principal, query: ListQuery, filters: Filters, after: memories.Position | None, now: Instant
) -> MemoryPage:
    # One row more than asked for tells whether there is a next page.
    found = memories.page(conn, filters, visible_to(who), now, limit=query.limit + 1, offset=query.offset, after=after)
    shown = found[: query.limit]
    has_more = len(found) > query.limit > 0
    return MemoryPage(
        memories=tuple(memory_out(memory) for memory in shown),
        count=len(shown),
        next_cursor=_write_cursor(shown[-1]) if has_more else UNSET,
    )


def _write_cursor(memory: Memory) -> str:
    position = memories.Position(priority=memory.priority, updated_at=memory.updated_at, id=memory.id)
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode().rstrip("=")


def _read_cursor(text: str) -> memories.Position:
    try:
        packed = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        position = msgspec.msgpack.decode(packed, type=memories.Position)
        rules.bounded(position.updated_at, -(2**62), 2**62, field="cursor")
        rules.bounded(position.priority, -(2**31), 2**31, field="cursor")
    except (ValueError, msgspec.DecodeError):
        raise InvalidRequest("cursor: not one that a list gave; begin again without it", field="cursor") from None
    return position


async def search(node: Node, who: Principal, query: SearchQuery) -> SearchResult:
    """Live memories that hold all words of `q`, the best first. Raises: InvalidRequest naming the parameter."""
    text = rules.query(query.q, field="q")
    rules.bounded(query.limit, 0, LIST_MAX, field="limit")
    caller, words = narrowed(who, query.as_agent), parse_query(text)
    filters = filters_of(query)
    node.counters.searches += 1
    found: tuple[Memory, ...] = ()
    if words.terms and query.limit:
        found = await node.store.read(
            fulltext.search, words, filters, filters.seen_by(visible_to(caller)), node.clock.now(), query.limit
        )
    results = tuple(memory_out(memory) for memory in found)
    return SearchResult(results=results, count=len(results), query=query.q, memories=results)


async def links_of(node: Node, who: Principal, memory_id: str) -> LinksOut:
    """Links in both directions of a memory; none for an unknown id. Raises: InvalidRequest."""
    found = await node.store.read(_links_of, who, rules.memory_id(memory_id), node.clock.now())
    return LinksOut(links=tuple(link_out(link) for link in found), count=len(found))


def _links_of(conn: Connection, who: Principal, memory_id: MemoryId, now: Instant) -> tuple[Link, ...]:
    memory = memories.find(conn, memory_id, now, visible_to(who))
    return () if memory is None else linkage.links_of(conn, memory.id, now, visible_to(who))


def namespaces_for(namespace: str | None) -> tuple[Namespace, ...] | None:
    """Where recall looks: the namespace, and its ancestors if it is a path."""
    if not namespace:
        return None
    segments = rules.namespace(namespace).split("/")
    return tuple(Namespace("/".join(segments[:depth])) for depth in range(len(segments), 0, -1))
