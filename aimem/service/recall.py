"""Recall: what is known that bears on this? Two arms (words and meaning), one ranking, then importance and recency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from aimem.config import ScoringConfig
from aimem.model import Instant, Memory, Namespace, Principal, Words, rules
from aimem.search import (
    Scored,
    fit_budget,
    fuse_scores,
    importance,
    keep_firsts,
    parse_query,
    proximity,
    recency,
    token_cost,
)
from aimem.service.lifetimes import touch_nowait
from aimem.service.lookup import moment, namespaces_for, narrowed
from aimem.service.node import Node, Policy
from aimem.store import Clause, Filters, fulltext, memories, visible_to
from aimem.wire import RecallRequest, RecallResult, ScoredMemory, memory_fields

RECALL_MAX: Final = 50
CANDIDATES: Final = 100
CONTEXT_TOKENS_MAX: Final = 64


class Question(Struct, frozen=True, kw_only=True):
    """A recall, checked: what is asked, where, and on whose behalf."""

    text: str
    context: tuple[str, ...]
    words: Words
    filters: Filters
    visible: Clause
    asked: Namespace | None
    now: Instant


class Arms(Struct, frozen=True, kw_only=True):
    """What the two arms found, and the rows behind it."""

    lexical: Mapping[int, float]
    dense: Mapping[int, float]
    rows: Mapping[int, Memory]


async def recall(node: Node, who: Principal, request: RecallRequest) -> RecallResult:
    """The memories that answer best, best first; those returned are touched unless the request says not to.

    Raises: InvalidRequest naming the field; Unavailable.
    """
    limit = rules.bounded(request.limit, 0, RECALL_MAX, field="limit")
    if request.budget_tokens is not None:
        rules.bounded(request.budget_tokens, 1, 2**31, field="budget_tokens")
    question = _question(request, narrowed(who, request.as_agent), node.clock.now())
    node.counters.recalls += 1
    arms = await _search_arms(node, question)
    ranked = rank(arms, question.asked, question.now, limit, node.policy)
    found = [(arms.rows[row.no], row.score) for row in ranked[:limit]]
    sizes = [token_cost(memory.title, memory.content) for memory, _ in found]
    kept = fit_budget(sizes, request.budget_tokens)
    shown = [found[i] for i in kept]
    if request.touch:
        touch_nowait(node, tuple(memory.id for memory, _ in shown))
    return RecallResult(
        memories=tuple(
            ScoredMemory(**memory_fields(memory), score=round(score, 3))
            for memory, score in shown
        ),
        count=len(shown),
        tokens_used=sum(sizes[i] for i in kept),
        mode=node.recaller.mode,
        budget_tokens=UNSET if request.budget_tokens is None else request.budget_tokens,
    )


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


async def _search_arms(node: Node, question: Question) -> Arms:
    lexical: dict[int, float] = {}
    if question.words.terms:
        lexical = await node.store.read(
            fulltext.hits, question.words, question.filters, question.visible, question.now, CANDIDATES
        )
    # A query without any word (emoji, punctuation) has no meaning that the model could tell.
    vector = await node.recaller.embed_query(question.text, question.context) if question.words.terms else None
    # Filter first: a small namespace among many gets its exact best, and nothing that is hidden competes.
    is_open = not question.filters.is_narrow and question.visible.sql == "1"
    dense: dict[int, float] = {}
    if vector is not None:
        allowed = None if is_open else await _allowed(node, question)
        dense = dict(await node.recaller.nearest(vector, CANDIDATES, allowed))
    rows = await _rows(node, question, {*lexical, *dense})
    if vector is not None and is_open and len(dense) == CANDIDATES and not dense.keys() <= rows.keys():
        # What has expired keeps its vectors until it is collected: here it took places of the living.
        dense = dict(await node.recaller.nearest(vector, CANDIDATES, await _allowed(node, question)))
        rows = await _rows(node, question, {*lexical, *dense})
    return Arms(
        lexical={no: score for no, score in lexical.items() if no in rows},
        dense={no: score for no, score in dense.items() if no in rows},
        rows=rows,
    )


async def _allowed(node: Node, question: Question) -> frozenset[int]:
    return await node.store.read(memories.numbers_matching, question.filters, question.visible, question.now)


async def _rows(node: Node, question: Question, numbers: Iterable[int]) -> dict[int, Memory]:
    return await node.store.read(
        memories.by_numbers, sorted(numbers), question.filters, question.visible, question.now
    )


def rank(arms: Arms, asked: Namespace | None, now: Instant, limit: int, policy: Policy) -> Sequence[Scored]:
    """Fuse the arms, then let importance, recency and distance move near ties; the first of each arm stays in sight."""
    fused = fuse_scores(arms.lexical, arms.dense, dense_weight=policy.dense_weight)
    boosted = [
        msgspec.structs.replace(row, score=row.score * _factor(arms.rows[row.no], asked, now, policy.scoring))
        for row in fused
    ]
    ordered = sorted(boosted, key=lambda row: (-row.score, row.no))
    return keep_firsts(ordered, arms.lexical, arms.dense, limit)


def _factor(memory: Memory, asked: Namespace | None, now: Instant, scoring: ScoringConfig) -> float:
    factor = importance(
        priority=memory.priority, confidence=memory.confidence, tier=memory.tier, access_count=memory.access_count
    ) * recency(
        updated_at=memory.updated_at, now=now, half_life_days=scoring.half_life_days(memory.tier)
    )
    return factor if asked is None else factor * proximity(asked=asked, found=memory.namespace)
