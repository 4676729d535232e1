"""The knowledge graph: what a memory was related to and when, where its links lead, and giving a link its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, Struct

from aimem.errors import Code, InvalidRequest, NotFound
from aimem.model import AgentId, FieldValue, Instant, Link, LinkKey, MemoryId, Principal, format_instant, rules
from aimem.ports import Connection
from aimem.service.linking import between, key_of
from aimem.service.lookup import moment
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.writing import write_as
from aimem.store import LINK, Clause, Transaction, graph, link_key_text, linkage, memories, visible_to
from aimem.wire import (
    GraphQuery,
    GraphResult,
    GraphRow,
    Invalidated,
    InvalidateRequest,
    LinkRequest,
    Timeline,
    TimelineEvent,
    TimelineQuery,
)

ROWS_MAX: Final = 1000
DEPTH_MAX: Final = 5
AGENTS_MAX: Final = 100
PATHS_MAX: Final = 10_000
"""So many paths one query visits at most: five links deep, a graph of fifty neighbours each has 300 million."""

EVER: Final = "all"
"""Instead of a moment: whatever links say, ended or not."""


async def kg_timeline(node: Node, who: Principal, query: TimelineQuery) -> Timeline:
    """What was stated of a memory, by the beginning of each validity; nothing for an unknown id.

    Raises: InvalidRequest naming the parameter.
    """
    memory_id = rules.memory_id(query.source_id, field="source_id")
    rules.bounded(query.limit, 1, ROWS_MAX, field="limit")
    where = graph.began_between(moment(query.since, "since"), moment(query.until, "until"))
    found = await node.store.read(_spans_of, who, memory_id, where, node.clock.now(), query.limit + 1)
    events = tuple(_event(span) for span in found[: query.limit])
    return Timeline(
        source_id=memory_id, events=events, count=len(events), truncated=len(found) > query.limit
    )


def _spans_of(
    conn: Connection, who: Principal, memory_id: MemoryId, where: Clause, now: Instant, limit: int
) -> tuple[graph.Span, ...]:
    visible = visible_to(who)
    memory = memories.find(conn, memory_id, now, visible)
    return () if memory is None else graph.spans_from(conn, [memory.id], where, now, visible, limit)


def _event(span: graph.Span) -> TimelineEvent:
    return TimelineEvent(
        target_id=span.target_id,
        relation=span.relation.value,
        valid_from=format_instant(span.valid_from),
        valid_until=None if span.valid_until is None else format_instant(span.valid_until),
        observed_by=span.observed_by,
        title=span.title,
        target_namespace=span.namespace,
        current=span.is_current,
        ended_by=span.ended_by or UNSET,
        reason=span.reason or UNSET,
    )


async def kg_invalidate(
    node: Node, who: Principal, request: InvalidateRequest, once: Once | None = None
) -> Invalidated:
    """Give a link its end: as named, else now. One that ended already changes only if another end is named.

    Raises: NotFound (its details hold `found: false` and the triple), InvalidRequest, Unavailable.
    """
    key = key_of(
        LinkRequest(source_id=request.source_id, target_id=request.target_id, relation=request.relation)
    )
    end = moment(request.valid_until, "valid_until")
    reason = rules.title(request.reason or "", field="reason")
    answer: Invalidated = (await write_as(node, who, _invalidate, node, who, key, end, reason, once)).value
    return answer


def _invalidate(
    transaction: Transaction,
    node: Node,
    who: Principal,
    asked: LinkKey,
    end: Instant | None,
    reason: str,
    once: Once | None,
) -> Invalidated:
    def run() -> Invalidated:
        link, now = _standing(transaction, who, asked), transaction.now
        if end is None and link.valid_until is not None and link.valid_until <= now:
            return _answer(link, link.valid_until)
        new_end = now if end is None else end
        if new_end == link.valid_until:
            return _answer(link, new_end)
        if new_end < link.valid_from:
            raise InvalidRequest(
                f"valid_until: {format_instant(new_end)} lies before the link's beginning, "
                f"{format_instant(link.valid_from)}; name a later end, or remove the link if it was never right",
                field="valid_until",
            )
        key = LinkKey(link.source_id, link.target_id, link.relation)
        fields: dict[str, FieldValue] = {"valid_until": new_end, "ended": (who.agent_id, reason, now)}
        dot = transaction.emit("link_invalidate", [transaction.change(LINK, link_key_text(key), fields)])
        return _answer(_standing(transaction, who, key), new_end, link.valid_until, str(dot))

    return answer_once(transaction, node, who, once, Invalidated, run)


def _standing(transaction: Transaction, who: Principal, asked: LinkKey) -> Link:
    conn, now, visible = transaction.conn, transaction.now, visible_to(who)
    source = memories.find(conn, asked.source_id, now, visible)
    target = memories.find(conn, asked.target_id, now, visible)
    if source is not None and target is not None:
        link = linkage.find_link(conn, between(source.id, target.id, asked.relation), now, visible)
        if link is not None:
            return link
    raise NotFound(
        f"not found: no link {asked.source_id} --[{asked.relation.value}]--> {asked.target_id}",
        found=False,
        source_id=asked.source_id,
        target_id=asked.target_id,
        relation=asked.relation.value,
    )


def _answer(
    link: Link, valid_until: Instant, previous: Instant | None = None, version: str | None = None
) -> Invalidated:
    """What the link says now; without a version it said so before."""
    before = previous if version else valid_until
    return Invalidated(
        found=True,
        source_id=link.source_id,
        target_id=link.target_id,
        relation=link.relation.value,
        valid_until=format_instant(valid_until),
        previous_valid_until=None if before is None else format_instant(before),
        ended_by=UNSET if link.ended is None else link.ended.by,
        reason=(UNSET if link.ended is None else link.ended.reason) or UNSET,
        version=version or UNSET,
    )


class _Walk(Struct, frozen=True, kw_only=True):
    """A graph query, checked."""

    source_id: MemoryId
    depth: int
    where: Clause
    limit: int


async def kg_query(node: Node, who: Principal, request: GraphQuery) -> GraphResult:
    """Follow links from a memory, by links that hold at a moment: one row for each path without a cycle.

    Every memory on a path is one that the caller may see. Nothing is found for an unknown id.

    Raises: InvalidRequest naming the field (schema_mismatch for a depth out of range).
    """
    source_id = rules.memory_id(request.source_id, field="source_id")
    rules.bounded(request.limit, 1, ROWS_MAX, field="limit")
    if not 1 <= request.max_depth <= DEPTH_MAX:
        raise InvalidRequest(
            f"max_depth is {request.max_depth}; allowed are 1 to {DEPTH_MAX}",
            code=Code.SCHEMA_MISMATCH,
            field="max_depth",
        )
    now = node.clock.now()
    where, at = _asked_time(request.valid_at, now)
    if request.allowed_agents is not None:
        where &= graph.stated_by(_agents(request.allowed_agents))
    walk = _Walk(source_id=source_id, depth=request.max_depth, where=where, limit=request.limit)
    rows, is_truncated = await node.store.read(_follow, who, walk, now)
    return GraphResult(
        source_id=source_id,
        max_depth=request.max_depth,
        memories=rows,
        paths=tuple(row.path for row in rows),
        count=len(rows),
        valid_at=at,
        truncated=is_truncated,
    )


def _asked_time(text: str | None, now: Instant) -> tuple[Clause, str]:
    if text == EVER:
        return graph.standing(), EVER
    at = moment(text, "valid_at")
    at = now if at is None else at
    return graph.holding_at(at), format_instant(at)


def _agents(texts: Sequence[str]) -> tuple[AgentId, ...]:
    if len(texts) > AGENTS_MAX:
        raise InvalidRequest(
            f"allowed_agents has {len(texts)} items; at most {AGENTS_MAX} are allowed", field="allowed_agents"
        )
    return tuple(rules.agent_id(text, field=f"allowed_agents[{place}]") for place, text in enumerate(texts))


def _follow(conn: Connection, who: Principal, walk: _Walk, now: Instant) -> tuple[tuple[GraphRow, ...], bool]:
    """The rows, nearest first, and whether something was left out."""
    visible = visible_to(who)
    source = memories.find(conn, walk.source_id, now, visible)
    paths: list[tuple[MemoryId, ...]] = [] if source is None else [(source.id,)]
    rows: list[GraphRow] = []
    room, is_cut = PATHS_MAX, False
    for depth in range(1, walk.depth + 1):
        ends = sorted({path[-1] for path in paths})
        spans = graph.spans_from(conn, ends, walk.where, now, visible, room + 1)
        grown = _grow(paths, spans)
        is_cut = is_cut or max(len(spans), len(grown)) > room
        rows += [_row(span, path, depth) for span, path in grown[:room]]
        room -= len(grown)
        if not grown or is_cut or len(rows) > walk.limit:
            break
        paths = [path for _, path in grown]
    return tuple(rows[: walk.limit]), is_cut or len(rows) > walk.limit


def _grow(
    paths: Sequence[tuple[MemoryId, ...]], spans: Sequence[graph.Span]
) -> list[tuple[graph.Span, tuple[MemoryId, ...]]]:
    """Each path longer by each link that leads on and not back, in the order of the links; a bound and one at most."""
    at: dict[MemoryId, list[tuple[MemoryId, ...]]] = {}
    for path in paths:
        at.setdefault(path[-1], []).append(path)
    grown: dict[tuple[str, tuple[MemoryId, ...]], graph.Span] = {}
    ways = ((span, path) for span in spans for path in at[span.source_id] if span.target_id not in path)
    for span, path in ways:
        # Two validities of one link may overlap: they are one way.
        grown.setdefault((span.relation.value, (*path, span.target_id)), span)
        if len(grown) > PATHS_MAX:
            break
    return [(kept, longer) for (_, longer), kept in grown.items()]


def _row(span: graph.Span, path: tuple[MemoryId, ...], depth: int) -> GraphRow:
    return GraphRow(
        target_id=span.target_id,
        relation=span.relation.value,
        valid_from=format_instant(span.valid_from),
        valid_until=None if span.valid_until is None else format_instant(span.valid_until),
        observed_by=span.observed_by,
        title=span.title,
        target_namespace=span.namespace,
        depth=depth,
        path="->".join(path),
    )
