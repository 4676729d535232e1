"""The way in that the clock opens: what a round does, and when rounds come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from aimem import curator, service
from aimem.curator import run_curator, tidy_once
from aimem.errors import Code, Corrupt, Unavailable
from aimem.model import DAY_S
from aimem.service import Node, Once, Policy
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, principal, seeded_chance
from tests.service.steps import all_quiet, ids_listed, put

ALICE = principal("alice")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def node(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    policy, threads = Policy(archive_max_days=30), InlineThreads()
    async with open_node(
        tmp_path / "x.db", clock=clock, chance=seeded_chance(1), threads=threads, policy=policy,
        embedder=WordEmbedder(),
    ) as opened:
        await all_quiet()
        yield opened


async def test_a_round_collects_purges_and_forgets_what_nothing_uses(node: Node, clock: FakeClock) -> None:
    await put(node, "brief", "alpha", ttl_secs=60, once=Once("key", b"hash"))
    gone, kept = await put(node, "gone", "beta"), await put(node, "kept", "gamma", tier="long")
    await all_quiet()
    await service.delete(node, ALICE, gone.id)
    clock.advance(61)
    await tidy_once(node)
    stats = await service.stats(node, ALICE)
    assert (stats.total, stats.archived) == (1, 1)
    assert await vectors(node) == 2
    clock.advance(31 * DAY_S)
    await tidy_once(node)
    await tidy_once(node)
    stats = await service.stats(node, ALICE)
    assert (stats.total, stats.archived) == (1, 0)
    assert await vectors(node) == 1
    sql = "SELECT count(*) FROM idempotency"
    assert await node.store.read(lambda conn: conn.execute(sql).fetchone()) == (0,)
    assert await ids_listed(node) == {kept.id}


async def vectors(node: Node) -> int:
    row = await node.store.read(lambda conn: conn.execute("SELECT count(*) FROM embeddings").fetchone())
    return int(str(row[0])) if row else 0


class Rounds:
    """Notes when rounds came; one of them may fail."""

    def __init__(self, failing: dict[int, Exception] | None = None) -> None:
        self.begun, self.at, self.failing = trio.current_time(), list[float](), failing or {}

    async def tidy(self, _node: Node) -> None:
        await trio.lowlevel.checkpoint()
        self.at.append(round(trio.current_time() - self.begun, 3))
        if len(self.at) in self.failing:
            raise self.failing[len(self.at)]


async def test_rounds_come_a_minute_after_the_start_and_then_at_their_interval(
    autojump_clock: trio.testing.MockClock, node: Node, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Rounds()
    monkeypatch.setattr(curator.clock, "tidy_once", rounds.tidy)
    await nursery.start(partial(run_curator, node, 1800.0))
    await trio.sleep(4000)
    assert rounds.at == [60, 1860, 3660]


async def test_a_short_interval_does_not_wait_a_minute(
    autojump_clock: trio.testing.MockClock, node: Node, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Rounds()
    monkeypatch.setattr(curator.clock, "tidy_once", rounds.tidy)
    await nursery.start(partial(run_curator, node, 5.0))
    await trio.sleep(16)
    assert rounds.at == [5, 10, 15]


async def test_a_round_that_the_store_cannot_take_is_skipped_and_said(
    autojump_clock: trio.testing.MockClock, node: Node, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds({1: Unavailable("full", code=Code.STORAGE_FULL)})
    monkeypatch.setattr(curator.clock, "tidy_once", rounds.tidy)
    await nursery.start(partial(run_curator, node, 5.0))
    await trio.sleep(11)
    assert rounds.at == [5, 10]
    assert [(record.message, record.__dict__["reason"]) for record in caplog.records] == [
        ("curator.skipped", "storage_full")
    ]


async def test_a_corrupt_store_ends_the_curator(
    autojump_clock: trio.testing.MockClock, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Rounds({1: Corrupt("broken")})
    monkeypatch.setattr(curator.clock, "tidy_once", rounds.tidy)
    with pytest.raises(Corrupt):
        await run_curator(node, 5.0)
