"""A node for benches: the real services over a real database on disk, with an injected embedder and no doors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from aimem.model import AgentId, Credential, Principal, new_memory_id
from aimem.operations.corpus import Corpus
from aimem.ports import Chance, Clock, Embedder, Files, Threads
from aimem.replication import merge_entry
from aimem.search import Recaller
from aimem.service import Node, Policy, import_memories, index_status, run_indexer, run_touches
from aimem.store import Store, StorePorts, StoreSettings
from aimem.wire import ImportMemory, ImportRequest

WHO: Final = Principal(agent_id=AgentId("bench"), credential=Credential.OPEN)
NAMESPACE: Final = "bench"
_BATCH: Final = 1_000

Advance = Callable[[int], None]


class BenchPorts:
    """The outside world of a bench: the machine's, save the embedder and (if asked) slower threads."""

    def __init__(self, clock: Clock, chance: Chance, threads: Threads, files: Files) -> None:
        self.clock, self.chance, self.threads, self.files = clock, chance, threads, files


@asynccontextmanager
async def open_bench_store(db: Path, ports: BenchPorts) -> AsyncIterator[Store]:
    """A store that serves until the block ends."""
    settings = StoreSettings(db=db, node="bench")
    store = Store(
        settings,
        StorePorts(
            clock=ports.clock, chance=ports.chance, threads=ports.threads, files=ports.files, merge=merge_entry
        ),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_bench_node(db: Path, ports: BenchPorts, embedder: Embedder) -> AsyncIterator[Node]:
    """A node whose recall is by words and meaning."""
    async with open_bench_store(db, ports) as store:
        recaller = Recaller(threads=ports.threads, embedder=None)
        node = Node(
            store=store, clock=ports.clock, chance=ports.chance, threads=ports.threads, recaller=recaller,
            policy=Policy(),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(run_touches, node)
            await nursery.start(partial(run_indexer, node, lambda: embedder))
            yield node
            nursery.cancel_scope.cancel()


async def fill(node: Node, corpus: Corpus, rows: int, advance: Advance, namespace: str = NAMESPACE) -> None:
    """Store the corpus's first turns."""
    for start in range(0, rows, _BATCH):
        count = min(_BATCH, rows - start)
        items = [_item(node, corpus, number, namespace) for number in range(start, start + count)]
        await import_memories(node, WHO, ImportRequest(memories=items))
        advance(count)


async def embed_all(node: Node, advance: Advance) -> None:
    """Wait until every memory has its vectors."""
    left = (await index_status(node)).embedding_backlog
    while left:
        now = (await index_status(node, wait_below=max(0, left - _BATCH))).embedding_backlog
        advance(left - now)
        left = now
    advance(0)


def _item(node: Node, corpus: Corpus, number: int, namespace: str) -> ImportMemory:
    turn = corpus.turn(number)
    metadata: dict[str, object] = {"role": turn.role, "conversation_id": f"conversation-{turn.conversation}"}
    return ImportMemory(
        id=new_memory_id(node.chance.rng), content=turn.text, namespace=namespace, metadata=metadata, tier="long"
    )
