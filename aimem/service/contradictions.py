"""Memories that say different things about one topic, and settling which of two holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from typing import Final

from msgspec import UNSET

from aimem.errors import InvalidRequest
from aimem.model import Entry, FieldValue, Instant, LinkKey, Memory, MemoryId, Namespace, Principal, Relation, rules
from aimem.ports import Connection
from aimem.service.edit import refuse_reserved
from aimem.service.lifetimes import touch_nowait
from aimem.service.linking import between, entry_of_statement
from aimem.service.lookup import exact
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.writing import write_as
from aimem.store import MEMORY, Transaction, linkage, topics, visible_to
from aimem.wire import (
    ContradictionLink,
    Contradictions,
    ContradictionsQuery,
    Resolved,
    ResolveRequest,
    memory_out,
)

ROWS_MAX: Final = 1000
PAIRS_MAX: Final = 1000
"""A thousand memories on one topic make half a million pairs, which nobody reads."""

STATED_MAX: Final = 10_000
LOSER_PRIORITY: Final = 1
LOSER_CONFIDENCE: Final = 0.1
TOPIC: Final = "topic"


async def contradictions(node: Node, who: Principal, query: ContradictionsQuery) -> Contradictions:
    """Memories on a topic, or of a namespace, and which of them contradict each other.

    A contradiction is a link that says so and holds now, or two different texts on one topic of which neither
    supersedes the other.

    Raises: InvalidRequest naming the parameter.
    """
    rules.bounded(query.limit, 1, ROWS_MAX, field="limit")
    topic = rules.title(query.topic or "", field="topic") or None
    namespace = rules.namespace(query.namespace) if query.namespace else None
    if topic is None and namespace is None:
        raise InvalidRequest("give a topic, a namespace, or both", field="topic")
    return await node.store.read(_contradictions, who, topic, namespace, query.limit, node.clock.now())


def _contradictions(
    conn: Connection, who: Principal, topic: str | None, namespace: Namespace | None, limit: int, now: Instant
) -> Contradictions:
    found = topics.on_topic(conn, topic, namespace, now, visible_to(who), limit + 1)
    rows = found[:limit]
    said = topics.said_among(conn, [memory.id for memory in rows], now, STATED_MAX)
    stated = [_link(key, is_synthesized=False) for key in said if key.relation is Relation.CONTRADICTS]
    settled = frozenset(frozenset((key.source_id, key.target_id)) for key in said)
    links = stated[:PAIRS_MAX]
    seen = (key for key in opposed(rows, topic) if frozenset((key.source_id, key.target_id)) not in settled)
    links += [_link(key, is_synthesized=True) for key in islice(seen, PAIRS_MAX + 1 - len(links))]
    return Contradictions(
        memories=tuple(memory_out(memory) for memory in rows),
        links=tuple(links[:PAIRS_MAX]),
        count=len(rows),
        truncated=len(found) > limit or len(stated) > PAIRS_MAX or len(links) > PAIRS_MAX,
    )


def _link(key: LinkKey, *, is_synthesized: bool) -> ContradictionLink:
    return ContradictionLink(
        source_id=key.source_id, target_id=key.target_id, relation=key.relation.value, synthesized=is_synthesized
    )


def opposed(rows: Sequence[Memory], topic: str | None) -> Iterator[LinkKey]:
    """Pairs of different texts on one topic: the newer one contradicts the older.

    Args:
      topic: what all of them are about; None tells them apart by `metadata.topic`, else by title.
    """
    groups: dict[str, list[Memory]] = {}
    for memory in rows:
        own = memory.metadata.get(TOPIC)
        groups.setdefault(topic or (own if isinstance(own, str) and own else memory.title), []).append(memory)
    for group in groups.values():
        for one, other in combinations(group, 2):
            if one.content != other.content:
                older, newer = sorted((one, other), key=lambda memory: (memory.created_at, memory.id))
                yield LinkKey(newer.id, older.id, Relation.CONTRADICTS)


async def resolve(node: Node, who: Principal, request: ResolveRequest, once: Once | None = None) -> Resolved:
    """Say that one memory holds and another does not: a link `supersedes`, and the loser weighs little from now on.

    Raises: NotFound naming the side, InvalidRequest, Denied(reserved_namespace), Unavailable.
    """
    winner = rules.memory_id(request.winner, field="winner")
    loser = rules.memory_id(request.loser, field="loser")
    wrote = await write_as(node, who, _resolve, node, who, winner, loser, once)
    answer: Resolved = wrote.value
    if wrote.version is not None:
        touch_nowait(node, (MemoryId(answer.winner),))
    return answer


def _resolve(
    transaction: Transaction,
    node: Node,
    who: Principal,
    winner_id: MemoryId,
    loser_id: MemoryId,
    once: Once | None,
) -> Resolved:
    def run() -> Resolved:
        winner = exact(transaction.conn, winner_id, who, transaction.now, field="winner")
        loser = exact(transaction.conn, loser_id, who, transaction.now, field="loser")
        if winner.id == loser.id:
            raise InvalidRequest("winner and loser are one memory", field="loser")
        refuse_reserved(winner)
        refuse_reserved(loser)
        key = between(winner.id, loser.id, Relation.SUPERSEDES)
        said = linkage.find_statement(transaction.conn, key)
        link = entry_of_statement(transaction, key, who, said)
        entries = [*([link] if link else []), *_lowered(transaction, loser)]
        version = str(transaction.emit("resolve", entries)) if entries else UNSET
        return Resolved(resolved=True, winner=winner.id, loser=loser.id, version=version)

    return answer_once(transaction, node, who, once, Resolved, run)


def _lowered(transaction: Transaction, loser: Memory) -> list[Entry]:
    fields: dict[str, FieldValue] = {}
    if loser.priority > LOSER_PRIORITY:
        fields["priority"] = LOSER_PRIORITY
    if loser.confidence > LOSER_CONFIDENCE:
        fields["confidence"] = LOSER_CONFIDENCE
    if fields:
        fields["updated_at"] = max(transaction.now, loser.updated_at)
    return [transaction.change(MEMORY, loser.id, fields)] if fields else []
