"""Recall: what bears on a question, within what the caller asked and may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Instant, after, format_instant
from aimem.service import Node
from aimem.wire import RecallRequest, RecallResult, UpdateMemory
from tests.nodes import START, FakeClock, InlineThreads, WordEmbedder, open_node, seeded_chance
from tests.service.steps import ALICE, all_quiet, ids_listed, ops_of, put, refused, shown


async def recall(node: Node, context: str, **fields: object) -> RecallResult:
    request = msgspec.convert({"context": context, "touch": False, **fields}, RecallRequest)
    return await service.recall(node, ALICE, request)


def titles(result: RecallResult) -> list[str]:
    return [memory.title for memory in result.memories]


async def test_recall_finds_by_any_word_the_best_first(node: Node) -> None:
    await put(node, "both", "the harbour opens at dawn")
    await put(node, "one", "the harbour is large")
    await put(node, "none", "nothing of the kind")
    found = await recall(node, "when does the harbour open")
    assert titles(found) == ["both", "one"]
    assert (found.count, found.mode, found.budget_tokens) == (2, "keyword", msgspec.UNSET)
    assert found.memories[0].score > found.memories[1].score >= 0


@pytest.mark.parametrize("context", ["😀", "...", "_", "\u200b", '"', "NEAR(", "* ^ : - +", "()"])
async def test_a_question_without_words_finds_nothing(node: Node, context: str) -> None:
    await put(node, "t", "empty _empty_ word")
    found = await recall(node, context)
    assert (found.memories, found.count, found.tokens_used) == ((), 0, 0)


async def test_a_question_of_stop_words_alone_asks_for_just_these(node: Node) -> None:
    await put(node, "t", "to be or not to be")
    assert titles(await recall(node, "to be or not to be")) == ["t"]


async def test_recall_in_a_path_takes_in_its_ancestors_and_prefers_the_near(node: Node) -> None:
    for namespace in ("a", "a/b", "a/b/c", "a/b/c/d", "x"):
        await put(node, "t", "word", namespace=namespace)
    found = await recall(node, "word", namespace="a/b/c")
    assert [memory.namespace for memory in found.memories] == ["a/b/c", "a/b", "a"]
    assert [memory.namespace for memory in (await recall(node, "word", namespace="a")).memories] == ["a"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tags": "even"}, {"m0", "m2"}),
        ({"tags": " even"}, {"m0", "m2"}),
        ({"since": format_instant(after(START, 15))}, {"m2", "m3"}),
        ({"until": format_instant(after(START, 15))}, {"m0", "m1"}),
        ({"namespace": "n1"}, {"m1", "m3"}),
        ({"namespace": "n2"}, set()),
        ({"limit": 0}, set()),
    ],
)
async def test_recall_narrows(node: Node, clock: FakeClock, fields: dict[str, object], expected: set[str]) -> None:
    for number in range(4):
        await put(node, f"m{number}", "word", namespace=f"n{number % 2}", tags=["odd" if number % 2 else "even"])
        clock.advance(10)
    assert set(titles(await recall(node, "word", **fields))) == expected


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"limit": -1}, "limit"), ({"limit": 51}, "limit"), ({"budget_tokens": 0}, "budget_tokens"),
        ({"budget_tokens": 2**40}, "budget_tokens"), ({"since": "x"}, "since"), ({"until": "x"}, "until"),
        ({"namespace": "a//b"}, "namespace"), ({"as_agent": "a/"}, "as_agent"), ({"tags": "t" * 129}, "tags"),
        ({"context_tokens": ["x"] * 65}, "context_tokens"), ({"context_tokens": ["x", " "]}, "context_tokens[1]"),
    ],
)
async def test_a_bad_field_of_a_recall_is_named(node: Node, fields: dict[str, object], field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, recall(node, "word", **fields))).field == field


@pytest.mark.parametrize("context", ["", "  ", "q" * 65_537])
async def test_a_question_must_be_there_and_of_a_size(node: Node, context: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, recall(node, context))).field == "context"


async def test_a_budget_skips_what_does_not_fit_and_always_gives_the_first(node: Node) -> None:
    await put(node, "big", "word word word " + "x" * 4000)
    for number in range(3):
        await put(node, f"s{number}", "word " + "y" * 35)
    everything = await recall(node, "word")
    assert everything.count == 4
    tight = await recall(node, "word", budget_tokens=21)
    assert (tight.budget_tokens, len(tight.memories)) == (21, tight.count)
    first = titles(everything)[0]
    assert titles(tight)[0] == first
    sizes = [(len(memory.title) + len(memory.content)) // 4 for memory in tight.memories]
    assert tight.tokens_used == sum(sizes)
    assert tight.tokens_used <= 21 or tight.count == 1
    assert (await recall(node, "word", budget_tokens=1)).count == 1


async def test_recall_counts_an_access_of_what_it_returns_and_of_nothing_else(node: Node) -> None:
    found, other = await put(node, "t", "word"), await put(node, "u", "nothing")
    below = await put(node, "v", "word among many more that make it long")
    await recall(node, "word", touch=True, limit=1)
    await all_quiet()
    counts = [(await shown(node, each.id)).access_count for each in (found, other, below)]
    assert counts == [1, 0, 0]
    assert (await shown(node, found.id)).last_accessed_at is not msgspec.UNSET


async def test_a_recall_that_does_not_touch_changes_nothing(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", "word", ttl_secs=60)
    before, count = await shown(node, stored.id), len(await ops_of(node.store))
    for _ in range(12):
        clock.advance(1)
        await recall(node, "word")
    await all_quiet()
    assert await shown(node, stored.id) == before
    assert len(await ops_of(node.store)) == count


async def test_what_is_more_important_comes_first_among_equals_and_never_before_a_better_answer(node: Node) -> None:
    await put(node, "plain", "harbour lights")
    await put(node, "important", "harbour lights", priority=10, tier="long")
    await put(node, "unrelated", "harbour", priority=10, tier="long", confidence=1.0)
    assert titles(await recall(node, "harbour lights"))[0] == "important"
    await put(node, "exact", "zebra crossing at the harbour", priority=1, confidence=0.1)
    assert titles(await recall(node, "zebra crossing"))[0] == "exact"


@pytest.fixture
async def hybrid(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    """A node with vectors."""
    db, chance, threads = tmp_path / "hybrid.db", seeded_chance(2), InlineThreads()
    async with open_node(db, clock=clock, chance=chance, threads=threads, embedder=WordEmbedder()) as opened:
        yield opened


async def test_with_vectors_a_small_namespace_among_many_gets_its_exact_best(hybrid: Node) -> None:
    for number in range(150):
        await put(hybrid, f"crowd {number}", "alpha beta gamma delta", namespace="crowd")
    await put(hybrid, "small", "epsilon zeta", namespace="small")
    await all_quiet()
    found = await recall(hybrid, "alpha beta gamma delta", namespace="small", floor=False)
    assert (titles(found), found.mode) == (["small"], "hybrid")


async def test_with_vectors_the_expired_do_not_take_the_places_of_the_living(hybrid: Node, clock: FakeClock) -> None:
    for number in range(130):
        await put(hybrid, None, f"alpha beta {number}", ttl_secs=60)
    kept = await put(hybrid, None, "gamma delta")
    await all_quiet()
    clock.advance(61)
    found = await recall(hybrid, "alpha beta", floor=False)
    assert [memory.id for memory in found.memories] == [kept.id]


async def test_a_context_moves_the_meaning_that_is_asked_for(hybrid: Node) -> None:
    await put(hybrid, None, "bank river water")
    await put(hybrid, None, "bank money loan")
    await all_quiet()
    assert titles(await recall(hybrid, "bank", context_tokens=["money", "loan"]))[0] == "bank money loan"
    assert titles(await recall(hybrid, "bank", context_tokens=["river", "water"]))[0] == "bank river water"


async def test_an_update_that_expires_a_memory_hides_it_from_recall_at_once(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", "word")
    await service.update(
        node, ALICE, stored.id, UpdateMemory(expires_at=format_instant(after(Instant(clock.at), 5)))
    )
    assert titles(await recall(node, "word")) == ["t"]
    clock.advance(5)
    assert titles(await recall(node, "word")) == []
    assert await ids_listed(node) == set()
