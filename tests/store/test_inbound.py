"""Ops of other nodes in the database: logged, folded, held, and never lost or half applied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from aimem import service
from aimem.errors import Gone
from aimem.model import Dot, Op, StopReason
from aimem.ports import Connection, DatabaseError, DatabaseFault
from aimem.replication import examine
from aimem.store import KINDS, MEMORY, Received, Store, Transaction, digest, inbound, outbound
from aimem.wire import CreateMemory
from tests.nodes import FakeClock, InlineThreads, open_node, open_store, principal, seeded_chance
from tests.store.lives import Life
from tests.streams import BASE, Author, tampered


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as opened:
        yield opened


async def take(store: Store, ops: Sequence[Op]) -> Received:
    taken: Received = (await store.write(inbound.take, ops, examine)).value
    return taken


async def everything(store: Store) -> list[Op]:
    return list((await store.read(outbound.lacking, {}, 10_000, 1 << 40)).ops)


def held_reasons(conn: Connection) -> list[str]:
    return [str(row[0]) for row in conn.execute("SELECT held FROM ops WHERE held IS NOT NULL")]


def trim_opening(transaction: Transaction, author: Author) -> None:
    transaction.conn.execute("DELETE FROM ops WHERE seq = 1 AND stream = ?", (author.stream,))


async def test_a_batch_is_logged_folded_and_known_once_it_is_committed(store: Store) -> None:
    author = Author(5)
    author.memory("m1")
    received = await take(store, author.ops)
    assert (received.taken, received.held, received.stop) == (2, (), None)
    assert store.log.heads[author.stream] == author.head
    assert [op for op in await everything(store) if op.dot.stream == author.stream] == author.ops
    assert store.log.covers([author.ops[-1].dot])


async def test_the_clock_moves_past_everything_that_was_taken(store: Store) -> None:
    author = Author(5)
    author.memory("m1", hlc=BASE + (3_600_000 << 16))
    await take(store, author.ops)
    dot = (await store.write(lambda t: t.emit("store", [t.bury(MEMORY, "gone")]))).value
    written = (await everything(store))[-1]
    assert (written.dot, written.stamp.hlc) == (dot, author.head.hlc + 1)


async def test_a_second_time_changes_nothing(store: Store) -> None:
    author = Author(5)
    author.memory("m1")
    await take(store, author.ops)
    before, seen = await store.read(digest), store.log.change_count
    received = await take(store, author.ops)
    assert (received.taken, received.skipped) == (0, 2)
    assert (await store.read(digest), store.log.change_count) == (before, seen)


async def test_what_cannot_be_folded_is_held_and_the_prefix_goes_on(store: Store) -> None:
    author = Author(5)
    unknown = author.write("thing", [b'{"kind":"thing","key":"t1","fields":{}}'])
    garbage = author.write("store", [b"no json"])
    wrong = author.write("store", [b'{"kind":"memory","key":"m1","fields":{"priority":"high"}}'])
    author.memory("m2")
    received = await take(store, author.ops)
    assert received.taken == 5
    assert received.held == (unknown.dot, garbage.dot, wrong.dot)
    assert await store.read(outbound.held, 10) == outbound.HeldDots(dots=received.held, count=3)
    assert store.log.heads[author.stream] == author.head
    assert len(await store.read(held_reasons)) == 3
    assert [op.entries for op in await everything(store)][-4:-1] == [op.entries for op in (unknown, garbage, wrong)]


async def test_of_an_op_that_is_held_nothing_is_applied(store: Store) -> None:
    author = Author(5)
    good = b'{"kind":"memory","key":"m1","fields":{"priority":7}}'
    author.write("store", [good, b'{"kind":"memory","key":"m2","fields":{"priority":"high"}}'])
    await take(store, author.ops)
    assert await store.read(lambda conn: conn.execute("SELECT id FROM memories").fetchall()) == []


async def test_a_version_that_can_fold_them_applies_held_ops_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = Author(5)
    author.memory("m1")
    with monkeypatch.context() as old:
        kinds = {name: kind for name, kind in KINDS.items() if kind is not MEMORY}
        old.setattr("aimem.store.fold.KINDS", kinds)
        async with open_store(tmp_path / "x.db") as store:
            assert (await take(store, author.ops)).held == (author.ops[1].dot,)
    async with open_store(tmp_path / "x.db") as store:
        assert (await store.read(outbound.held, 10)).count == 0
        assert await store.read(lambda conn: conn.execute("SELECT id FROM memories").fetchall()) == [("m1",)]


async def test_a_database_error_rolls_the_batch_back_and_holds_nothing(store: Store) -> None:
    author = Author(5)
    author.memory("m1")

    def failing(transaction: Transaction) -> None:
        inbound.take(transaction, author.ops, examine)
        raise DatabaseError("the disk is full", DatabaseFault.FULL)

    with pytest.raises(Exception, match="full"):
        await store.write(failing)
    assert author.stream not in store.log.heads
    assert (await take(store, author.ops)).taken == 2


async def test_texts_of_the_dead_do_not_come_back_into_the_log(store: Store, tmp_path: Path) -> None:
    one, other = Author(5), Author(6)
    one.memory("m1", content="a secret")
    other.delete("m1")
    await take(store, other.ops)
    await take(store, one.ops)
    data = b"".join(entry for op in await everything(store) for entry in op.entries)
    assert b"secret" not in data
    # The chain goes over hashes, so a third node can still check what it is given.
    async with open_store(tmp_path / "third.db", threads=InlineThreads(), chance=seeded_chance(2)) as third:
        assert (await take(third, await everything(store))).stop is None
        assert third.log.vector[one.stream] == 2


async def test_a_fork_closes_its_stream_durably(tmp_path: Path) -> None:
    honest, twice = Author(5), Author(5)
    honest.memory("m1", content="one thing")
    twice.memory("m1", content="another thing")
    async with open_store(tmp_path / "x.db") as store:
        await take(store, honest.ops)
        received = await take(store, twice.ops)
        assert received.stop is not None
        assert received.stop.reason is StopReason.FORK
    async with open_store(tmp_path / "x.db") as store:
        assert await store.read(inbound.closed_streams) == (honest.stream,)
        received = await take(store, [honest.memory("m2")])
        assert received.stop is not None
        assert received.stop.reason is StopReason.CLOSED


async def test_an_op_of_our_own_stream_that_we_do_not_know_is_not_taken(store: Store) -> None:
    mine = (await everything(store))[0]
    later = tampered(mine, dot=Dot(mine.dot.stream, 2), previous=store.log.heads[mine.dot.stream].chain_hash)
    received = await take(store, [later])
    assert received.stop is not None
    assert received.stop.reason is StopReason.OWN


async def test_the_log_is_given_in_its_order_by_what_is_lacking(store: Store) -> None:
    one, other = Author(5), Author(6)
    await take(store, [one.ops[0], other.ops[0], one.memory("m1"), other.memory("m2"), one.memory("m3")])
    page = await store.read(outbound.lacking, {store.stream: 1, one.stream: 1}, 10, 1 << 20)
    assert [str(op.dot) for op in page.ops] == [
        f"{other.stream}:1", f"{one.stream}:2", f"{other.stream}:2", f"{one.stream}:3"
    ]
    assert not page.more


async def test_what_its_own_node_was_not_told_of_yet_is_not_given(store: Store) -> None:
    one, other = Author(5), Author(6)
    await take(store, [other.ops[0], one.ops[0], one.memory("m1"), other.memory("m2")])
    until = {one.stream: 1, other.stream: 2}
    page = await store.read(outbound.lacking, {store.stream: 1}, 10, 1 << 20, until=until)
    assert [str(op.dot) for op in page.ops] == [f"{other.stream}:1", f"{one.stream}:1", f"{other.stream}:2"]
    assert not (await store.read(outbound.lacking, {}, 10, 1 << 20, until={})).ops


@pytest.mark.parametrize(("count", "size", "given"), [(2, 1 << 20, 2), (10, 1, 1), (10, 1 << 20, 5)])
async def test_a_page_keeps_to_its_bounds_and_gives_at_least_one(
    store: Store, count: int, size: int, given: int
) -> None:
    author = Author(5)
    for number in range(3):
        author.memory(f"m{number}")
    await take(store, author.ops)
    page = await store.read(outbound.lacking, {}, count, size)
    assert (len(page.ops), page.more) == (given, given < 5)
    positions = []
    at = 0
    while True:
        following = await store.read(outbound.after, at, count, size)
        positions += [op.dot for op in following.ops]
        at = following.position
        if not following.more:
            break
    assert positions == [op.dot for op in await everything(store)]


async def test_a_position_of_another_log_and_a_trimmed_op_are_gone(store: Store) -> None:
    with pytest.raises(Gone):
        await store.read(outbound.after, 99, 10, 1 << 20)
    author = Author(5)
    author.memory("m1")
    await take(store, author.ops)
    await store.write(trim_opening, author)
    with pytest.raises(Gone):
        await store.read(outbound.lacking, {}, 10, 1 << 20)
    assert len((await store.read(outbound.lacking, {author.stream: 1}, 10, 1 << 20)).ops) == 2


async def test_a_life_of_every_kind_of_op_carried_over_gives_the_same_state(tmp_path: Path) -> None:
    clock = FakeClock(step_us=1_000)
    async with open_node(tmp_path / "a.db", clock=clock, chance=seeded_chance(3), threads=InlineThreads()) as node:
        life = Life(node, clock, 11)
        await life.live(150)
        async with open_store(tmp_path / "b.db", chance=seeded_chance(4), threads=InlineThreads()) as other:
            while True:
                page = await node.store.read(outbound.lacking, other.log.vector, 40, 1 << 20)
                received = await take(other, page.ops)
                assert (received.stop, received.held) == (None, ())
                if not page.more:
                    break
            await take(node.store, await everything(other))
            assert await other.read(digest) == await node.store.read(digest)
            assert other.log.vector == node.store.log.vector


async def test_a_write_tells_the_log_before_its_caller_goes_on(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db") as node:
        woken = trio.Event()

        async def follow() -> None:
            await node.store.log.wait_change(node.store.log.change_count)
            woken.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await trio.testing.wait_all_tasks_blocked()
            stored = await service.remember(node, principal(), CreateMemory(title="t", content="c"))
            stream, _, seq = str(stored.version).partition(":")
            assert node.store.log.vector[node.store.stream] == int(seq)
            assert stream == node.store.stream
            await woken.wait()
