"""Likeness by words, and what automatic passes put together for it, as tables and properties."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import AgentId, Instant, Memory, MemoryId, Scope
from aimem.service.similarity import ALIKE, decide_clusters, decide_duplicates, jaccard, words_of
from tests.service.test_merging import memory

PLAN = "we deploy the release on friday evening after the freeze"


def row(name: str, content: str, at: int = 0, **fields: object) -> Memory:
    known: dict[str, object] = {"title": "same", "created_at": Instant(at), "updated_at": Instant(at)}
    return memory(name, content=content, **{**known, **fields})


def duplicates(*rows: Memory) -> list[tuple[str, str]]:
    return [(plan.kept, "".join(plan.others)) for plan in decide_duplicates(rows)]


@pytest.mark.parametrize(
    ("one", "other", "expected"), [("abc", "abd", 0.5), ("ab", "cd", 0.0), ("", "", 0.0), ("a", "a", 1)]
)
def test_jaccard(one: str, other: str, expected: float) -> None:
    assert jaccard(frozenset(one), frozenset(other)) == expected


def test_words_are_compared_in_one_case_and_short_ones_do_not_tell() -> None:
    found = words_of(row("a", "It IS the Straße, no?", title="Two Words"))
    assert found.telling == {"the", "strasse"}
    assert found.all == {"it", "is", "the", "strasse", "no", "two", "words"}
    assert words_of(row("a", "text", title="made of text", title_generated=True)).all == {"text"}


@pytest.mark.parametrize(("rows", "expected"), [
    ([row("1", PLAN, 1), row("2", PLAN.upper() + "!", 2)], [("2", "1")]),
    ([row("1", PLAN, 1), row("2", PLAN + " at 9", 2)], [("2", "1")]),
    ([row("1", PLAN + " at 9", 1), row("2", PLAN, 2)], []),
    ([row("1", PLAN + " 5432", 1), row("2", PLAN + " 5433", 2)], []),
    ([row("1", PLAN, 1, title="Server A"), row("2", PLAN, 2, title="Server B")], []),
    ([row("1", PLAN, 1, title="plan"), row("2", PLAN, 2, title="plan two")], [("2", "1")]),
    ([row("1", "we deploy", 1), row("2", PLAN, 2)], []),
    ([row("1", PLAN, 1, author=AgentId("eve")), row("2", PLAN + "!", 2)], [("2", "1")]),
    ([row("1", PLAN, 1, author=AgentId("eve")), row("2", PLAN + " not", 2)], []),
    ([row("1", PLAN, 1, namespace="x"), row("2", PLAN, 2)], []),
    ([row("1", PLAN, 1, scope=Scope.PRIVATE), row("2", PLAN, 2)], []),
    ([row("1", "? !", 1), row("2", "? !", 2)], []),
], ids=str)
def test_only_what_loses_nothing_is_a_duplicate(rows: list[Memory], expected: list[tuple[str, str]]) -> None:
    assert duplicates(*rows) == duplicates(*rows[::-1]) == expected


def test_many_duplicates_go_in_parts_of_eight_and_one_stays() -> None:
    rows = [row(f"{n:02}", PLAN, n) for n in range(20)]
    plans = decide_duplicates(rows)
    assert {plan.kept for plan in plans} == {"19"}
    assert [len(plan.others) for plan in plans] == [7, 7, 5]


def test_clusters_are_of_the_alike_the_newest_first_at_most_eight() -> None:
    rows = [row(f"{n:02}", f"{PLAN} number{n}", n) for n in range(10)]
    assert [len(cluster) for cluster in decide_clusters(rows)] == [8, 2]
    assert decide_clusters(rows)[0][:2] == ("09", "08")
    assert decide_clusters(rows[:1]) == []
    assert decide_clusters([*rows[:2], row("x", "nothing of the kind at all", 99)]) == [("01", "00")]


def test_what_is_private_to_two_is_not_put_together() -> None:
    private = [row(name, PLAN, scope=Scope.PRIVATE, author=AgentId(name)) for name in ("alice", "bob")]
    assert decide_clusters(private) == []
    shared = [row(name, PLAN, author=AgentId(name)) for name in ("alice", "bob")]
    assert len(decide_clusters(shared)) == 1


@pytest.mark.parametrize(("ending", "gone"), [("{high} {low}", 0), ("", 1_999)], ids=["template", "identical"])
def test_two_thousand_long_texts_of_one_template_cost_seconds_and_not_minutes(ending: str, gone: int) -> None:
    """They share every telling word, so each looks like each, and two short words decide, or nothing does."""
    template = " ".join(f"word{n:03}" for n in range(600))
    ends = [ending.format(high=f"{n // 26:02x}", low=chr(97 + n % 26)) for n in range(2_000)]
    rows = [row(f"{n:04}", f"{template} {end}", n) for n, end in enumerate(ends)]
    begin = time.process_time()
    plans, clusters = decide_duplicates(rows), decide_clusters(rows[:500])
    assert time.process_time() - begin < 15
    assert sum(len(plan.others) for plan in plans) == gone
    assert sum(len(cluster) for cluster in clusters) == 500


WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "eps", "no", "9"]), min_size=1, max_size=6)


@given(st.lists(WORDS, max_size=14))
def test_deciding_again_without_what_went_finds_nothing(texts: list[list[str]]) -> None:
    rows = [row(f"m{place}", " ".join(text), place) for place, text in enumerate(texts)]
    gone = {memory_id for plan in decide_duplicates(rows) for memory_id in plan.others}
    assert decide_duplicates([one for one in rows if one.id not in gone]) == []


@given(st.lists(WORDS, max_size=10))
def test_looking_up_by_rare_words_finds_every_pair(texts: list[list[str]]) -> None:
    rows = [row(f"m{place}", " ".join(text), place) for place, text in enumerate(texts)]
    known = {one.id: words_of(one) for one in rows}
    alone = {one.id for one in rows} - {memory_id for cluster in decide_clusters(rows) for memory_id in cluster}
    for one in alone:
        for other in alone - {one}:
            assert jaccard(known[MemoryId(one)].telling, known[MemoryId(other)].telling) < ALIKE
    kept = [one for one in rows if one.id not in {i for plan in decide_duplicates(rows) for i in plan.others}]
    for one in kept:
        for other in kept:
            is_like = jaccard(known[one.id].telling, known[other.id].telling) >= ALIKE
            assert not (is_like and other.created_at < one.created_at and known[other.id].all <= known[one.id].all)
