"""The upkeep of a database: it stays as large as what is in it, whatever was in it before."""

from __future__ import annotations

import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.service import Node, Once, upkeep
from aimem.service.tidiness import upkeep_samples
from aimem.service.upkeep import INTERVAL_S, cut_notes, run_upkeep, shrink_file
from aimem.store import buffers, trimming
from aimem.wire import UpdateMemory
from tests.nodes import FakeClock
from tests.service.steps import ALICE, put


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test reaches."""
    tables = tuple(
        replace(one, share=0.0, least_bytes=20_000, keep_s=one.keep_s / 60)
        for one in buffers.BUFFERS
    )
    monkeypatch.setattr(buffers, "BUFFERS", tables)
    monkeypatch.setattr(upkeep, "FREE_KEPT_BYTES", 1 << 16)


async def _live(node: Node, rounds: int) -> None:
    """Store, change and delete, under keys that are noted."""
    for number in range(rounds):
        stored = await put(node, f"t{number}", "one " * 500, once=Once(f"a{number}", b"1"))
        for turn in range(3):
            change = UpdateMemory(content=f"{turn} " * 500)
            await service.update(node, ALICE, stored.id, change, Once(f"b{number}.{turn}", b"1"))
        if number % 4:
            await service.delete(node, ALICE, stored.id, Once(f"c{number}", b"1"))


@pytest.mark.usefixtures("small")
async def test_notes_stay_within_their_bounds_and_are_counted(node: Node, clock: FakeClock) -> None:
    await _live(node, 60)
    clock.advance(11)
    await cut_notes(node)
    for buffer in buffers.BUFFERS:
        assert await node.store.read(buffers.surplus, buffer, 0) == 0, buffer.table
    assert set(node.upkeep.dropped) == {"events", "history", "idempotency"}
    shown = {sample.labels: sample.value for sample in upkeep_samples(node.store, node.upkeep) if sample.labels}
    assert shown == {(("table", table),): float(count) for table, count in node.upkeep.dropped.items()}
    before = dict(node.upkeep.dropped)
    await cut_notes(node)
    assert node.upkeep.dropped == before


@pytest.mark.usefixtures("small")
async def test_an_answer_is_known_by_its_key_while_it_may_be_asked_for_again(node: Node, clock: FakeClock) -> None:
    first = await put(node, "t-first", "text", once=Once("first", b"1"))
    await _live(node, 60)
    assert not await cut_notes(node)        # there are more than their bound, and all of them are young
    assert (await put(node, "t-first", "text", once=Once("first", b"1"))).id == first.id
    assert "idempotency" not in node.upkeep.dropped
    clock.advance(11)
    assert await cut_notes(node)
    with pytest.raises(InvalidRequest) as known:
        await put(node, "t59", "other", once=Once("b59.2", b"2"))
    assert known.value.code is Code.IDEMPOTENCY_MISMATCH
    assert node.upkeep.dropped["idempotency"] > 100


@pytest.mark.usefixtures("small")
async def test_a_file_of_which_much_was_deleted_shrinks(node: Node) -> None:
    ids = [(await put(node, f"t{number}", f"{number} " * 5000)).id for number in range(100)]
    full = (await node.store.read(buffers.pages)).count
    for memory_id in ids:
        await service.delete(node, ALICE, memory_id)
    await node.store.write(trimming.trim, node.store.log.vector, await node.store.read(trimming.log_size),
                           trimming.LogBounds(kept_count=0))
    await shrink_file(node)
    found = await node.store.read(buffers.pages)
    assert found.count < full / 2
    assert found.free_bytes <= 2 * upkeep.FREE_KEPT_BYTES
    assert node.upkeep.freed_bytes == (full - found.count) * found.page_bytes
    assert node.upkeep.free_bytes == found.free_bytes


@pytest.mark.usefixtures("autojump_clock")
async def test_the_write_ahead_log_is_emptied_once_a_minute(node: Node) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(run_upkeep, node)
        await put(node, "t")
        assert node.store.wal_bytes > 0
        await trio.sleep(INTERVAL_S + 1)
        assert node.store.wal_bytes == 0
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("autojump_clock")
async def test_a_store_that_takes_nothing_now_is_tried_again(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[float] = []

    async def refuse(_: Node) -> bool:
        looks.append(trio.current_time())
        raise Unavailable("full")

    monkeypatch.setattr(upkeep, "cut_notes", refuse)
    async with trio.open_nursery() as nursery:
        await nursery.start(run_upkeep, node)
        await trio.sleep(2.5 * INTERVAL_S)
        nursery.cancel_scope.cancel()
    assert len(looks) == 2
    assert [record.message for record in caplog.records] == ["upkeep.skipped"] * 2
