"""How long one caller waits: store, search and recall in this process, on a database on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import trio

from aimem.operations.benchnode import NAMESPACE, WHO, Advance, BenchPorts, embed_all, fill, open_bench_node
from aimem.operations.corpus import Corpus
from aimem.operations.timing import resident_mb, result_of, size_of, timed_ms
from aimem.search import ClusteredEmbedder, ModelUnavailable
from aimem.service import Node, recall, remember, search
from aimem.wire import BenchRequest, BenchResult, BenchSize, CreateMemory, RecallRequest, SearchQuery

FIXTURE_ROWS: Final = 200
"""What v0.6.3 measures over; the large recall goes over as many as asked for."""

SMALL_NAMESPACE: Final = "small"
SMALL_ROWS: Final = 20
"""A namespace of its own, no child of the large one: recall in a child takes its ancestors in."""

_STORE_P95_MS: Final = 20.0
_SEARCH_P95_MS: Final = 100.0
_RECALL_P95_MS: Final = 50.0
_LARGE_P95_MS: Final = ((100_000, 40.0), (1_000_000, 80.0))
"""Up to so many rows, so many milliseconds; beyond them no budget."""


Act = Callable[[int], Awaitable[object]]


class Progress(Protocol):
    """Shows how far something is."""

    def __call__(self, what: str, total: int | None) -> AbstractContextManager[Advance]:
        """Enter with a gerund and the sum that the advances will reach."""
        ...


async def small_operations(
    folder: Path, ports: BenchPorts, request: BenchRequest, progress: Progress
) -> tuple[BenchResult, ...]:
    """Store, search and recall as v0.6.3 measures them, over as few rows."""
    corpus = Corpus()
    async with open_bench_node(folder / "words.db", ports, None) as node:
        await fill(node, corpus, FIXTURE_ROWS, _nothing)
        stored = await timed(_storing(node, corpus), "storing", request, progress)
        searched = await timed(_searching(node, corpus), "searching", request, progress)
    async with open_bench_node(folder / "meaning.db", ports, ClusteredEmbedder()) as node:
        await fill(node, corpus, FIXTURE_ROWS, _nothing)
        await embed_all(node, _nothing)
        recalled = await timed(_recalling(node, corpus, FIXTURE_ROWS), "recalling", request, progress)
    return (
        result_of("store_no_embedding", "store, no embedding", stored, target_p95_ms=_STORE_P95_MS),
        result_of("search_fts", "search, two words", searched, target_p95_ms=_SEARCH_P95_MS),
        result_of("recall_hot", "recall, hybrid, 200 rows", recalled, target_p95_ms=_RECALL_P95_MS),
    )


async def large_recall(
    folder: Path, ports: BenchPorts, request: BenchRequest, progress: Progress
) -> tuple[tuple[BenchResult, ...], BenchSize]:
    """Recall over many rows, and over a small namespace among them; and this process's memory with all of them.

    Embedding a question costs nothing here.
    """
    corpus, rows = Corpus(), request.rows
    async with open_bench_node(folder / "large.db", ports, ClusteredEmbedder()) as node:
        with progress("storing rows", rows) as advance:
            await fill(node, corpus, rows, advance)
            await fill(node, Corpus(seed=2), SMALL_ROWS, _nothing, SMALL_NAMESPACE)
        with progress("embedding rows", rows) as advance:
            await embed_all(node, advance)
        many = await timed(_recalling(node, corpus, rows), "recalling", request, progress)
        within = _recalling(node, corpus, rows, SMALL_NAMESPACE)
        few = await timed(within, "recalling in one namespace", request, progress)
        size = size_of("bench", f"this process, {rows:,} rows", resident_mb(), target_mb=None)
    target = next((target for most, target in _LARGE_P95_MS if rows <= most), None)
    results = (
        result_of(f"recall_{short(rows)}", f"recall, {rows:,} rows", many, target_p95_ms=target),
        result_of(
            f"recall_namespace_{short(rows)}", f"recall in {SMALL_ROWS} of {rows:,} rows", few, target_p95_ms=target
        ),
    )
    return results, size


async def question_embedding(
    ports: BenchPorts, request: BenchRequest, progress: Progress
) -> tuple[BenchResult, ...]:
    """What the model takes to embed a question, beside the recalls above; nothing where there is no model."""
    limiter, corpus = trio.CapacityLimiter(1), Corpus()
    try:
        embedder = await ports.threads.run(ports.open_embedder, limiter=limiter)
    except ModelUnavailable:
        return ()

    async def act(number: int) -> object:
        return await ports.threads.run(partial(embedder.embed, [corpus.question(number, 1)]), limiter=limiter)

    spent = await timed(act, "embedding questions", request, progress)
    return (result_of("embed_question", "embedding a question", spent, target_p95_ms=None),)


def short(count: int) -> str:
    """`200`, `10k`, `1m`: a number for the name of an operation."""
    for unit, size in (("m", 1_000_000), ("k", 1_000)):
        if count >= size and count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


async def timed(act: Act, what: str, request: BenchRequest, progress: Progress) -> list[float]:
    """Milliseconds of each call that was asked for, shown as `what`; the warm-up is not among them."""
    with progress(what, request.iterations) as advance:
        return await timed_ms(act, request.iterations, request.warmup, advance)


def _storing(node: Node, corpus: Corpus) -> Act:
    async def act(number: int) -> object:
        place = FIXTURE_ROWS + number
        request = CreateMemory(title=corpus.title(place), content=corpus.turn(place).text, namespace=NAMESPACE)
        return await remember(node, WHO, request)

    return act


def _searching(node: Node, corpus: Corpus) -> Act:
    async def act(number: int) -> object:
        words = sorted(corpus.turn(number % FIXTURE_ROWS).text.split(), key=len)[-2:]
        return await search(node, WHO, SearchQuery(q=" ".join(words)))

    return act


def _recalling(node: Node, corpus: Corpus, rows: int, namespace: str | None = None) -> Act:
    async def act(number: int) -> object:
        asked = RecallRequest(context=corpus.question(number, rows), namespace=namespace, touch=False)
        return await recall(node, WHO, asked)

    return act


def _nothing(_: int) -> None:
    """Progress that nobody wants to see."""
