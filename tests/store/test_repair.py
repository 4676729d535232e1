"""Of which streams another node may know other ops than this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from aimem.replication import examine
from aimem.store import Store, inbound, repair
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
