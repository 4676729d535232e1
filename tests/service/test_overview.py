"""What a node says of itself."""

from __future__ import annotations

import pytest

from aimem import service
from aimem.ports import DatabaseError, DatabaseFault
from aimem.service import Node
from aimem.store import embeddings
from aimem.wire import ArchiveRequest
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, connect, ops_of, put


async def test_statistics_count_what_there_is(node: Node, clock: FakeClock) -> None:
    one = await put(node, "one", namespace="a", tier="long")
    two = await put(node, "two", namespace="a", ttl_secs=3600)
    away, gone = await put(node, "away", namespace="b"), await put(node, "gone", namespace="b")
    await connect(node, one.id, two.id)
    await service.archive(node, ALICE, ArchiveRequest(ids=[away.id]))
    await service.delete(node, ALICE, gone.id)
    stats = await service.stats(node, ALICE)
    assert {each.tier: each.count for each in stats.by_tier} == {"long": 1, "mid": 1}
    assert [(each.namespace, each.count) for each in stats.by_namespace] == [("a", 2)]
    assert (stats.total, stats.links_count, stats.archived, stats.tombstones) == (2, 1, 1, 1)
    assert (stats.expiring_soon, stats.embedding_backlog) == (1, 2)
    assert stats.op_log_count == len(await ops_of(node.store))
    assert stats.db_size_bytes > 0


async def test_namespaces_are_listed_the_largest_first(node: Node) -> None:
    for title, namespace in [("1", "small"), ("1", "large"), ("2", "large"), ("1", "also-small")]:
        await put(node, title, namespace=namespace)
    found = await service.namespaces(node, BOB)
    assert [(each.namespace, each.count) for each in found.namespaces] == [
        ("large", 2), ("also-small", 1), ("small", 1),
    ]


async def test_an_empty_node_is_well(node: Node) -> None:
    health = await service.health(node)
    assert (health.status, health.mode, health.embedder_ready, health.open_access) == ("ok", "keyword", False, True)
    assert health.stream == node.store.stream
    assert (await service.stats(node, ALICE)).total == 0
    assert (await service.namespaces(node, ALICE)).namespaces == ()


@pytest.mark.parametrize("fault", [DatabaseFault.BUSY, DatabaseFault.CANNOT_OPEN])
async def test_a_store_that_cannot_be_read_is_said_and_not_raised(
    node: Node, monkeypatch: pytest.MonkeyPatch, fault: DatabaseFault
) -> None:
    def broken(_conn: object) -> int:
        raise DatabaseError("broken", fault)

    monkeypatch.setattr(embeddings, "count_backlog", broken)
    health = await service.health(node)
    assert health.status == "error"
    assert health.warnings


async def test_the_figures_for_monitoring_name_each_metric_with_one_help(node: Node) -> None:
    await put(node, "t", tier="long")
    samples = (await service.status(node, ALICE)).samples
    assert len({(sample.name, sample.labels) for sample in samples}) == len(samples)
    by_name: dict[str, set[tuple[str, str]]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, set()).add((sample.help, sample.kind))
    assert all(len(descriptions) == 1 for descriptions in by_name.values())
    figures = {(sample.name, sample.labels): sample.value for sample in samples}
    assert figures["ai_memory_memories", (("tier", "long"),)] == 1
