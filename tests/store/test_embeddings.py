"""The embedding cache: whose turn each text is, and what other nodes are given of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from aimem.model import Entry, StreamId
from aimem.replication import examine
from aimem.store import Store, embeddings, inbound
from tests.nodes import InlineThreads, open_store, seeded_chance
from tests.streams import Author

MODEL = "m"
VECTOR = b"\x00\x3c" * 4


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as opened:
        await opened.write(embeddings.use_model, MODEL)
        yield opened


async def take(store: Store, *authors: Author) -> None:
    for author in authors:
        assert (await store.write(inbound.take, author.ops, examine)).value.stop is None


async def members_of(store: Store, *members: StreamId) -> dict[int, StreamId | None]:
    owed = await store.read(embeddings.owed, 0, 100, store.stream, members)
    return {one.no: one.member for one in owed}


async def hashes(store: Store) -> list[bytes]:
    return [one.text_hash for one in await store.read(embeddings.owed, 0, 100, store.stream, ())]


async def test_a_text_is_its_writers_whichever_stream_that_writes_now(store: Store) -> None:
    before = Author(5)
    before.memory("m1")
    after = Author(6, clock=before.head.hlc, before=before)
    after.memory("m2")
    other = Author(7)
    other.memory("m3")
    await take(store, before, after, other)
    assert await members_of(store, after.stream) == {1: after.stream, 2: after.stream, 3: None}
    assert await members_of(store, after.stream, other.stream) == {1: after.stream, 2: after.stream, 3: other.stream}
    assert await members_of(store) == {1: None, 2: None, 3: None}


async def test_a_text_is_of_the_later_of_those_who_wrote_its_name_and_its_content(store: Store) -> None:
    one, other = Author(5), Author(6)
    one.memory("m1")
    one.memory("m2")
    late = one.head.hlc + 10
    other.write("update", [Entry(kind="memory", key="m1", fields={"content": "new"})], late)
    other.write("update", [Entry(kind="memory", key="m2", fields={"priority": 9})])
    await take(store, one, other)
    assert await members_of(store, one.stream, other.stream) == {1: other.stream, 2: one.stream}
    one.write("update", [Entry(kind="memory", key="m1", fields={"name": ("ns", "renamed")})], late + 10)
    await take(store, one)
    assert await members_of(store, one.stream, other.stream) == {1: one.stream, 2: one.stream}


async def test_who_claims_to_follow_this_node_is_given_none_of_its_texts(store: Store) -> None:
    other = Author(5, predecessor=store.stream)
    other.memory("m1")
    await take(store, other)
    owed = await store.read(embeddings.owed, 0, 100, other.stream, (store.stream,))
    assert [one.member for one in owed] == [None]


async def test_the_first_row_that_is_owed_vectors_is_found(store: Store) -> None:
    author = Author(5)
    for key in ("m1", "m2", "m3"):
        author.memory(key)
    await take(store, author)
    first = (await hashes(store))[0]
    assert await store.read(embeddings.first_owed, [3, 2, 77]) == 2
    await store.write(embeddings.put, MODEL, [(first, [VECTOR])])
    assert await store.read(embeddings.first_owed, [1]) is None
    assert await store.read(embeddings.first_owed, []) is None
    assert len(await store.read(embeddings.owed, 2, 100, store.stream, ())) == 1


async def lent(store: Store, wanted: Sequence[bytes], most: int = 1000, model: str = MODEL) -> tuple[int, int]:
    found = await store.read(embeddings.vectors_by_hash, model, wanted, most)
    return len(found.found), len(found.missing)


async def test_vectors_are_given_in_their_order_as_far_as_they_fit(store: Store) -> None:
    author = Author(5)
    for key in ("m1", "m2", "m3", "m4"):
        author.memory(key)
    await take(store, author)
    all_of_them = await hashes(store)
    long, short, without, _ = all_of_them
    await store.write(embeddings.put, MODEL, [(long, [b"%d" % n for n in range(12)]), (short, [VECTOR]), (without, [])])
    found = await store.read(embeddings.vectors_by_hash, MODEL, all_of_them, 1000)
    assert [one.vectors for one in found.found] == [[b"%d" % n for n in range(12)], [VECTOR], []]
    assert found.missing == (all_of_them[3],)
    assert await lent(store, [long, short], most=1) == (1, 0)
    assert await lent(store, [short, short, b"unknown"]) == (1, 1)
    assert await lent(store, []) == (0, 0)
