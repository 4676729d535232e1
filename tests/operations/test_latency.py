"""The timed operations do what they say, on nodes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from aimem.operations.benchnode import embed_all, fill, open_bench_node
from aimem.operations.corpus import Corpus
from aimem.operations.latency import large_recall, question_embedding, short, small_operations
from aimem.operations.walking import graph_operations
from aimem.ports import Embedder
from aimem.search import ClusteredEmbedder, ModelUnavailable
from aimem.service import index_status, stats
from aimem.wire import BenchRequest
from tests.bench.ports import bench_ports, silent
from tests.nodes import principal

REQUEST = BenchRequest(iterations=2, warmup=1, rows=30)


@pytest.mark.parametrize(("count", "name"), [
    (1, "1"), (1_500, "1500"), (10_000, "10k"), (2_000_000, "2m"),
])
def test_the_rows_are_part_of_an_operations_name(count: int, name: str) -> None:
    assert short(count) == name


async def test_a_filled_node_has_its_rows_and_their_vectors(tmp_path: Path) -> None:
    seen: list[int] = []
    async with open_bench_node(tmp_path / "x.db", bench_ports(), ClusteredEmbedder()) as node:
        await fill(node, Corpus(), 1_050, seen.append)
        await embed_all(node, seen.append)
        status = await index_status(node)
        assert (await stats(node, principal())).total == 1_050
    assert (status.embedded, status.embedding_backlog) == (1_050, 0)
    assert seen[:2] == [1_000, 50]


async def test_every_operation_is_timed_as_often_as_asked(tmp_path: Path) -> None:
    small = await small_operations(tmp_path, bench_ports(), REQUEST, silent)
    large, size = await large_recall(tmp_path, bench_ports(), REQUEST, silent)
    assert [result.operation for result in (*small, *large)] == [
        "store_no_embedding", "search_fts", "recall_hot", "recall_30", "recall_namespace_30",
    ]
    assert [result.target_p95_ms for result in (*small, *large)] == [20, 100, 50, 40, 40]
    assert size.measured_mb > 10
    assert {result.samples for result in (*small, *large)} == {2}


async def test_the_graph_is_walked_as_v063_walks_it(tmp_path: Path) -> None:
    results = await graph_operations(tmp_path, bench_ports(), REQUEST, silent)
    assert [(result.operation, result.target_p95_ms, result.samples) for result in results] == [
        ("kg_query_depth1", 100, 2), ("kg_query_depth3", 100, 2), ("kg_query_depth5", 250, 2), ("kg_timeline", 100, 2),
    ]
    async with open_bench_node(tmp_path / "graph.db", bench_ports(), None) as node:
        counts = await stats(node, principal())
    assert (counts.total, counts.links_count) == (50 * 5 + 50 * 6, 50 * 4 + 50 * 5)


async def test_without_the_model_no_question_is_embedded() -> None:
    def missing() -> Embedder:
        raise ModelUnavailable("no model here")

    assert await question_embedding(replace(bench_ports(), open_embedder=missing), REQUEST, silent) == ()
    made = await question_embedding(replace(bench_ports(), open_embedder=ClusteredEmbedder), REQUEST, silent)
    assert [(result.operation, result.samples) for result in made] == [("embed_question", 2)]
