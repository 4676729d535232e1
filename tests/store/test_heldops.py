"""Ops that cannot be applied: kept when the log goes, applied when they can be, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.errors import Gone
from aimem.model import Op
from aimem.replication import examine
from aimem.store import KINDS, MEMORY, Received, Store, digest, heldops, inbound, outbound, trimming
from tests.nodes import InlineThreads, open_store, seeded_chance
from tests.streams import Author

ALL_GO = trimming.LogBounds(kept_count=0)
NONE = outbound.HeldDots(dots=(), count=0)


def dream(author: Author, key: str = "d") -> Op:
    """An op of a kind that no version knows."""
    return author.write("dream", [b'{"kind":"dream","key":"%s","fields":{}}' % key.encode()])


async def take(store: Store, ops: list[Op]) -> Received:
    received: Received = (await store.write(inbound.take, ops, examine)).value
    return received


async def cut_log(store: Store) -> int:
    """Drop from the log all that can go. Returns: how many ops are left in it."""
    size = await store.read(trimming.log_size)
    await store.write(trimming.trim, store.log.vector, size, ALL_GO)
    return (await store.read(trimming.log_size)).count


async def test_the_log_goes_and_what_is_held_stays(tmp_path: Path) -> None:
    author = Author(5)
    author.memory("m1")
    dots = (dream(author).dot, dream(author, "e").dot)
    author.memory("m2")
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        await take(store, author.ops)
        assert await cut_log(store) == 0
        assert await store.read(outbound.held, 10) == outbound.HeldDots(dots=dots, count=2)
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        assert await store.held(10) == outbound.HeldDots(dots=dots, count=2)


async def test_what_was_set_aside_is_no_part_of_the_log(tmp_path: Path) -> None:
    author = Author(5)
    dream(author)
    author.memory("m1")
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        await take(store, author.ops)
        await cut_log(store)
        with pytest.raises(Gone):
            await store.read(outbound.lacking, {author.stream: 1}, 10, 1 << 20)
        more = author.memory("m2")
        await take(store, [more])
        known = {**store.log.vector, author.stream: 3}
        assert (await store.read(outbound.lacking, known, 10, 1 << 20)).ops == (more,)
        with pytest.raises(Gone):
            await store.read(outbound.lacking, {**known, author.stream: 1}, 10, 1 << 20)


async def test_a_newer_version_applies_what_was_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    author = Author(5)
    author.memory("m1")
    with monkeypatch.context() as old:
        old.setattr("aimem.store.fold.KINDS", {name: kind for name, kind in KINDS.items() if kind is not MEMORY})
        async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
            await take(store, author.ops)
            await cut_log(store)
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        assert await store.read(outbound.held, 10) == NONE
        assert await store.read(lambda conn: conn.execute("SELECT id FROM memories").fetchall()) == [("m1",)]
        assert await store.read(lambda conn: conn.execute("SELECT count(*) FROM ops").fetchall()) == [(0,)]


async def test_the_texts_of_the_dead_leave_what_was_set_aside(tmp_path: Path) -> None:
    one, other = Author(5), Author(6)
    both = [b'{"kind":"memory","key":"m1","fields":{"content":"a secret"}}', b'{"kind":"dream","key":"d","fields":{}}']
    one.write("store", both)
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        await take(store, one.ops)
        await cut_log(store)
        other.delete("m1")
        await take(store, other.ops)
        (held,) = await store.read(heldops.read, heldops.BEFORE_ALL, 10)
        assert b"secret" not in b"".join(held.op.entries)


async def test_a_stream_ends_before_an_op_that_finds_no_room_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heldops, "HELD_MAX_COUNT", 2)
    newer, author = Author(5), Author(6)
    held = (dream(newer, "a").dot, dream(newer, "b").dot)
    dream(newer, "c")
    newer.memory("m1")
    author.memory("m2")
    batch = [*newer.ops[:3], author.ops[0], *newer.ops[3:], author.ops[1]]
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        received = await take(store, batch)
        assert (received.taken, received.held, received.full) == (5, held, frozenset({newer.stream}))
        assert (store.log.vector[newer.stream], store.log.vector[author.stream]) == (3, 2)
        before = await store.read(digest)
        again = await take(store, newer.ops[3:])
        assert (again.taken, again.full) == (0, frozenset({newer.stream}))
        assert await store.read(digest) == before
        assert (await take(store, [author.memory("m3")])).taken == 1


async def test_bytes_bound_what_is_held_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldops, "HELD_MAX_BYTES", 100)
    newer = Author(5)
    for key in "abcd":
        dream(newer, key)
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        assert len((await take(store, newer.ops)).held) == 2


async def test_equal_hashes_tell_that_two_nodes_hold_the_same(tmp_path: Path) -> None:
    newer = Author(5)
    dream(newer)
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as store:
        assert await store.read(heldops.digest) == ""
        await take(store, newer.ops)
        one = await store.read(heldops.digest)
        await cut_log(store)
        assert await store.read(heldops.digest) == one != ""
        await take(store, [dream(newer, "e")])
        assert await store.read(heldops.digest) != one
