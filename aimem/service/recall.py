"""Recall: what is known that bears on this? Two arms (words and meaning), one ranking, then importance and recency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from aimem.model import Instant, Memory, Principal, rules
from aimem.search import (
    Ranked,
    RecallMode,
    Wish,
    asks_of_assistant,
    below_floor,
    fit_budget,
    is_senseless,
    moments_in,
    nearness,
    parse_query,
    rank,
    token_cost,
    tuning,
)
from aimem.service.candidates import Candidates, Question, find_candidates
from aimem.service.explain import explanation_of, ranking_of
from aimem.service.lifetimes import touch_nowait
from aimem.service.lookup import moment, namespaces_for, narrowed
from aimem.service.node import Node
from aimem.service.standards import Injected, injected
from aimem.store import Filters, memories, visible_to
from aimem.wire import RecallRequest, RecallResult, ScoredMemory, memory_fields

RECALL_MAX: Final = 50
CONTEXT_TOKENS_MAX: Final = 64


async def recall(node: Node, who: Principal, request: RecallRequest) -> RecallResult:
    """The memories that answer best, best first; those returned are touched unless the request says not to.

    Superseded memories are never among them. Candidates that have nothing to do with the context are left out and
    counted, unless the request wants no floor. Scores are rounded only in the answer. The standards that hold in the
    namespace come first, if they are asked for, and what they take of the budget is gone.

    Raises: InvalidRequest naming the field; Unavailable.
    """
    limit = rules.bounded(request.limit, 0, RECALL_MAX, field="limit")
    if request.budget_tokens is not None:
        rules.bounded(request.budget_tokens, 1, 2**31, field="budget_tokens")
    reader = narrowed(who, request.as_agent)
    question = _question(request, reader, node.clock.now())
    beside = await _beside(node, reader, request)
    node.counters.recalls += 1
    found = await find_candidates(node, question)
    wish = _wish(node, question, found.mode)
    dropped = await _irrelevant(node, question, found, wish) if request.floor else frozenset()
    known = frozenset(no for no, row in found.evidence.rows.items() if row.id in beside.ids)
    best = rank(found.evidence, wish, dropped=dropped | known, limit=limit)[:limit]
    texts = await _texts(node, question, [row.no for row in best])
    ranked = [row for row in best if row.no in texts]   # a writer may have taken one away since
    rows = [texts[row.no] for row in ranked]
    sizes = [token_cost(memory.title, memory.content) for memory in rows]
    left = None if request.budget_tokens is None else request.budget_tokens - beside.tokens
    kept = fit_budget(sizes, left) if left is None or left > 0 else []
    if request.touch:
        touch_nowait(node, tuple(rows[i].id for i in kept))
    return RecallResult(
        memories=tuple(_shown(who, found, ranked[i], rows[i], request) for i in kept),
        count=len(kept),
        tokens_used=beside.tokens + sum(sizes[i] for i in kept),
        mode=found.mode,
        budget_tokens=UNSET if request.budget_tokens is None else request.budget_tokens,
        below_floor=len(dropped),
        ranking=ranking_of(found, wish) if request.explain else UNSET,
        standard=beside.one,
        standards=beside.several,
        standards_omitted=beside.omitted or UNSET,
    )


async def _beside(node: Node, reader: Principal, request: RecallRequest) -> Injected:
    if not request.standards:
        return Injected()
    namespace = rules.namespace(request.namespace) if request.namespace else None
    return await node.store.read(injected, reader, namespace, node.clock.now(), request.budget_tokens)


def _question(request: RecallRequest, who: Principal, now: Instant) -> Question:
    text = rules.query(request.context, field="context")
    tokens = request.context_tokens or []
    rules.bounded(len(tokens), 0, CONTEXT_TOKENS_MAX, field="context_tokens")
    context = tuple(rules.query(token, field=f"context_tokens[{i}]") for i, token in enumerate(tokens))
    return Question(
        text=text,
        context=context,
        words=parse_query(text),
        filters=Filters(
            namespaces=namespaces_for(request.namespace),
            tag=rules.tag(request.tags) if request.tags else None,
            since=moment(request.since, "since"),
            until=moment(request.until, "until"),
        ),
        visible=visible_to(who),
        now=now,
        asked=rules.namespace(request.namespace) if request.namespace and "/" in request.namespace else None,
    )


def _wish(node: Node, question: Question, mode: RecallMode) -> Wish:
    return Wish(
        now=question.now,
        # Without a model the words are all there is: their scores then span the whole range.
        dense_weight=tuning.DENSE_WEIGHT if mode is RecallMode.HYBRID else 0.0,
        periods=moments_in(question.text, question.now),
        favours_user=not asks_of_assistant(question.text),
        asked=question.asked,
        scoring=node.policy.scoring,
    )


async def _texts(node: Node, question: Question, numbers: Sequence[int]) -> dict[int, Memory]:
    return await node.store.read(memories.by_numbers, numbers, question.filters, question.visible, question.now)


async def _irrelevant(node: Node, question: Question, found: Candidates, wish: Wish) -> frozenset[int]:
    """What falls below the floor; not what lies within a time that was asked for, whatever it says."""
    evidence, terms = found.evidence, question.words.terms
    is_out = is_senseless(terms, evidence.cosines)
    texts = await _texts(node, question, list(evidence.lexical)) if is_out else {}
    fallen = below_floor(terms, evidence.lexical, evidence.cosines, texts)
    return frozenset(no for no in fallen if nearness(wish.periods, evidence.rows[no].created_at) < 1.0)


def _shown(
    who: Principal, found: Candidates, row: Ranked, memory: Memory, request: RecallRequest
) -> ScoredMemory:
    return ScoredMemory(
        **memory_fields(memory),
        score=round(row.score, 3),
        contradicted_by=found.contradicted.get(memory.id, UNSET),
        explanation=explanation_of(row, found.evidence, who) if request.explain else UNSET,
    )
