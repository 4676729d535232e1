"""What leaves the op log: what everybody has and is beyond what is kept, in steps that hold nobody up."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.replication import trim_log
from aimem.store import Store, oplog, trimming
from aimem.store.trimming import LogBounds
from aimem.wire import UpdateMemory
from tests.nodes import InlineThreads, open_node, open_store
from tests.service.steps import ALICE, put

TEXT = "x" * 1000
SMALL = LogBounds(kept_count=1_000_000, kept_bytes=5_000)


async def written(folder: Path, count: int) -> Path:
    """A database whose log has so many ops of about 1.1 KiB."""
    async with open_node(folder / "n.db", threads=InlineThreads()) as node:
        for number in range(count):
            await put(node, f"t{number}", TEXT)
    return folder / "n.db"


async def trimmed(store: Store, bounds: LogBounds) -> trimming.LogSize:
    size = await store.read(trimming.log_size)
    return await trim_log(store, size, bounds, lambda: store.log.vector)


async def test_what_all_have_is_kept_by_count_and_by_bytes(tmp_path: Path) -> None:
    async with open_store(await written(tmp_path, 40), threads=InlineThreads()) as store:
        assert await trimmed(store, LogBounds()) == await store.read(trimming.log_size)
        left = await trimmed(store, replace(SMALL, kept_bytes=20_000))
        assert 10_000 < left.bytes <= 20_000
        assert left == await store.read(trimming.log_size)
        assert (await trimmed(store, LogBounds(kept_count=3))).count == 3 == await store.read(oplog.count)


async def test_what_somebody_lacks_stays_however_many_bytes_it_has(tmp_path: Path) -> None:
    async with open_store(await written(tmp_path, 10), threads=InlineThreads()) as store:
        size = await store.read(trimming.log_size)
        assert await trim_log(store, size, SMALL, dict) == size


async def test_a_larger_database_keeps_more_of_its_log() -> None:
    assert SMALL.fitted(0) == SMALL
    assert SMALL.fitted(1_000_000_000).kept_bytes == 5_000_000


async def test_one_step_drops_no_more_than_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trimming, "BATCH_BYTES", 5_000)
    monkeypatch.setattr(trimming, "KEPT_SHARE", 0.0)
    async with open_store(await written(tmp_path, 40), threads=InlineThreads()) as store:
        size = await store.read(trimming.log_size)
        once: trimming.LogSize = (await store.write(trimming.trim, store.log.vector, size, SMALL)).value
        assert 5_000 < size.bytes - once.bytes < 8_000
        assert (await trim_log(store, once, SMALL, lambda: store.log.vector)).bytes <= 5_000    # all steps together


async def test_a_node_goes_on_writing_over_a_log_that_was_cut(tmp_path: Path) -> None:
    async with open_node(tmp_path / "n.db", threads=InlineThreads()) as node:
        stored = [await put(node, f"t{number}", TEXT) for number in range(10)]
        await trimmed(node.store, LogBounds(kept_count=0))
        assert await node.store.read(oplog.count) == 0
        await service.update(node, ALICE, stored[0].id, UpdateMemory(content="later"))
        assert await node.store.read(oplog.count) == 1
    async with open_node(tmp_path / "n.db", threads=InlineThreads()) as node:
        assert node.store.log.heads[node.store.stream].seq == 12       # the opening, ten stores, the change


async def test_writes_go_on_while_a_long_log_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trimming, "BATCH", 5)
    async with open_node(tmp_path / "n.db", threads=InlineThreads()) as node:
        for number in range(100):
            await put(node, f"t{number}", TEXT)
        size = await node.store.read(trimming.log_size)
        left: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trim_log, node.store, size, LogBounds(kept_count=0), lambda: node.store.log.vector)
            for number in range(3):
                await put(node, f"later {number}", TEXT)
                left.append(await node.store.read(oplog.count))
        assert left[0] > 80 and left[0] > left[1] > left[2] > 20     # each waited for a step or two, not for the end
        assert await node.store.read(oplog.count) == 3
