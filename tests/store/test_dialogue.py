"""Neighbours in a conversation say what a short text is about, and never what their reader may not see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nodes import InlineThreads, open_store
from tests.store.texts import bury, change, check_the_indexes, fields, hits, put


async def found_by_neighbour(folder: Path, mine: dict[str, Any], other: dict[str, Any], author: str = "alice") -> bool:
    """Whether "mine" is found by the word of a row beside it."""
    async with open_store(folder / "x.db", threads=InlineThreads()) as store:
        await store.write(put, {"mine": fields("a short turn", talk="t", **mine)})
        await store.write(put, {"other": fields("about kyoto", talk=other.pop("talk", "t"), **other)}, author)
        await store.read(check_the_indexes)
        return "mine" in await hits(store, "kyoto")


@pytest.mark.parametrize("at", [1, -1])
async def test_a_turn_is_found_by_what_stands_beside_it(tmp_path: Path, at: int) -> None:
    assert await found_by_neighbour(tmp_path, {}, {"at": at})


@pytest.mark.parametrize(
    "other", [{"namespace": "elsewhere"}, {"scope": "private"}, {"scope": "team"}, {"talk": "another"}]
)
async def test_no_other_conversation_namespace_or_scope_says_anything(tmp_path: Path, other: dict[str, Any]) -> None:
    assert not await found_by_neighbour(tmp_path, {}, {"at": 1, **other})


async def test_no_other_author_says_anything(tmp_path: Path) -> None:
    assert not await found_by_neighbour(tmp_path, {}, {"at": 1}, author="bob")


@pytest.mark.parametrize("talk", [7, "", "x" * 257, ["t"], None])
async def test_a_conversation_is_named_by_a_text_of_bounded_length(tmp_path: Path, talk: object) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(put, {"mine": fields("short", talk=talk), "other": fields("about kyoto", talk=talk, at=1)})
        assert list(await hits(store, "kyoto")) == ["other"]


async def test_a_long_text_has_no_context_and_gives_its_beginning(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        long = "paris " + "filler " * 300 + "berlin"
        await store.write(put, {"long": fields(long, talk="t"), "short": fields("about kyoto", talk="t", at=1)})
        assert list(await hits(store, "kyoto")) == ["short"]
        assert set(await hits(store, "paris")) == {"long", "short"}
        assert set(await hits(store, "berlin")) == {"long"}


async def test_two_neighbours_each_side_count_and_by_less_than_own_words(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        texts = {f"m{i}": fields("kyoto" if i == 5 else f"turn {i}", talk="t", at=i) for i in range(11)}
        await store.write(put, texts)
        found = await hits(store, "kyoto")
        assert set(found) == {"m3", "m4", "m5", "m6", "m7"}
        assert next(iter(found)) == "m5"
        assert found["m5"] > 2 * found["m4"]


async def test_context_follows_what_neighbours_become(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        for i in range(6):
            await store.write(put, {f"m{i}": fields(f"turn {i}", talk="t", at=i)})
        await store.write(change, "m2", content="kyoto")
        assert set(await hits(store, "kyoto")) == {"m0", "m1", "m2", "m3", "m4"}
        await store.write(bury, "m3")
        assert set(await hits(store, "kyoto")) == {"m0", "m1", "m2", "m4", "m5"}
        await store.write(change, "m2", scope="private")
        assert set(await hits(store, "kyoto")) == {"m2"}
        await store.read(check_the_indexes)
        await store.write(bury, "m2")
        assert not await hits(store, "kyoto")
        await store.read(check_the_indexes)


async def test_a_batch_indexes_each_row_once(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(put, {f"m{i}": fields(f"turn {i}", talk="t", at=i) for i in range(20)})
        segments = await store.read(lambda conn: conn.execute("SELECT count(*) FROM memory_fts_idx").fetchall())
        assert segments == [(1,)]
        await store.read(check_the_indexes)
