"""The end of the log in memory gives what the log on the disk would, or says that it cannot."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aimem.model import StreamHead
from aimem.replication import examine
from aimem.store import Store, Transaction, inbound, outbound
from aimem.store.outbound import Logged
from aimem.store.recent import RECENT_BYTES, RECENT_COUNT, RecentOps
from tests.nodes import FakeClock, InlineThreads, open_node, open_store, seeded_chance
from tests.store.lives import Life
from tests.streams import Author

MUCH = 1 << 30


async def asked(store: Store, known: dict[str, int], count: int, size: int) -> None:
    until = store.log.vector
    here = store.log.recent.lacking(known, until, count, size)
    there = await store.read(outbound.lacking, known, count, size, until=until)
    assert here is not None
    dots = [op.dot for op in there.ops]
    assert ([op.dot for op in here.ops], here.more, here.position) == (dots, there.more, there.position)
    # An op that a later delete blanked on the disk has its hash, and so its signature, in both.
    assert [op.signature for op in here.ops] == [op.signature for op in there.ops]


async def test_whatever_is_asked_it_says_what_the_log_says(tmp_path: Path) -> None:
    clock, rng, author = FakeClock(step_us=1_000), random.Random(5), Author(5)
    async with open_node(tmp_path / "a.db", clock=clock, chance=seeded_chance(3), threads=InlineThreads()) as node:
        store, life = node.store, Life(node, clock, 11)
        for turn in range(20):
            await life.live(6)
            author.memory(f"m{turn}")
            await store.write(inbound.take, author.ops, examine)
        ends = dict(store.log.vector)
        for _ in range(100):
            known = {stream: rng.randint(0, seq) for stream, seq in ends.items()}
            await asked(store, known, rng.choice([1, 7, 512]), MUCH)
        await asked(store, ends, 512, MUCH)
        await asked(store, {}, 512, MUCH)


@pytest.mark.parametrize("size", [1, 1_000, 2_500, 5_000])
async def test_a_page_has_as_many_bytes_as_one_from_the_disk(tmp_path: Path, size: int) -> None:
    author = Author(5)
    for number in range(6):
        author.memory(f"m{number}", content="x" * 300 * number)
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(inbound.take, author.ops, examine)
        await asked(store, {}, 512, size)


async def test_what_was_taken_back_is_not_among_them(tmp_path: Path) -> None:
    one, two = Author(5), Author(6)
    one.memory("m1")
    two.memory("m2")

    def fail(transaction: Transaction) -> None:
        inbound.take(transaction, one.ops, examine)
        raise LookupError

    def change_its_mind(transaction: Transaction) -> None:
        part = transaction.begin_part()
        inbound.take(transaction, one.ops, examine)
        transaction.undo_part(part)
        transaction.heads.clear()
        inbound.take(transaction, two.ops, examine)

    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        with pytest.raises(LookupError):
            await store.write(fail)
        await store.write(change_its_mind)
        await asked(store, {}, 512, MUCH)


async def test_a_store_that_was_opened_again_asks_its_disk(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()):
        pass
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        assert store.log.recent.lacking({}, store.log.vector, 10, MUCH) is None
        page = await store.lacking({}, 10, MUCH)
        assert [op.dot.seq for op in page.ops] == [1]


def kept(recent: RecentOps, head: StreamHead) -> int:
    """How many of the latest ops of a stream are there."""
    until = {head.stream: head.seq}
    return sum(
        recent.lacking({head.stream: seq}, until, MUCH, MUCH) is not None for seq in range(head.seq)
    )


@pytest.mark.parametrize(("count", "size", "left"), [
    (RECENT_COUNT + 10, 10, RECENT_COUNT), (9, RECENT_BYTES // 4, 3), (3, RECENT_BYTES + 1, 1),
])
def test_beyond_either_bound_the_oldest_go(count: int, size: int, left: int) -> None:
    author, recent = Author(5), RecentOps()
    for number in range(count):
        author.memory(f"m{number}", content="x" * size)
    recent.add_nowait(Logged(at, op) for at, op in enumerate(author.ops, 1))
    assert kept(recent, author.head) == left


async def test_what_a_node_knew_when_it_wrote_last_is_all_but_what_came_since(tmp_path: Path) -> None:
    clock, author = FakeClock(step_us=1_000), Author(5)
    async with open_node(tmp_path / "a.db", clock=clock, chance=seeded_chance(3), threads=InlineThreads()) as node:
        store, life = node.store, Life(node, clock, 11)
        author.memory("cause")
        await store.write(inbound.take, author.ops, examine)
        cause = store.log.vector[author.stream]
        await life.live(12)
        at_last = dict(store.log.vector)
        assert at_last[store.stream] > 1
        for title in ("later", "latest"):
            author.memory(title)
            await store.write(inbound.take, author.ops, examine)
        assert store.log.vector[author.stream] == cause + 2
        assert dict(store.log.causes_of(store.stream)) == at_last
        assert store.log.causes_of(author.stream) == store.log.vector
