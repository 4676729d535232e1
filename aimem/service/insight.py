"""What callers ask a language model for: search words, tags, whether two memories contradict each other."""

from __future__ import annotations

import logging
from typing import Final

from msgspec import UNSET

from aimem.errors import InvalidRequest, Unavailable
from aimem.model import Instant, Memory, Principal, rules
from aimem.ports import Connection
from aimem.service.differing import compare
from aimem.service.edit import refuse_reserved
from aimem.service.lookup import exact
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.thinking import expand_query, judge_contradiction, suggest_tags
from aimem.service.writing import write_as
from aimem.store import MEMORY, Transaction, idempotency
from aimem.wire import (
    AutoTagged,
    ContradictionOut,
    ContradictionRequest,
    ExpandedQuery,
    ExpandRequest,
    MemoryName,
)

log = logging.getLogger(__name__)

QUERY_MAX_BYTES: Final = 4_096
"""A question; what is longer is a text, of which the model would read only the beginning."""


async def expand(node: Node, who: Principal, request: ExpandRequest) -> ExpandedQuery:
    """Other words for what is asked, at most 8. Recall does not use them by itself.

    Raises: InvalidRequest naming `query`; Unavailable(needs_llm), Unavailable(llm_answer_unusable).
    """
    query = rules.query(request.query, field="query")
    if (size := len(query.encode())) > QUERY_MAX_BYTES:
        raise InvalidRequest(f"query has {size} bytes; at most {QUERY_MAX_BYTES} are allowed", field="query")
    terms = await expand_query(node, who, query)
    asked = query.strip().casefold()
    return ExpandedQuery(original=request.query, expanded_terms=tuple(t for t in terms if t.casefold() != asked))


async def auto_tag(node: Node, who: Principal, memory_id: str, once: Once | None = None) -> AutoTagged:
    """Have the language model tag a memory (the whole id is needed): what it lacks is added, nothing is taken away.

    Raises: NotFound, Denied(reserved_namespace), Unavailable(needs_llm), Unavailable(llm_answer_unusable).
    """
    memory = await node.store.read(_to_tag, who, memory_id, once, node.clock.now())
    tags = () if memory is None else await suggest_tags(node, who, memory)
    answer: AutoTagged = (await write_as(node, who, _add_tags, node, who, memory_id, tags, once)).value
    return answer


def _to_tag(conn: Connection, who: Principal, memory_id: str, once: Once | None, now: Instant) -> Memory | None:
    """The memory; None if the request is a retry, whose answer stands."""
    if once is not None and idempotency.find(conn, who.idempotency_scope, once.key) is not None:
        return None
    memory = exact(conn, memory_id, who, now)
    refuse_reserved(memory)
    return memory


def _add_tags(
    transaction: Transaction, node: Node, who: Principal, memory_id: str, tags: tuple[str, ...], once: Once | None
) -> AutoTagged:
    def run() -> AutoTagged:
        # Read anew: the model took seconds, in which anybody may have written.
        memory = exact(transaction.conn, memory_id, who, transaction.now)
        refuse_reserved(memory)
        room = rules.TAGS_MAX_COUNT - len(memory.tags)
        new = tuple(tag for tag in tags if tag not in memory.tags)[:max(0, room)]
        if not new:
            return AutoTagged(id=memory.id, new_tags=(), all_tags=memory.tags)
        together = (*memory.tags, *new)
        entry = transaction.change(
            MEMORY, memory.id, {"tags": together, "updated_at": max(transaction.now, memory.updated_at)}
        )
        dot = transaction.emit("update", [entry])
        return AutoTagged(id=memory.id, new_tags=new, all_tags=together, version=str(dot))

    return answer_once(transaction, node, who, once, AutoTagged, run)


async def detect_contradiction(node: Node, who: Principal, request: ContradictionRequest) -> ContradictionOut:
    """Whether two memories contradict each other; changes nothing.

    The language model says so if one answers; else a comparison of what they say (`service.differing`), and the answer
    tells which.

    Raises: NotFound, InvalidRequest naming the field.
    """
    one, other = await node.store.read(_both, who, request, node.clock.now())
    names = {
        "memory_a": MemoryName(id=one.id, title=one.title), "memory_b": MemoryName(id=other.id, title=other.title)
    }
    if node.language is not None and node.language_state.is_worth_asking:
        try:
            verdict = await judge_contradiction(node, who, one, other)
        except Unavailable as error:
            log.info("contradiction.compared", extra={"reason": error.code.value})
        else:
            node.language_state.contradictions += verdict
            return ContradictionOut(contradicts=verdict, method="model", reason=UNSET, **names)
    found = compare(one, other)
    return ContradictionOut(contradicts=found.contradicts, method="deterministic", reason=found.reason, **names)


def _both(conn: Connection, who: Principal, request: ContradictionRequest, now: Instant) -> tuple[Memory, Memory]:
    one = exact(conn, request.id_a, who, now, field="id_a")
    other = exact(conn, request.id_b, who, now, field="id_b")
    if one.id == other.id:
        raise InvalidRequest("id_a and id_b are the same memory; name two", field="id_b")
    return one, other
