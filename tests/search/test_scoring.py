"""Boosts stay small; the budget is kept and never empties an answer."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import DAY_S, Candidate, Instant, MemoryId, Namespace, Tier, after
from aimem.search import (
    asks_of_assistant,
    boosts,
    fit_budget,
    fuse_scores,
    proximity,
    recency,
    token_cost,
)

NOW = Instant(1_760_000_000_000_000)


def factor(
    *, priority: int = 5, confidence: float = 1.0, tier: Tier = Tier.SHORT, reads: int = 0, age_days: float = 1e6
) -> float:
    updated_at = after(NOW, -age_days * DAY_S)
    candidate = Candidate(
        id=MemoryId("m"), namespace=Namespace("a"), tier=tier, priority=priority, confidence=confidence,
        created_at=updated_at, updated_at=updated_at, access_count=reads,
    )
    return boosts(candidate, now=NOW, half_life_days=7, asked=None).factor


def test_plain_old_row_is_not_moved() -> None:
    assert factor() == 1.0


def test_all_boosts_together_stay_within_an_eighth() -> None:
    every = [
        factor(priority=priority, confidence=confidence, tier=tier, reads=reads, age_days=age)
        for priority, confidence, tier, reads, age in product((1, 10), (0.0, 1.0), Tier, (0, 10**9), (-1, 0, 1e6))
    ]
    assert 0.95 <= min(every) < max(every) <= 1.125


@given(st.lists(st.floats(0.2, 20), min_size=2, max_size=20), st.floats(-0.2, 0.35))
def test_irrelevant_maximal_row_never_outranks_a_clearly_relevant_plain_row(others: list[float], cosine: float) -> None:
    """Row 1 answers the question by its words; row 2 shares only a common word and is boosted by all that there is."""
    lexical = {1: 2 * max(others), 2: min(others), **dict(enumerate(others, 3))}
    dense = {1: 0.5, 2: cosine, 3: -0.3}
    score = {row.no: row.score for row in fuse_scores(lexical, dense)}
    worst, best = factor(priority=1, confidence=0.0), factor(priority=10, tier=Tier.LONG, reads=50, age_days=0)
    assert score[1] * worst > score[2] * best


def test_each_quality_raises_the_factor() -> None:
    assert factor(priority=6) > factor(priority=5) > factor(priority=4)
    assert factor(confidence=0.9) < factor(confidence=1.0)
    assert factor(tier=Tier.SHORT) < factor(tier=Tier.MID) < factor(tier=Tier.LONG)
    assert factor(reads=0) < factor(reads=1) < factor(reads=50) == factor(reads=51)


@pytest.mark.parametrize("days", [7, 30, 365])
def test_recency_halves_with_its_half_life_and_the_future_counts_as_now(days: int) -> None:
    def at(age_days: float) -> float:
        return recency(updated_at=after(NOW, -age_days * DAY_S), now=NOW, half_life_days=days)

    assert recency(updated_at=NOW, now=NOW, half_life_days=None) == 1.0
    assert at(0) == at(-400) == 1.05
    assert at(days) == pytest.approx(1.025)
    assert at(2 * days) == pytest.approx(1.0125)


def test_ancestors_count_less_with_each_level_and_descendants_in_full() -> None:
    asked = Namespace("a/b/c")
    levels = [proximity(asked=asked, found=Namespace(found)) for found in ("a/b/c", "a/b", "a")]
    assert levels == pytest.approx([1.0, 1 / 1.3, 1 / 1.6])
    assert proximity(asked=Namespace("a"), found=asked) == 1.0


@pytest.mark.parametrize(("text", "is_so"), [
    ("what did you recommend?", True), ("remind me of Your list", True), ("what did I tell them?", False),
    ("the youth club", False), ("thank-you note", True), ("", False),
])
def test_a_question_that_says_you_asks_of_the_assistant(text: str, is_so: bool) -> None:
    assert asks_of_assistant(text) is is_so


def test_token_cost_is_a_quarter_of_the_bytes() -> None:
    assert token_cost("", "abc") == 0
    assert token_cost("ab", "cé") == 1
    assert token_cost("ab", "é" * 3) == 2


def test_row_that_does_not_fit_is_passed_over() -> None:
    assert fit_budget([5, 100, 4, 1], 10) == [0, 2, 3]


def test_first_row_is_always_there() -> None:
    assert fit_budget([100, 1, 0], 10) == [0]
    assert fit_budget([7], 0) == [0]
    assert fit_budget([], 10) == []


@given(st.lists(st.integers(0, 50), max_size=20), st.none() | st.integers(0, 200))
def test_budget_is_kept_save_for_the_first_row_and_what_fits_is_in(sizes: list[int], budget: int | None) -> None:
    chosen = fit_budget(sizes, budget)
    assert chosen == sorted(set(chosen))
    if budget is None:
        assert chosen == list(range(len(sizes)))
        return
    spent = sum(sizes[position] for position in chosen)
    assert spent <= budget or chosen == [0]
    for position in set(range(len(sizes))) - set(chosen):
        assert sum(sizes[taken] for taken in chosen if taken < position) + sizes[position] > budget
