"""Runs the real service over a set: import, embedding, recall; and judges what it returned."""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import trio
from msgspec import Struct

from aimem.model import SECOND_US, Instant, MemoryId, format_instant, new_memory_id
from aimem.ports import Embedder
from aimem.service import Node, import_memories, index_status, recall
from aimem.wire import ImportMemory, ImportRequest, RecallRequest
from tests.nodes import START, FakeClock, open_node, principal, seeded_chance
from tests.quality.metrics import Figures, Judged, figures
from tests.quality.sets import Document, QualitySet, Question

BATCH = 500
DEPTH = 50
"""The most that recall returns: what is not among them counts as not found."""

DAY_US = 86_400 * SECOND_US
TURN_US = 60 * SECOND_US
WHO = principal("tester")


class Mode(StrEnum):
    """With the model, or without."""

    HYBRID = "hybrid"
    KEYWORD = "keyword"


class Answer(Struct, frozen=True, kw_only=True):
    """One answered question, and the seconds that recall took."""

    question: Question
    judged: Judged
    seconds: float


class Report(Struct, frozen=True, kw_only=True):
    """A set's figures in one mode.

    Attributes:
      by_category: of the sets that have categories.
      stored_s, embedded_s: seconds that the import and the rest of the embedding took.
      recall_p50_ms, recall_p95_ms: of one recall, the question's embedding included.
    """

    name: str
    mode: str
    overall: Figures
    by_category: Mapping[str, Figures]
    stored_s: float
    embedded_s: float
    recall_p50_ms: float
    recall_p95_ms: float


async def measure(
    quality_set: QualitySet, embedder: Embedder | None, say: Callable[[str], None] = lambda _: None
) -> tuple[Report, tuple[Answer, ...]]:
    """Store a set in a fresh node, ask all its questions, judge the answers. Without an embedder: by keyword."""
    mode = Mode.HYBRID if embedder else Mode.KEYWORD
    last_day = max(document.day for document in quality_set.documents)
    with tempfile.TemporaryDirectory(prefix="aimem-quality-") as folder:
        db, now = Path(folder) / "quality.db", FakeClock(Instant(START + DAY_US))
        async with open_node(db, clock=now, chance=seeded_chance(1), embedder=embedder) as node:
            began = trio.current_time()
            keys = await _store(node, quality_set.documents, Instant(START - last_day * DAY_US))
            stored = trio.current_time()
            say(f"{quality_set.name}, {mode}: {len(keys)} stored in {stored - began:.1f} s")
            if embedder:
                await _wait_until_embedded(node, say)
            embedded = trio.current_time()
            answers = tuple([await _ask(node, question, keys) for question in quality_set.questions])
    report = _report(quality_set, mode, answers, stored_s=stored - began, embedded_s=embedded - stored)
    return report, answers


async def _store(node: Node, documents: Sequence[Document], first_day: Instant) -> Mapping[MemoryId, str]:
    """Import everything under fresh ids. Returns: id -> the set's own key."""
    rng = random.Random(7)
    sessions: dict[str, str] = {}
    keys: dict[MemoryId, str] = {}
    items = []
    places: defaultdict[str | None, int] = defaultdict(int)
    for document in documents:
        memory_id = new_memory_id(rng)
        keys[memory_id] = document.key
        metadata: dict[str, object] = {} if document.role is None else {"role": document.role}
        if document.session is not None:
            metadata["conversation_id"] = sessions.setdefault(document.session, str(new_memory_id(rng)))
        created = Instant(first_day + document.day * DAY_US + places[document.session] * TURN_US)
        places[document.session] += 1
        items.append(ImportMemory(
            id=memory_id, title=document.title, content=document.text, created_at=format_instant(created),
            metadata=metadata,
        ))
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        done = await import_memories(node, WHO, ImportRequest(memories=part))
        assert (done.imported, done.errors) == (len(part), ()), "the set was not stored whole"
    return keys


async def _wait_until_embedded(node: Node, say: Callable[[str], None]) -> None:
    while True:
        status = await index_status(node, wait_below=0)
        if not status.embedding_backlog:
            assert status.mode == Mode.HYBRID, status.reason
            return
        say(f"{status.embedding_backlog} to embed")


async def _ask(node: Node, question: Question, keys: Mapping[MemoryId, str]) -> Answer:
    began = trio.current_time()
    found = await recall(node, WHO, RecallRequest(context=question.text, limit=DEPTH, touch=False))
    seconds = trio.current_time() - began
    ranking = tuple(keys[MemoryId(memory.id)] for memory in found.memories)
    return Answer(question=question, judged=Judged(ranking=ranking, gains=question.gains), seconds=seconds)


def _report(
    quality_set: QualitySet, mode: Mode, answers: Sequence[Answer], *, stored_s: float, embedded_s: float
) -> Report:
    grouped: defaultdict[str, list[Judged]] = defaultdict(list)
    for answer in answers:
        if answer.question.category:
            grouped[answer.question.category].append(answer.judged)
    spent_ms = sorted(1_000 * answer.seconds for answer in answers)
    return Report(
        name=quality_set.name,
        mode=mode,
        overall=figures([answer.judged for answer in answers]),
        by_category={category: figures(judged) for category, judged in sorted(grouped.items())},
        stored_s=round(stored_s, 1),
        embedded_s=round(embedded_s, 1),
        recall_p50_ms=round(spent_ms[len(spent_ms) // 2], 1),
        recall_p95_ms=round(spent_ms[len(spent_ms) * 95 // 100], 1),
    )
