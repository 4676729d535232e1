"""A node for benches: the real services over a real database on disk, with an injected embedder and no doors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from aimem.model import AgentId, Credential, Principal, new_memory_id
from aimem.operations.corpus import Corpus
from aimem.ports import Chance, Clock, Embedder, Files, Threads
from aimem.replication import Trust, merge_entry
from aimem.search import Recaller
from aimem.service import Node, Policy, import_memories, index_status, run_indexer, run_touches, run_words
from aimem.store import Store, StorePorts, StoreSettings, replacing
from aimem.wire import ImportMemory, ImportRequest

WHO: Final = Principal(agent_id=AgentId("bench"), credential=Credential.OPEN)
NAMESPACE: Final = "bench"
_BATCH: Final = 1_000

Advance = Callable[[int], None]
"""Called with how much more is done."""


class BenchPorts(Struct, frozen=True, kw_only=True):
    """The outside world of a bench.

    Attributes:
      delayed_threads: threads in which a sync takes so many seconds longer.
      open_embedder: loads the real model, to time it apart; blocks; raises ModelUnavailable.
    """

    clock: Clock
    chance: Chance
    threads: Threads
    files: Files
    delayed_threads: Callable[[float], Threads]
    open_embedder: Callable[[], Embedder]


@asynccontextmanager
async def open_bench_node(db: Path, ports: BenchPorts, embedder: Embedder | None) -> AsyncIterator[Node]:
    """A node that serves until the block ends; without an embedder its recall is by keyword."""
    store = Store(
        StoreSettings(db=db, node="bench"),
        StorePorts(
            clock=ports.clock, chance=ports.chance, threads=ports.threads, files=ports.files, merge=merge_entry
        ),
    )
    recaller = Recaller(
        threads=ports.threads, embedder=None, reason="" if embedder else "this bench has no model",
        folder=db.with_name(db.name + replacing.VECTORS_SUFFIX),
    )
    node = Node(
        store=store, clock=ports.clock, chance=ports.chance, threads=ports.threads, recaller=recaller, policy=Policy(),
        trust=Trust(store, ports.chance, ports.clock),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        async with trio.open_nursery() as services:
            await services.start(run_touches, node)
            await services.start(run_words, node)
            if embedder is not None:
                await services.start(partial(run_indexer, node, lambda: embedder))
            yield node
            services.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def fill(node: Node, corpus: Corpus, rows: int, advance: Advance, namespace: str = NAMESPACE) -> None:
    """Store the corpus's first turns, and report each batch."""
    for start in range(0, rows, _BATCH):
        count = min(_BATCH, rows - start)
        items = [_item(node, corpus, number, namespace) for number in range(start, start + count)]
        await import_memories(node, WHO, ImportRequest(memories=items))
        advance(count)


async def embed_all(node: Node, advance: Advance) -> None:
    """Wait until every memory has its vectors, and report each batch."""
    left = (await index_status(node)).embedding_backlog
    while left:
        now = (await index_status(node, wait_below=max(0, left - _BATCH))).embedding_backlog
        advance(left - now)
        left = now


def _item(node: Node, corpus: Corpus, number: int, namespace: str) -> ImportMemory:
    turn = corpus.turn(number)
    metadata: dict[str, object] = {"role": turn.role, "conversation_id": f"conversation-{turn.conversation}"}
    return ImportMemory(
        id=new_memory_id(node.chance.rng), content=turn.text, namespace=namespace, metadata=metadata, tier="long"
    )
