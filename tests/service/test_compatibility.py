"""Defects of v0.6.3 that no one service mends by itself."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from aimem import service
from aimem.model import Lifetimes
from aimem.service import Node, Policy
from aimem.wire import CurateRequest, ForgetRequest, RecallRequest, ReportsQuery, UpdateMemory
from tests.nodes import FakeClock, InlineThreads, open_node
from tests.service.steps import ALICE, put

WEEK_S = 7 * 86_400


async def test_what_was_corrected_lately_counts_as_young_whenever_it_was_created(node: Node, clock: FakeClock) -> None:
    corrected = await put(node, "corrected", "The lamp turns.", tier="long")
    await put(node, "left", "The lamp turns.", tier="long")
    clock.advance(50 * WEEK_S)
    await service.update(node, ALICE, corrected.id, UpdateMemory(content="The lamp turns!"))
    found = await service.recall(node, ALICE, RecallRequest(context="lamp", explain=True))
    assert [memory.title for memory in found.memories] == ["corrected", "left"]
    ages = [memory.explanation.recency for memory in found.memories]
    assert ages[0] > ages[1]


async def test_recall_leaves_collecting_to_the_clock(node: Node, clock: FakeClock) -> None:
    await put(node, "lamp", ttl_secs=60)
    clock.advance(61)
    assert (await service.recall(node, ALICE, RecallRequest(context="lamp"))).count == 0
    stats = await service.stats(node, ALICE)
    assert (stats.total, stats.archived) == (0, 0)


async def test_statistics_count_the_living_and_measure_the_log_too(tmp_path: Path, clock: FakeClock) -> None:
    db = tmp_path / "x.db"
    async with open_node(db, clock=clock, threads=InlineThreads()) as node:
        await put(node, "gone", ttl_secs=60)
        await put(node, "here")
        clock.advance(61)
        stats = await service.stats(node, ALICE)
        assert (stats.total, sum(tier.count for tier in stats.by_tier)) == (1, 1)
        assert stats.db_size_bytes == db.stat().st_size + db.with_name("x.db-wal").stat().st_size


async def test_a_forget_never_reaches_what_belongs_to_the_system(node: Node) -> None:
    await put(node, "mine")
    await service.curate(node, CurateRequest())
    assert (await service.forget(node, ALICE, ForgetRequest(tier="mid"))).deleted == 1
    assert (await service.curation_reports(node, ALICE, ReportsQuery())).count == 1


async def test_a_life_that_long_memories_are_given_is_not_taken_by_storing_them_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    policy = Policy(lifetimes=replace(Lifetimes(), long_ttl_s=WEEK_S))
    async with open_node(tmp_path / "x.db", clock=clock, threads=InlineThreads(), policy=policy) as node:
        first = await put(node, "t", "one", tier="long")
        again = await put(node, "t", "two", tier="long")
    assert again.action == "updated"
    assert again.expires_at >= first.expires_at
