"""What recall ranks: the best rows of two arms, without what others supersede, and what is said against the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Final, TypeAlias

import trio
from msgspec import Struct

from aimem.errors import AimemError
from aimem.model import Candidate, Instant, MemoryId, Namespace, Words
from aimem.ports import Connection
from aimem.search import Evidence, RecallMode, tuning
from aimem.service.facts import Judgement, judge_facts
from aimem.service.meaning import Scope, nearest_in_scope
from aimem.service.node import Node
from aimem.store import Clause, Filters, fulltext, linkage, memories

Arm: TypeAlias = Callable[[], Awaitable[dict[int, float]]]
"""Finds rows: score by number."""

WIDEN_BY: Final = 4
WIDENINGS: Final = (1, WIDEN_BY)
"""A memory that was restated a hundred times must not fill an arm with its past: four times as many are asked for then,
and once more."""


class Question(Struct, frozen=True, kw_only=True):
    """A recall, checked: what is asked, where, and on whose behalf.

    Attributes:
      words: the telling words of the text.
      asked: the namespace whose ancestors are searched too, or None.
    """

    text: str
    context: tuple[str, ...]
    words: Words
    filters: Filters
    visible: Clause
    asked: Namespace | None
    now: Instant


class Candidates(Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
      mode: how, when the arms were asked; the model may have come since.
      contradicted: of an older fact, the newer ones that contradict it, candidates or not, the newest first.
      superseded_count: rows that the arms found and that are superseded.
    """

    mode: RecallMode
    evidence: Evidence
    contradicted: Mapping[MemoryId, tuple[MemoryId, ...]]
    superseded_count: int


class _Arms(Struct, frozen=True, kw_only=True):
    """What the two arms found, the rows behind it, what is said about them, and which of them are superseded."""

    lexical: Mapping[int, float]
    dense: Mapping[int, float]
    rows: Mapping[int, Candidate]
    judged: Judgement
    superseded: frozenset[int]

    def is_crowded(self, width: int) -> bool:
        """Whether an arm that was asked for so many rows is full, and mostly of superseded ones."""
        return any(
            len(arm) >= width and 2 * len(arm.keys() & self.superseded) > width for arm in (self.lexical, self.dense)
        )


async def find_candidates(node: Node, question: Question) -> Candidates:
    """Ask both arms, judge the facts, and compute the cosine of whatever either arm found."""
    # A query without any word (emoji, punctuation) has no meaning that the model could tell.
    vector = await node.recaller.embed_query(question.text, question.context) if question.words.terms else None
    mode = node.recaller.mode
    arms = await _search_arms(node, question, vector, tuning.CANDIDATES)
    for times in WIDENINGS:
        if arms.is_crowded(width := times * tuning.CANDIDATES):
            arms = await _search_arms(node, question, vector, WIDEN_BY * width)
    rows = {no: memory for no, memory in arms.rows.items() if no not in arms.superseded}
    lexical = {no: score for no, score in arms.lexical.items() if no in rows}
    cosines = {no: score for no, score in arms.dense.items() if no in rows}
    if vector is not None and lexical.keys() - cosines.keys():
        cosines |= await node.recaller.similarities(vector, lexical.keys() - cosines.keys())
    number = {memory.id: no for no, memory in rows.items()}
    contradicted = {
        number[older]: tuple(number[one] for one in newer if one in number)
        for older, newer in arms.judged.contradicted.items()
        if older in number
    }
    return Candidates(
        mode=mode,
        evidence=Evidence(lexical=lexical, cosines=cosines, rows=rows, contradicted=contradicted),
        contradicted=arms.judged.contradicted,
        superseded_count=len(arms.superseded),
    )


async def _search_arms(node: Node, question: Question, vector: bytes | None, width: int) -> _Arms:
    lexical, dense = await _both(
        partial(_by_words, node, question, width), partial(_by_meaning, node, question, vector, width)
    )
    rows, facts = await node.store.read(_rows, question, {*lexical, *dense})
    judged = judge_facts(facts)
    return _Arms(
        lexical={no: score for no, score in lexical.items() if no in rows},
        dense={no: score for no, score in dense.items() if no in rows},
        rows=rows,
        judged=judged,
        superseded=frozenset(no for no, memory in rows.items() if memory.id in judged.superseded),
    )


async def _both(one: Arm, other: Arm) -> tuple[dict[int, float], dict[int, float]]:
    """Ask both arms at once: one computes while the other reads. Raises: what either raises, not in a group."""
    found: dict[Arm, dict[int, float]] = {}
    errors: list[AimemError] = []

    async def ask(arm: Arm) -> None:
        try:
            found[arm] = await arm()
        except AimemError as error:
            errors.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, one)
        nursery.start_soon(ask, other)
    if errors:
        raise errors[0]
    return found[one], found[other]


async def _by_words(node: Node, question: Question, width: int) -> dict[int, float]:
    if not question.words.terms:
        return {}
    return await node.store.read(
        fulltext.hits, question.words, question.filters, question.visible, question.now, width
    )


async def _by_meaning(node: Node, question: Question, vector: bytes | None, width: int) -> dict[int, float]:
    if vector is None:
        return {}
    return await nearest_in_scope(node, vector, width, Scope(question.filters, question.visible, question.now))


def _rows(
    conn: Connection, question: Question, numbers: Collection[int]
) -> tuple[dict[int, Candidate], tuple[linkage.Fact, ...]]:
    # The arms go over all rows at their fastest; what the program keeps for itself is few, and left out here.
    shown = question.filters.seen_by(question.visible)
    rows = memories.candidates(conn, sorted(numbers), question.filters, shown, question.now)
    ids = [memory.id for memory in rows.values()]
    return rows, linkage.facts_about(conn, ids, question.now, question.visible)
