"""Lifetimes: what expires is collected once; what is recalled earns time, rank and priority."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem import service
from aimem.model import DAY_S, SECOND_US, Instant, Lifetimes, MemoryId, Tier, after, format_instant
from aimem.ports import DatabaseError, DatabaseFault
from aimem.service import Node, Policy
from aimem.service.lifetimes import BATCH, apply_touch, touch_nowait
from aimem.service.node import TOUCHES_QUEUED, Touch
from aimem.store import memories
from aimem.wire import GcQuery, GetArchivedQuery, PurgeQuery, RecallRequest, RestoreQuery, UpdateMemory
from tests.nodes import FakeClock, InlineThreads, open_node
from tests.service.steps import ALICE, all_quiet, another_node, ids_listed, ops_of, put, shown, tell

HOUR_S = 3600
LIFETIMES = Lifetimes()


def in_s(clock: FakeClock, seconds: float) -> str:
    return format_instant(after(Instant(clock.at), seconds))


async def touch(node: Node, *ids: str, times: int = 1) -> None:
    for _ in range(times):
        await node.store.write(apply_touch, node, Touch(tuple(MemoryId(each) for each in ids), node.clock.now()))


async def test_collection_archives_what_has_expired_and_nothing_else(node: Node, clock: FakeClock) -> None:
    brief = await put(node, "brief", ttl_secs=60)
    kept = await put(node, "kept", ttl_secs=61)
    clock.at = Instant(clock.at - clock.at % SECOND_US + 60 * SECOND_US + 10)
    answer = await service.collect(node, ALICE, GcQuery())
    assert (answer.expired_deleted, answer.collected, answer.dry_run) == (1, 1, False)
    assert await ids_listed(node) == {kept.id}
    (row,) = (await service.list_archive(node, ALICE, GetArchivedQuery())).archived
    assert (row.id, row.archive_reason) == (brief.id, "ttl_expired")
    assert (await service.collect(node, ALICE, GcQuery())).collected == 0


async def test_a_dry_run_counts_and_changes_nothing(node: Node, clock: FakeClock) -> None:
    for number in range(3):
        await put(node, f"t{number}", ttl_secs=60)
    await put(node, "kept")
    clock.advance(61)
    count = len(await ops_of(node.store))
    answer = await service.collect(node, ALICE, GcQuery(dry_run=True))
    assert (answer.collected, answer.expired_deleted, answer.dry_run) == (3, 0, True)
    assert len(await ops_of(node.store)) == count


@pytest.mark.parametrize("count", [BATCH, 2 * BATCH + 5])
async def test_collection_takes_more_than_a_batch(node: Node, clock: FakeClock, count: int) -> None:
    for number in range(count):
        await put(node, f"t{number}", ttl_secs=60)
    clock.advance(61)
    assert (await service.collect(node, ALICE, GcQuery())).collected == count
    assert (await service.stats(node, ALICE)).archived == count


async def test_without_an_archive_collection_deletes(tmp_path: Path, clock: FakeClock) -> None:
    policy = Policy(archive_on_gc=False)
    async with open_node(tmp_path / "x.db", clock=clock, threads=InlineThreads(), policy=policy) as node:
        await put(node, "t", "secret", ttl_secs=60)
        clock.advance(61)
        assert (await service.collect(node, ALICE, GcQuery())).collected == 1
        stats = await service.stats(node, ALICE)
        assert (stats.total, stats.archived, stats.tombstones) == (0, 0, 1)
        assert b"secret" not in b"".join(entry for op in await ops_of(node.store) for entry in op.entries)


async def test_an_extension_that_arrives_after_a_collection_undoes_it(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    stored = await put(node, "t", ttl_secs=HOUR_S, tier="mid")
    async with another_node(tmp_path, clock) as other:
        await tell(other, node)
        await touch(other, stored.id)
        clock.advance(HOUR_S + 1)
        assert (await service.collect(node, ALICE, GcQuery())).collected == 1
        assert await ids_listed(node) == set()
        await tell(node, other)
        await tell(other, node)
        assert await ids_listed(node) == await ids_listed(other) == {stored.id}


async def test_a_collection_is_undone_by_any_new_expiry(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    stored = await put(node, "t", ttl_secs=HOUR_S)
    async with another_node(tmp_path, clock) as other:
        await tell(other, node)
        await service.update(other, ALICE, stored.id, UpdateMemory(expires_at=""))
        clock.advance(HOUR_S + 1)
        await service.collect(node, ALICE, GcQuery())
        await tell(node, other)
        assert (await shown(node, stored.id)).expires_at is msgspec.UNSET


@given(
    st.sampled_from(Tier), st.none() | st.integers(0, 10 * DAY_S * SECOND_US), st.integers(0, 10 * DAY_S * SECOND_US)
)
def test_an_extension_never_shortens_and_gains_a_quarter_of_the_step(
    tier: Tier, expires_at: int | None, now: int
) -> None:
    reached = LIFETIMES.extended(tier, None if expires_at is None else Instant(expires_at), Instant(now))
    step_us = LIFETIMES.extension_s(tier) * SECOND_US
    if reached is not None:
        assert expires_at is not None
        assert reached == now + step_us
        assert reached - expires_at >= step_us // 4
    elif expires_at is not None and step_us:
        assert now + step_us - expires_at < step_us // 4


@pytest.mark.parametrize(
    ("tier", "ttl_s", "left_s"),
    [
        ("short", 6 * HOUR_S, 6 * HOUR_S),
        ("short", HOUR_S * 3 // 4 + 1, HOUR_S * 3 // 4 + 1),
        ("short", HOUR_S * 3 // 4, HOUR_S),
        ("short", 60, HOUR_S),
        ("mid", 7 * DAY_S, 7 * DAY_S),
        ("mid", HOUR_S, DAY_S),
        ("long", HOUR_S, HOUR_S),
    ],
)
async def test_a_recall_extends_a_life_that_nears_its_end(
    node: Node, clock: FakeClock, tier: str, ttl_s: int, left_s: int
) -> None:
    clock.step_us = 0
    stored = await put(node, "t", "word", tier=tier, ttl_secs=ttl_s)
    before = await shown(node, stored.id)
    await service.recall(node, ALICE, RecallRequest(context="word"))
    await all_quiet()
    memory = await shown(node, stored.id)
    assert memory.expires_at == in_s(clock, left_s)
    assert (memory.access_count, memory.updated_at) == (1, before.updated_at)


async def test_an_expiry_that_is_set_after_an_extension_counts(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", tier="mid", ttl_secs=HOUR_S)
    await touch(node, stored.id)
    clock.step_us = 0
    await service.update(node, ALICE, stored.id, UpdateMemory(expires_at=in_s(clock, 60)))
    assert (await shown(node, stored.id)).expires_at == in_s(clock, 60)


async def test_the_fifth_access_makes_a_mid_memory_long(node: Node, clock: FakeClock) -> None:
    mid, short = await put(node, "mid"), await put(node, "short", tier="short")
    await touch(node, mid.id, short.id, times=4)
    assert (await shown(node, mid.id)).tier == "mid"
    await touch(node, mid.id, short.id)
    memory = await shown(node, mid.id)
    assert (memory.tier, memory.expires_at, memory.access_count) == ("long", msgspec.UNSET, 5)
    assert (await shown(node, short.id)).tier == "short"


async def test_each_tenth_access_raises_the_priority_up_to_ten(node: Node) -> None:
    stored = await put(node, "t", tier="long", priority=9)
    await touch(node, stored.id, times=9)
    assert (await shown(node, stored.id)).priority == 9
    await touch(node, stored.id)
    assert (await shown(node, stored.id)).priority == 10
    await touch(node, stored.id, times=10)
    assert (await shown(node, stored.id)).priority == 10


async def test_what_recalls_earn_is_no_change_of_the_text(node: Node, clock: FakeClock) -> None:
    """Or a read would outdo an edit elsewhere, and an old text would count as fresh."""
    stored = await put(node, "t")
    before = (await shown(node, stored.id)).updated_at
    clock.advance(DAY_S)
    await touch(node, stored.id, times=10)
    memory = await shown(node, stored.id)
    assert (memory.tier, memory.priority, memory.updated_at) == ("long", 6, before)


async def test_a_touch_that_earns_nothing_writes_no_op(node: Node) -> None:
    stored = await put(node, "t", tier="long")
    count = len(await ops_of(node.store))
    await touch(node, stored.id, times=4)
    assert len(await ops_of(node.store)) == count
    assert (await shown(node, stored.id)).access_count == 4


async def test_a_touch_of_what_is_gone_meanwhile_does_nothing(node: Node) -> None:
    stored = await put(node, "t")
    await service.delete(node, ALICE, stored.id)
    await touch(node, stored.id, "no-such-id", times=10)


async def test_a_full_queue_of_touches_drops_and_counts(node: Node) -> None:
    for _ in range(300):
        touch_nowait(node, (MemoryId("id"),))
    dropped = 300 - TOUCHES_QUEUED - 1  # one is in the writer's hands
    assert node.counters.touches_dropped == dropped
    await all_quiet()
    touch_nowait(node, (MemoryId("id"),))
    assert node.counters.touches_dropped == dropped


async def test_touches_go_on_after_one_that_the_store_could_not_take(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await put(node, "t", "word")

    def full(*_args: object) -> int:
        raise DatabaseError("database or disk is full", DatabaseFault.FULL)

    with monkeypatch.context() as patched:
        patched.setattr(memories, "note_access", full)
        await service.recall(node, ALICE, RecallRequest(context="word"))
        await all_quiet()
    assert node.counters.touches_dropped == 1
    await service.recall(node, ALICE, RecallRequest(context="word"))
    await all_quiet()
    assert (await shown(node, stored.id)).access_count == 1


async def test_old_archive_rows_and_notes_are_tidied_away(tmp_path: Path, clock: FakeClock) -> None:
    policy = Policy(archive_max_days=30)
    async with open_node(tmp_path / "x.db", clock=clock, threads=InlineThreads(), policy=policy) as node:
        once = service.Once("key-1", b"hash")
        await put(node, "t", once=once, ttl_secs=60)
        clock.advance(61)
        await service.collect(node, ALICE, GcQuery())
        clock.advance(6.9 * DAY_S)
        await service.tidy(node)
        assert (await put(node, "t", once=once)).action == "created"
        assert node.counters.idempotent_replays == 1
        clock.advance(0.2 * DAY_S)
        await service.tidy(node)
        sql = "SELECT count(*) FROM idempotency"
        assert await node.store.read(lambda conn: conn.execute(sql).fetchone()) == (0,)
        assert (await service.stats(node, ALICE)).archived == 1
        clock.advance(23 * DAY_S)
        await service.tidy(node)
        assert (await service.stats(node, ALICE)).archived == 0


async def test_the_archive_is_kept_where_no_age_is_set(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", ttl_secs=60)
    clock.advance(61)
    await service.collect(node, ALICE, GcQuery())
    clock.advance(10_000 * DAY_S)
    await service.tidy(node)
    assert (await service.restore(node, ALICE, stored.id, RestoreQuery())).restored
    assert (await service.purge_archive(node, ALICE, PurgeQuery(all=True))).purged == 0
