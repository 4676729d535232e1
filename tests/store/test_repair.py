"""Of which streams another node may know other ops than this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from aimem.model import ObjectState
from aimem.replication import examine
from aimem.store import Store, Transaction, digests, inbound, repair
from tests.nodes import InlineThreads, open_store, seeded_chance
from tests.streams import Author


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as opened:
        yield opened


async def test_what_another_knows_as_the_last_is_one_of_ours_or_doubtful(store: Store) -> None:
    author = Author(5)
    heads = [author.head]
    for number in range(3):
        author.memory(f"m{number}")
        heads.append(author.head)
    await store.write(inbound.take, author.ops[:3], examine)
    for head, is_doubtful in zip(heads, (False, False, False, True), strict=True):
        assert (await store.read(repair.doubtful, {author.stream: head}) == {author.stream}) is is_doubtful
        other = msgspec.structs.replace(head, chain_hash=bytes(32))
        assert await store.read(repair.doubtful, {author.stream: other}) == {author.stream}


async def test_a_stream_that_is_not_known_here_is_doubtful(store: Store) -> None:
    stranger = Author(6)
    assert await store.read(repair.doubtful, {stranger.stream: stranger.head}) == {stranger.stream}


def spoil(transaction: Transaction, statement: str) -> None:
    """What somebody does behind the program's back."""
    transaction.conn.execute(statement)


UNSTAMPED = "UPDATE memories SET collected = '[\"x\",1,1]' WHERE id = 'm0'"
RISEN = "INSERT INTO memories (id, born, author) SELECT 'm1', born, author FROM memories WHERE id = 'm2'"


@pytest.mark.parametrize(("key", "statement"), [
    pytest.param("m0", UNSTAMPED, id="a-value-without-a-stamp"),
    pytest.param("m1", RISEN, id="a-row-beside-a-tombstone"),
])
async def test_a_row_that_no_state_makes_is_as_good_as_lost_and_is_put_right(
    store: Store, key: str, statement: str
) -> None:
    author = Author(5)
    for name in ("m0", "m1", "m2"):
        author.memory(name)
    author.delete("m1")
    await store.write(inbound.take, author.ops, examine)
    names = [("memory", key), ("memory", "m2")]
    right = (await store.read(repair.facts_of, names, 1 << 20)).objects
    before = await store.read(digests.digest)
    await store.write(spoil, statement)
    assert await store.read(digests.digest) != before
    assert (await store.read(repair.facts_of, names, 1 << 20)).objects[0].state == ObjectState()
    theirs = [repair.Theirs(kind=one.kind, key=one.key, state=one.state) for one in right]
    await store.write(repair.mend, theirs)
    assert await store.read(digests.digest) == before
