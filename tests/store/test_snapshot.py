"""The whole state in pages, its join, and what leaves the log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code, Gone, InvalidRequest, Unavailable
from aimem.model import HLC_MAX, Create, Entry, ObjectState, Stamp, StreamHead, Vector
from aimem.replication import examine
from aimem.service import Node
from aimem.store import Store, digest, inbound, oplog, outbound, snapshot, trimming, walking
from aimem.store.snapshot import SnapshotPage, Told
from aimem.wire import ListQuery
from tests.nodes import FakeClock, InlineThreads, open_node, seeded_chance
from tests.service.steps import ALICE, connect, put
from tests.streams import Author


async def furnished(node: Node) -> None:
    """A bit of everything, some of it dead."""
    ids = [(await put(node, f"t{number}", f"text {number}", tags=["a"])).id for number in range(12)]
    await connect(node, ids[0], ids[1])
    await service.delete(node, ALICE, ids[2])
    await put(node, "t3", "another text")
    await service.promote(node, ALICE, ids[4])


async def pages_of(store: Store, max_count: int, max_bytes: int = 1 << 20) -> list[SnapshotPage]:
    pages = [await store.read(snapshot.snapshot_page, None, max_count, max_bytes)]
    while pages[-1].after is not None:
        place = walking.parse_place(walking.place_text(pages[-1].after))
        pages.append(await store.read(snapshot.snapshot_page, place, max_count, max_bytes))
    return pages


async def trimmed(store: Store, floor: Vector, **bounds: float) -> int:
    """How many ops leave the log."""
    size = await store.read(trimming.log_size)
    left = (await store.write(trimming.trim, floor, size, msgspec.convert(bounds, trimming.LogBounds))).value
    assert left == await store.read(trimming.log_size)
    return int(size.count - left.count)


async def join(target: Store, source: Store, max_count: int = 5) -> None:
    await source.read(snapshot.refuse_held)
    heads = dict(source.log.heads)
    for page in await pages_of(source, max_count):
        await target.write(snapshot.join_objects, page.objects)
    await target.write(snapshot.adopt_heads, heads, {}, target.stream)


@pytest.mark.parametrize("max_count", [1, 5, 1000])
async def test_an_empty_node_that_joins_a_snapshot_has_what_the_other_has(tmp_path: Path, max_count: int) -> None:
    async with (
        open_node(tmp_path / "a.db", chance=seeded_chance(1), threads=InlineThreads()) as a,
        open_node(tmp_path / "b.db", chance=seeded_chance(2), threads=InlineThreads()) as b,
    ):
        await furnished(a)
        await join(b.store, a.store, max_count)
        known = b.store.log.vector
        assert known[a.store.stream] == a.store.log.vector[a.store.stream]
        # Each knows its own beginning alone; that is the only difference.
        await join(a.store, b.store, max_count)
        assert await a.store.read(digest) == await b.store.read(digest)
        assert {m.title for m in (await service.list_memories(b, ALICE, ListQuery(limit=100))).memories} == {
            m.title for m in (await service.list_memories(a, ALICE, ListQuery(limit=100))).memories
        }
        conflicts = await b.store.read(lambda conn: conn.execute("SELECT count(*) FROM conflicts").fetchone())
        assert conflicts == (0,)
        before = await b.store.read(digest)
        await join(b.store, a.store)
        assert await b.store.read(digest) == before


async def test_a_page_is_bounded_by_bytes_and_holds_one_object_at_least(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        for number in range(4):
            await put(a, f"t{number}", "x" * 5000)
        pages = await pages_of(a.store, 1000, 6000)
        assert max(len([told for told in page.objects if told.kind == "memory"]) for page in pages) == 1
        assert sum(len(page.objects) for page in pages) == 5     # the memories, and what the stream says of itself


async def test_what_a_node_has_beyond_a_snapshot_stays(tmp_path: Path) -> None:
    async with (
        open_node(tmp_path / "a.db", chance=seeded_chance(1), threads=InlineThreads()) as a,
        open_node(tmp_path / "b.db", chance=seeded_chance(2), threads=InlineThreads()) as b,
    ):
        await furnished(a)
        own = await put(b, "own", "text")
        await join(b.store, a.store)
        assert own.id in {told.id for told in (await service.list_memories(b, ALICE, ListQuery(limit=100))).memories}
        later = await put(b, "later", "text")
        hlc = a.store.log.hlc
        [op] = [op for _, op in await b.store.read(oplog.read_after, 0, 100) if str(op.dot) == later.version]
        assert op.stamp.hlc > hlc


async def test_a_log_that_a_snapshot_overtook_is_not_passed_on_with_a_gap(tmp_path: Path) -> None:
    other = Author(5)
    for number in range(5):
        other.memory(f"m{number}")
    async with (
        open_node(tmp_path / "a.db", chance=seeded_chance(1), threads=InlineThreads()) as a,
        open_node(tmp_path / "b.db", chance=seeded_chance(2), threads=InlineThreads()) as b,
    ):
        await a.store.write(inbound.take, other.ops, examine)
        await b.store.write(inbound.take, other.ops[:2], examine)
        await join(b.store, a.store)
        assert b.store.log.vector[other.stream] == 6
        with pytest.raises(Gone):
            await b.store.read(outbound.lacking, {other.stream: 1}, 100, 1 << 20)
        more = other.memory("m9")
        assert (await b.store.write(inbound.take, [more], examine)).value.taken == 1
        page = await b.store.read(outbound.lacking, {**b.store.log.vector, other.stream: 6}, 100, 1 << 20)
        assert page.ops == (more,)


async def test_a_node_that_holds_ops_gives_no_snapshot_by_pages(tmp_path: Path) -> None:
    newer = Author(5)
    newer.write("dream", [Entry(kind="dream", key="d", create=Create(author="x"), fields={"text": "?"})])
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        await a.store.write(inbound.take, newer.ops, examine)
        with pytest.raises(Unavailable):
            await a.store.read(snapshot.refuse_held)


async def test_an_object_of_an_unknown_kind_is_not_joined(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        before = await a.store.read(digest)
        page = (await pages_of(a.store, 10))[0]
        strange = Told(kind="dream", key="d", state=page.objects[0].state)
        with pytest.raises(ValueError, match="dream"):
            await a.store.write(snapshot.join_objects, [*page.objects, strange])
        assert await a.store.read(digest) == before


async def test_a_snapshot_with_a_clock_of_another_century_is_not_joined(tmp_path: Path) -> None:
    far = Stamp(HLC_MAX, Author(1).stream)
    told = Told(kind="memory", key="m1", state=ObjectState(dead=far))
    head = StreamHead(stream=far.stream, seq=1, hlc=far.hlc, chain_hash=bytes(32))
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        known = node.store.log.hlc
        with pytest.raises(InvalidRequest, match="a hundred years ahead"):
            await node.store.write(snapshot.join_objects, [told])
        with pytest.raises(InvalidRequest, match="a hundred years ahead"):
            await node.store.write(snapshot.adopt_heads, {far.stream: head}, {}, node.store.stream)
        assert (node.store.log.hlc, far.stream in node.store.log.vector) == (known, False)
        await put(node, "t", "text")


@pytest.mark.parametrize(
    "text", ["", "x", "[]", '["dream", ["a"]]', '["memory", []]', '["tombstones", ["a"]]', "\ud800"]
)
async def test_a_place_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        with pytest.raises(InvalidRequest) as caught:
            await a.store.read(lambda conn: snapshot.snapshot_page(conn, walking.parse_place(text), 10, 1000))
        assert (caught.value.code, caught.value.field) == (Code.INVALID_REQUEST, "after")


async def test_the_log_loses_what_everybody_has_and_no_more(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        for number in range(10):
            await put(a, f"t{number}")
        stream, state = a.store.stream, await a.store.read(digest)
        assert await trimmed(a.store, {stream: 6}, kept_count=8) == 3
        assert await trimmed(a.store, {stream: 6}, kept_count=0) == 3
        assert await trimmed(a.store, {stream: 6}, kept_count=0) == 0
        assert await a.store.read(digest) == state
        assert len((await a.store.read(outbound.lacking, {stream: 6}, 100, 1 << 20)).ops) == 5
        with pytest.raises(Gone):
            await a.store.read(outbound.lacking, {stream: 5}, 100, 1 << 20)
        assert await trimmed(a.store, {}, most_count=2) == 3
        await put(a, "after")
        assert (await a.store.read(oplog.count)) == 3


async def test_the_oldest_ops_leave_a_log_that_is_too_large_or_too_old_whoever_lacks_them(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_node(tmp_path / "a.db", clock=clock, threads=InlineThreads()) as a:
        for number in range(6):
            await put(a, f"t{number}", "x" * 10_000)
        clock.advance(3 * 86_400)
        await put(a, "new", "x" * 10_000)
        assert await trimmed(a.store, {}, kept_count=0) == 0
        assert await trimmed(a.store, {}, kept_count=0, most_bytes=55_000) == 3
        assert (await a.store.read(trimming.log_size)).bytes < 55_000
        assert await trimmed(a.store, {}, kept_count=10_000, most_days=2) == 4
        assert await a.store.read(oplog.count) == 1
        with pytest.raises(Gone):
            await a.store.read(outbound.lacking, {}, 100, 1 << 20)
