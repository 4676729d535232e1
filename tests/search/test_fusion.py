"""Fusion as properties of any two rankings."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.search import Scored, fuse_scores, keep_firsts

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
        Scored(no=1, score=pytest.approx(0.7)), Scored(no=3, score=pytest.approx(0.5)),
        Scored(no=2, score=pytest.approx(0.3)), Scored(no=4, score=0.0),
    ]


def test_arm_with_one_row_counts_in_full() -> None:
    assert fuse_scores({5: 0.001}, {9: -0.2}) == [Scored(no=5, score=0.7), Scored(no=9, score=0.3)]


@pytest.mark.parametrize("weight", [-0.01, 1.01, math.nan, math.inf])
def test_weight_outside_0_to_1_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="dense_weight"):
        fuse_scores({1: 1.0}, {1: 1.0}, dense_weight=weight)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    for lexical, dense in (({1: bad, 2: 1.0}, {}), ({}, {1: bad})):
        with pytest.raises(ValueError, match="finite"):
            fuse_scores(lexical, dense)


@given(tame_arms, tame_arms, st.integers(1, 8))
def test_first_of_each_arm_is_kept_within_the_answer(
    lexical: dict[int, float], dense: dict[int, float], limit: int
) -> None:
    ranked = fuse_scores(lexical, dense, dense_weight=0.5)
    kept = keep_firsts(ranked, lexical, dense, limit)
    assert sorted(row.no for row in kept) == sorted(row.no for row in ranked)
    head = [row.no for row in kept[:max(2, limit)]]
    firsts = {min(arm, key=lambda no: (-arm[no], no)) for arm in (lexical, dense) if arm}
    assert firsts <= set(head)
    still = [row for row in ranked if row.no not in firsts]
    assert [row for row in kept if row.no not in firsts] == still


def test_nothing_moves_when_both_firsts_are_in() -> None:
    lexical, dense = {1: 3.0, 2: 2.0, 3: 1.0}, {2: 0.9, 1: 0.8, 3: 0.7}
    ranked = fuse_scores(lexical, dense)
    assert keep_firsts(ranked, lexical, dense, 2) == ranked


def test_first_of_an_arm_that_boosts_left_out_is_ignored() -> None:
    ranked = [Scored(no=1, score=0.5)]
    assert keep_firsts(ranked, {7: 9.0, 1: 1.0}, {}, 1) == ranked
