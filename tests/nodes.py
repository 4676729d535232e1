"""Real nodes for tests: the services over a real database in a temporary folder, with the ports that a test chooses."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import trio

from aimem.config import LimitsConfig
from aimem.language import LanguageModel
from aimem.model import AgentId, Credential, Instant, Principal
from aimem.ports import Chance, Clock, Embedder, Files, Threads, system_chance, system_files, trio_threads
from aimem.ports.chance import SeededChance
from aimem.replication import Trust, merge_entry
from aimem.search import Bounds, Recaller
from aimem.service import Limiter, Node, Policy, look_for_language, run_indexer, run_refusals, run_touches, run_words
from aimem.store import Store, StorePorts, StoreSettings

T = TypeVar("T")
START = Instant(1_800_000_000_000_000)


class FakeClock:
    """A wall clock that moves only when told, by a little at each reading so that no two moments are equal."""

    def __init__(self, start: Instant = START, step_us: int = 1) -> None:
        self.at, self.step_us = start, step_us

    def now(self) -> Instant:
        self.at = Instant(self.at + self.step_us)
        return self.at

    def advance(self, seconds: float) -> None:
        self.at = Instant(self.at + int(seconds * 1_000_000))


class InlineThreads:
    """Runs everything at once on the loop's thread, as a simulation does."""

    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        del limiter
        await trio.lowlevel.checkpoint()
        return fn()

    def is_late(self) -> Callable[[], bool]:
        return lambda: False


class WordEmbedder:
    """An embedder without a model: a text is the sum of fixed random directions of its words."""

    model, dimension = "words/1", 384

    def chunk(self, text: str) -> list[str]:
        words = text.split()
        return [" ".join(words[i : i + 200]) for i in range(0, len(words), 200)] or [" "]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        total = np.full(self.dimension, 1e-3, np.float32)
        for word in text.lower().split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            total += np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)
        return bytes((total / np.linalg.norm(total)).astype("<f4").tobytes())


def seeded_chance(seed: int) -> Chance:
    """Ids, tokens and keys that a seed fixes."""
    return SeededChance(random.Random(seed), random.Random(seed + 1))


def principal(agent: str = "alice") -> Principal:
    """A caller in development mode."""
    return Principal(agent_id=AgentId(agent), credential=Credential.OPEN)


@asynccontextmanager
async def open_store(
    db: Path,
    *,
    clock: Clock | None = None,
    chance: Chance | None = None,
    threads: Threads | None = None,
    files: Files | None = None,
    group_count: int = 64,
    queue_count: int = 1024,
    name: str = "test",
) -> AsyncIterator[Store]:
    """A store that serves until the block ends."""
    ports = StorePorts(
        clock=clock or FakeClock(),
        chance=chance or system_chance(),
        threads=threads or trio_threads(),
        files=files or system_files(),
        merge=merge_entry,
    )
    settings = StoreSettings(db=db, node=name, group_count=group_count, queue_count=queue_count)
    store = Store(settings, ports)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_node(
    db: Path,
    *,
    clock: Clock | None = None,
    chance: Chance | None = None,
    threads: Threads | None = None,
    files: Files | None = None,
    policy: Policy | None = None,
    embedder: Embedder | None = None,
    bounds: Bounds | None = None,
    language: LanguageModel | None = None,
    limits: LimitsConfig | None = None,
    group_count: int = 64,
    name: str = "test",
) -> AsyncIterator[Node]:
    """A whole node without doors. Without an embedder recall is by keyword; with bounds its index has a folder.

    A language model (`tests.languages.ScriptedModel`) was asked once whether it is there.
    """
    clock, chance, threads = clock or FakeClock(), chance or system_chance(), threads or trio_threads()
    async with open_store(
        db, clock=clock, chance=chance, threads=threads, files=files, group_count=group_count, name=name
    ) as store:
        recaller = Recaller(
            threads=threads, embedder=None, reason="" if embedder else "this test has no model", bounds=bounds,
            folder=None if bounds is None else db.with_name(db.name + ".vectors"),
        )
        node = Node(
            store=store, clock=clock, chance=chance, threads=threads, recaller=recaller, policy=policy or Policy(),
            language=language, limiter=Limiter(limits), trust=Trust(store, chance, clock),
        )
        await look_for_language(node)
        async with trio.open_nursery() as nursery:
            await nursery.start(run_refusals, node)
            await nursery.start(run_touches, node)
            await nursery.start(run_words, node)
            if embedder is not None:
                await nursery.start(partial(run_indexer, node, lambda: embedder))
            yield node
            nursery.cancel_scope.cancel()
