"""How long one caller waits for the knowledge graph: v0.6.3's operations, over its fixtures, on a database on disk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from aimem.model import MemoryId, new_memory_id
from aimem.operations.benchnode import NAMESPACE, WHO, BenchPorts, open_bench_node
from aimem.operations.latency import Act, Progress, timed
from aimem.operations.timing import result_of
from aimem.service import Node, import_memories, kg_query, kg_timeline
from aimem.wire import BenchRequest, BenchResult, ExportedLink, GraphQuery, ImportMemory, ImportRequest, TimelineQuery

FANS: Final = 50
FAN_LINKS: Final = 4
CHAINS: Final = 50
CHAIN_HOPS: Final = 5
_QUERIES: Final = ((1, 100.0), (3, 100.0), (5, 250.0))
"""Depth, milliseconds of the 95th percentile."""
_TIMELINE_P95_MS: Final = 100.0


async def graph_operations(
    folder: Path, ports: BenchPorts, request: BenchRequest, progress: Progress
) -> tuple[BenchResult, ...]:
    """Queries of one link over fans, of three and five over chains, and the timelines of the fans."""
    async with open_bench_node(folder / "graph.db", ports, None) as node:
        fans = [await _fan(node) for _ in range(FANS)]
        chains = [await _chain(node) for _ in range(CHAINS)]
        results = []
        for depth, target_ms in _QUERIES:
            spent = await timed(
                _querying(node, fans if depth == 1 else chains, depth), "following links", request, progress
            )
            name, label = f"kg_query_depth{depth}", f"graph query, depth {depth}"
            results.append(result_of(name, label, spent, target_p95_ms=target_ms))
        spent = await timed(_looking_back(node, fans), "reading timelines", request, progress)
        results.append(result_of("kg_timeline", "timeline", spent, target_p95_ms=_TIMELINE_P95_MS))
    return tuple(results)


async def _fan(node: Node) -> MemoryId:
    """A memory that is linked to several; its id."""
    ids = _new_ids(node, 1 + FAN_LINKS)
    await _store(node, ids, [(ids[0], end) for end in ids[1:]])
    return ids[0]


async def _chain(node: Node) -> MemoryId:
    """Memories of which each is linked to the next; the id of the first."""
    ids = _new_ids(node, 1 + CHAIN_HOPS)
    await _store(node, ids, list(pairwise(ids)))
    return ids[0]


def _new_ids(node: Node, count: int) -> list[MemoryId]:
    return [new_memory_id(node.chance.rng) for _ in range(count)]


async def _store(node: Node, ids: Sequence[MemoryId], links: Sequence[tuple[MemoryId, MemoryId]]) -> None:
    memories = [ImportMemory(id=one, title=one, content="A place.", namespace=NAMESPACE, tier="long") for one in ids]
    joined = [ExportedLink(source_id=source, target_id=target) for source, target in links]
    await import_memories(node, WHO, ImportRequest(memories=memories, links=joined))


def _querying(node: Node, starts: Sequence[MemoryId], depth: int) -> Act:
    async def act(number: int) -> object:
        return await kg_query(node, WHO, GraphQuery(source_id=starts[number % len(starts)], max_depth=depth))

    return act


def _looking_back(node: Node, starts: Sequence[MemoryId]) -> Act:
    async def act(number: int) -> object:
        return await kg_timeline(node, WHO, TimelineQuery(source_id=starts[number % len(starts)]))

    return act
