"""Whatever filter leaves few or many, the meaning arm gives the nearest rows that count, and as many as were asked."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aimem import service
from aimem.model import Namespace, Tier, after, format_instant
from aimem.service import Node
from aimem.service.meaning import Scope, nearest_in_scope
from aimem.store import Filters, visible_to
from aimem.wire import ImportMemory, ImportRequest
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, principal, seeded_chance

ALICE = principal("alice")
QUESTION = WordEmbedder().embed(["word1 word2 word3"])[0]


@pytest.fixture
async def node(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    """120 memories: one of ten in `few`, every third expires in a minute."""
    async with open_node(
        tmp_path / "node.db", clock=clock, chance=seeded_chance(1), threads=InlineThreads(), embedder=WordEmbedder()
    ) as opened:
        words = random.Random(1)
        soon = format_instant(after(clock.now(), 60))
        await service.import_memories(opened, ALICE, ImportRequest(memories=[
            ImportMemory(
                title=f"number {number}", content=" ".join(f"word{words.randrange(20)}" for _ in range(5)), tier="long",
                namespace="few" if number % 10 == 0 else "many", expires_at=soon if number % 3 == 0 else None,
            )
            for number in range(120)
        ]), None)
        await service.index_status(opened, wait_below=0)
        yield opened


async def expected(node: Node, width: int, scope: Scope) -> dict[int, float]:
    """All rows, the nearest first, less those that do not count."""
    sql = "SELECT no, namespace, expires_at FROM memory_view"
    rows = await node.store.read(lambda conn: conn.execute(sql).fetchall())
    counts = {
        no for no, namespace, expires_at in rows
        if (scope.filters.namespaces is None or namespace in scope.filters.namespaces)
        and (expires_at is None or int(str(expires_at)) > scope.now)
    }
    near = node.recaller.index.search(QUESTION, 1_000)
    return dict([row for row in near if row[0] in counts][:width])


WAYS = [(0, 120), (0, 1_000), (5, 1_000), (50, 1_000), (1_000, 120)]
"""How many rows a small namespace has, and how far the search widens."""


@pytest.mark.parametrize("namespaces", [None, ("few",), ("many",), ("none",), ("few", "many")])
async def test_the_nearest_that_count_are_found_by_every_way(
    node: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, namespaces: tuple[str, ...] | None
) -> None:
    filters = Filters(namespaces=None if namespaces is None else tuple(map(Namespace, namespaces)))
    for seconds in (0, 61):
        clock.advance(seconds)
        scope = Scope(filters, visible_to(ALICE), clock.now())
        for small_max, widest in WAYS:
            monkeypatch.setattr("aimem.service.meaning.SMALL_MAX", small_max)
            monkeypatch.setattr("aimem.service.meaning.WIDEST", widest)
            for width in (3, 20, 200):
                found = await nearest_in_scope(node, QUESTION, width, scope)
                assert list(found.items()) == list((await expected(node, width, scope)).items())


async def test_beyond_the_widest_search_the_nearest_that_count_are_given_though_they_be_few(
    node: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aimem.service.meaning.WIDEST", 60)
    scope = Scope(Filters(min_priority=1, author=ALICE.agent_id), visible_to(ALICE), clock.now())
    rare = Scope(Filters(tier=Tier.SHORT), visible_to(ALICE), clock.now())
    nearest = list((await expected(node, 200, scope)).items())
    for width in (3, 20, 60):
        found = list((await nearest_in_scope(node, QUESTION, width, scope)).items())
        assert found == nearest[:width]
        assert await nearest_in_scope(node, QUESTION, width, rare) == {}
