"""Recall's order and its reasons, over a real database: facts, times, roles, the floor, explanations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.model import DAY_S
from aimem.search import tuning
from aimem.service import Node
from aimem.wire import Explanation, ImportMemory, ImportRequest, LinkRequest, RecallRequest, RecallResult
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, seeded_chance
from tests.service.steps import ALICE, all_quiet, connect, ids_listed, put, shown


@pytest.fixture
async def hybrid(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    """A node with vectors."""
    db, chance, threads = tmp_path / "hybrid.db", seeded_chance(2), InlineThreads()
    async with open_node(db, clock=clock, chance=chance, threads=threads, embedder=WordEmbedder()) as opened:
        yield opened


@pytest.fixture(params=["keyword", "hybrid"])
async def either(
    anyio_backend: object, request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[Node]:
    """A node without vectors, then one with them."""
    db, chance, threads = tmp_path / "either.db", seeded_chance(3), InlineThreads()
    embedder = WordEmbedder() if request.param == "hybrid" else None
    async with open_node(db, clock=clock, chance=chance, threads=threads, embedder=embedder) as opened:
        yield opened


async def recall(node: Node, context: str, **fields: object) -> RecallResult:
    await all_quiet()
    request = msgspec.convert({"context": context, "touch": False, **fields}, RecallRequest)
    return await service.recall(node, ALICE, request)


def ids(result: RecallResult) -> list[str]:
    return [memory.id for memory in result.memories]


async def crowd(node: Node, texts: list[str]) -> list[str]:
    """Store many at once. Returns: their ids."""
    items = [
        ImportMemory(id=f"c{i:05}", title=f"c{i:05}", title_generated=True, content=text)
        for i, text in enumerate(texts)
    ]
    for start in range(0, len(items), 1000):
        await service.import_memories(node, ALICE, ImportRequest(memories=items[start : start + 1000]), None)
    return [str(item.id) for item in items]


# Facts ---------------------------------------------------------------------------------------------------------------


async def test_a_superseded_memory_never_appears_in_recall_and_stays_in_get_and_list(either: Node) -> None:
    old, new = await put(either, "old", "ann lives in rome"), await put(either, "new", "ann lives in oslo")
    assert set(ids(await recall(either, "where does ann live in"))) == {old.id, new.id}
    await connect(either, new.id, old.id, "supersedes")
    assert ids(await recall(either, "where does ann live in rome")) == [new.id]
    assert (await shown(either, old.id)).content == "ann lives in rome"
    assert await ids_listed(either) == {old.id, new.id}


async def test_a_memory_is_back_when_what_superseded_it_is_gone_hidden_or_no_longer_valid(
    node: Node, clock: FakeClock
) -> None:
    old = await put(node, "old", "word")
    short = await put(node, "short", "word too", ttl_secs=60)
    await connect(node, short.id, old.id, "supersedes")
    assert ids(await recall(node, "word")) == [short.id]
    clock.advance(61)
    assert ids(await recall(node, "word")) == [old.id]
    other = await put(node, "other", "word as well")
    await connect(node, other.id, old.id, "supersedes")
    assert ids(await recall(node, "word")) == [other.id]
    assert ids(await recall(node, "word", limit=50, until="2027-01-15T08:00:30Z")) == []
    await service.unlink(node, ALICE, LinkRequest(source_id=other.id, target_id=old.id, relation="supersedes"))
    assert set(ids(await recall(node, "word"))) == {old.id, other.id}
    await connect(node, other.id, old.id, "supersedes", valid_from="2031-01-01T00:00:00Z")
    assert set(ids(await recall(node, "word"))) == {old.id, other.id}
    await service.delete(node, ALICE, other.id)
    assert ids(await recall(node, "word")) == [old.id]


async def test_of_a_ring_of_superseding_memories_the_last_word_counts(node: Node) -> None:
    one, two = await put(node, "one", "word"), await put(node, "two", "word")
    await connect(node, one.id, two.id, "supersedes")
    await connect(node, two.id, one.id, "supersedes")
    assert ids(await recall(node, "word")) == [two.id]


async def test_a_fact_that_was_restated_very_often_is_found_behind_its_past(either: Node) -> None:
    past = await crowd(either, [f"the rate is {number} per cent" for number in range(180)])
    now = await put(either, "now", "these days another rate holds, which nobody would have thought of in the past")
    for each in past:
        await connect(either, now.id, each, "supersedes")
    found = await recall(either, "what is the rate per cent", explain=True)
    assert ids(found) == [now.id]
    assert found.ranking and found.ranking.superseded == 180


async def test_of_contradicting_facts_the_newer_comes_first_and_the_older_is_marked(
    node: Node, clock: FakeClock
) -> None:
    older = await put(node, "older", "the harbour opens at dawn", priority=10)
    clock.advance(60)
    other = await put(node, "other", "the harbour opens at dawn or later")
    newer = await put(node, "newer", "a harbour that opens at noon, said somebody who knows it well enough")
    question = "when at dawn does the harbour open"
    assert ids(await recall(node, question))[0] == older.id
    await connect(node, older.id, newer.id, "contradicts")
    found = await recall(node, question, explain=True)
    assert ids(found) == [newer.id, older.id, other.id]
    assert [memory.contradicted_by for memory in found.memories] == [msgspec.UNSET, (newer.id,), msgspec.UNSET]
    moved = [memory.explanation.moved_by for memory in found.memories if memory.explanation]
    assert moved == [("newer_fact",), (), ()]
    only_older = await recall(node, question, until="2027-01-15T08:00:30Z")
    assert [(memory.id, memory.contradicted_by) for memory in only_older.memories] == [(older.id, (newer.id,))]


# Time and role -------------------------------------------------------------------------------------------------------


async def test_a_question_that_names_a_time_prefers_rows_of_that_time(node: Node, clock: FakeClock) -> None:
    early = await put(node, "early", "we met the harbour master", tier="long")
    clock.advance(30 * DAY_S)
    late = await put(node, "late", "we met the harbour master", tier="long")
    clock.advance(3 * DAY_S)
    assert ids(await recall(node, "whom did we meet at the harbour"))[0] == late.id
    found = await recall(node, "whom did we meet at the harbour 33 days ago", explain=True)
    assert ids(found) == [early.id, late.id]
    assert found.memories[0].explanation and found.memories[0].explanation.time == tuning.NEARNESS_SHARE
    assert found.ranking and [(each.begin[:10], each.end[:10]) for each in found.ranking.periods] == [
        ("2027-01-15", "2027-01-16")
    ]


async def test_a_time_saves_what_lies_in_it_from_the_floor(hybrid: Node) -> None:
    await put(hybrid, "t", "gamma delta")
    assert (await recall(hybrid, "epsilon zeta")).below_floor == 1
    found = await recall(hybrid, "epsilon zeta today")
    assert (found.count, found.below_floor) == (1, 0)


async def test_what_a_user_said_comes_before_what_an_assistant_made_of_it(node: Node) -> None:
    assistant = await put(node, "a", "a red bike", metadata={"role": "assistant"}, priority=6)
    user = await put(node, "u", "a red bike", metadata={"role": "user"})
    assert ids(await recall(node, "which bike do I have")) == [user.id, assistant.id]
    assert ids(await recall(node, "which bike did you advise")) == [assistant.id, user.id]


# The floor -----------------------------------------------------------------------------------------------------------


async def test_nothing_relevant_is_an_answer_that_says_how_many_fell(hybrid: Node) -> None:
    for number in range(5):
        await put(hybrid, f"m{number}", "bread butter and jam for breakfast")
    found = await recall(hybrid, "quarterly tax audit")
    assert (found.memories, found.count, found.tokens_used, found.below_floor) == ((), 0, 0, 5)
    without = await recall(hybrid, "quarterly tax audit", floor=False)
    assert (without.count, without.below_floor) == (5, 0)
    assert (await recall(hybrid, "bread")).count == 5


async def test_an_exact_word_stands_above_the_floor_whatever_the_model_thinks_of_it(hybrid: Node) -> None:
    named = await put(hybrid, "m", " ".join(f"filler{number}" for number in range(150)) + " getUserById")
    found = await recall(hybrid, "getUserById")
    assert ids(found) == [named.id]


async def test_by_keyword_nothing_falls_below_the_floor(node: Node) -> None:
    await put(node, "m", "one word of many")
    found = await recall(node, "word that nothing else of this question shares with the rest")
    assert (found.count, found.below_floor) == (1, 0)


# Explanations --------------------------------------------------------------------------------------------------------


def recomputed(found: RecallResult, explanation: Explanation) -> float:
    """The score from what the answer says alone."""
    ranking = found.ranking
    assert ranking
    words = explanation.bm25.scaled if explanation.bm25 else 0.0
    meaning = explanation.cosine.scaled if explanation.cosine else 0.0
    assert explanation.fused == min(1.0, (1.0 - ranking.dense_weight) * words + ranking.dense_weight * meaning)
    assert explanation.time == ranking.nearness_share * explanation.nearness
    assert explanation.role in (0.0, ranking.user_turn_share)
    factor = (
        explanation.priority * explanation.confidence * explanation.tier * explanation.access * explanation.recency
        * explanation.proximity
    )
    return (explanation.fused + explanation.time + explanation.role) * factor


async def test_an_explanation_adds_up_to_the_score_even_after_its_way_through_json(
    either: Node, clock: FakeClock
) -> None:
    for number in range(30):
        await put(
            either, f"m{number}", "harbour " * (number % 5) + "lights at dawn " * (number % 3) + f"text {number}",
            namespace=("a", "a/b", "a/b/c")[number % 3], priority=number % 10 + 1, confidence=number / 29,
            tier=("short", "mid", "long")[number % 3], metadata={"role": ("user", "assistant")[number % 2]},
            ttl_secs=30 * DAY_S,
        )
        clock.advance(DAY_S / 20)
    answer = await recall(
        either, "harbour lights of yesterday text", namespace="a/b/c", limit=50, explain=True, floor=False
    )
    found = msgspec.json.decode(msgspec.json.encode(answer), type=RecallResult)
    assert found.count == 30
    assert found.ranking and found.ranking.dense_weight == (0.0 if found.mode == "keyword" else tuning.DENSE_WEIGHT)
    for memory in found.memories:
        assert memory.explanation
        assert recomputed(found, memory.explanation) == memory.explanation.final
        assert memory.score == round(memory.explanation.final, 3)
    assert found.ranking.considered == 30
    finals = [m.explanation.final for m in found.memories if m.explanation and not m.explanation.moved_by]
    assert len({round(final, 9) for final in finals}) > 20


async def test_without_being_asked_nothing_is_explained(node: Node) -> None:
    await put(node, "m", "word")
    found = await recall(node, "word")
    assert (found.ranking, found.memories[0].explanation) == (msgspec.UNSET, msgspec.UNSET)


async def test_what_both_arms_found_has_a_cosine_also_where_meaning_alone_would_not_have_found_it(
    hybrid: Node
) -> None:
    await crowd(hybrid, ["alpha beta"] * 120)
    rare = await put(hybrid, "rare", "zebra " + " ".join(f"other{number}" for number in range(60)))
    found = await recall(hybrid, "alpha beta zebra", limit=50, explain=True)
    [memory] = [memory for memory in found.memories if memory.id == rare.id]
    assert memory.explanation and memory.explanation.cosine and memory.explanation.cosine.rank > 100


# Odd stores and odd questions ----------------------------------------------------------------------------------------


async def test_ten_thousand_identical_rows_give_the_same_answer_twice(either: Node) -> None:
    await crowd(either, ["the very same text"] * (10_000 if either.recaller.mode == "keyword" else 1_000))
    first, second = [await recall(either, "very same text", limit=50) for _ in range(2)]
    assert ids(first) == ids(second) == sorted(ids(first))
    assert len(set(ids(first))) == 50


@pytest.mark.parametrize("context", [
    "what", "the of and", "!!!", "🎉🎉", "\u202eabc", "مرحبا بالعالم", "NEAR/3 OR AND NOT", '"unclosed', "a" * 60_000,
    "word " * 13_000, "\u0301\u0301", "東京 and ünïcödé", "0", "may", "\x7f",
], ids=lambda context: ascii(context[:12]))
async def test_odd_questions_are_answered_on_an_empty_and_on_a_small_store(
    either: Node, context: str
) -> None:
    assert (await recall(either, context)).count == 0
    await put(either, "m", "some text of no account")
    assert (await recall(either, context)).count in (0, 1)
    assert (await recall(either, context, floor=False, explain=True)).count in (0, 1)
