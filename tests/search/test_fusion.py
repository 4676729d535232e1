"""Fusion as properties of any two rankings."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.search import Fused, fuse_scores, keep_firsts, places

numbers = st.floats(allow_nan=False, allow_infinity=False)
arms = st.dictionaries(st.integers(0, 30), numbers, max_size=12)
tame_arms = st.dictionaries(st.integers(0, 30), st.integers(-100, 100).map(float), max_size=12)
weights = st.floats(0, 1)


@given(arms, arms, weights)
def test_every_row_comes_once_in_order_with_a_score_in_0_to_1(
    lexical: dict[int, float], dense: dict[int, float], weight: float
) -> None:
    ranked = fuse_scores(lexical, dense, dense_weight=weight)
    assert sorted(row.no for row in ranked) == sorted(lexical.keys() | dense.keys())
    assert all(0.0 <= row.score <= 1.0 for row in ranked)
    assert ranked == sorted(ranked, key=lambda row: (-row.score, row.no))


@given(tame_arms, tame_arms, weights, st.integers(-50, 50), st.integers(1, 8).map(lambda power: 2.0 ** power))
def test_scale_of_an_arm_does_not_matter(
    lexical: dict[int, float], dense: dict[int, float], weight: float, shift: int, scale: float
) -> None:
    moved = {no: scale * score + shift for no, score in lexical.items()}
    before, after = fuse_scores(lexical, dense, dense_weight=weight), fuse_scores(moved, dense, dense_weight=weight)
    assert {row.no: row.score for row in after} == pytest.approx({row.no: row.score for row in before})


@given(tame_arms)
def test_one_arm_alone_keeps_its_order(lexical: dict[int, float]) -> None:
    expected = sorted(lexical, key=lambda no: (-lexical[no], no))
    assert [row.no for row in fuse_scores(lexical, {})] == expected


@given(tame_arms, tame_arms, weights)
def test_row_that_is_better_in_both_arms_is_never_below(
    lexical: dict[int, float], dense: dict[int, float], weight: float
) -> None:
    score = {row.no: row.score for row in fuse_scores(lexical, dense, dense_weight=weight)}
    for one in lexical.keys() & dense.keys():
        for other in lexical.keys() & dense.keys():
            if lexical[one] >= lexical[other] and dense[one] >= dense[other]:
                assert score[one] >= score[other]


def test_weights_are_those_of_the_words_and_the_meaning() -> None:
    ranked = fuse_scores({1: 8.0, 2: 4.0, 3: 6.0}, {2: 0.9, 3: 0.5, 4: 0.1}, dense_weight=0.3)
    assert ranked == [
        Fused(no=1, words=1.0, meaning=0.0, score=pytest.approx(0.7)),
        Fused(no=3, words=0.5, meaning=pytest.approx(0.5), score=pytest.approx(0.5)),
        Fused(no=2, words=0.0, meaning=1.0, score=pytest.approx(0.3)),
        Fused(no=4, words=0.0, meaning=0.0, score=0.0),
    ]


def test_arm_with_one_row_counts_in_full() -> None:
    assert [(row.no, row.score) for row in fuse_scores({5: 0.001}, {9: -0.2})] == [(5, 0.7), (9, 0.3)]


@pytest.mark.parametrize("weight", [-0.01, 1.01, math.nan, math.inf])
def test_weight_outside_0_to_1_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="dense_weight"):
        fuse_scores({1: 1.0}, {1: 1.0}, dense_weight=weight)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    for lexical, dense in (({1: bad, 2: 1.0}, {}), ({}, {1: bad})):
        with pytest.raises(ValueError, match="finite"):
            fuse_scores(lexical, dense)


def test_places_count_from_one_ties_by_row() -> None:
    assert places({7: 0.5, 3: 0.5, 5: 0.9}) == {5: 1, 3: 2, 7: 3}
    assert places({}) == {}


@given(st.lists(st.integers(0, 30), unique=True, min_size=2), st.data(), st.integers(0, 8))
def test_first_of_each_arm_is_kept_within_the_answer(order: list[int], data: st.DataObject, limit: int) -> None:
    firsts = data.draw(st.sets(st.sampled_from(order), max_size=2))
    kept = keep_firsts(order, firsts, limit)
    assert sorted(kept) == sorted(order)
    assert firsts <= set(kept[:max(2, limit)])
    assert [no for no in kept if no not in firsts] == [no for no in order if no not in firsts]


def test_nothing_moves_when_both_firsts_are_in() -> None:
    assert keep_firsts([4, 2, 9], {4, 2}, 2) == [4, 2, 9]
    assert keep_firsts([4], {4}, 1) == [4]
    assert keep_firsts([], (), 5) == []


def test_first_that_fell_below_takes_the_last_place_in_sight() -> None:
    assert keep_firsts([1, 2, 3, 4, 5], {5}, 3) == [1, 2, 5, 3, 4]
    assert keep_firsts([1, 2, 3, 4, 5], {3, 5}, 1) == [3, 5, 1, 2, 4]
