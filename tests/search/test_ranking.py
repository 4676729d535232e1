"""The order of candidates, its reasons, and that both agree."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import DAY_S, SECOND_US, Candidate, Instant, MemoryId, Namespace, Tier
from aimem.search import Evidence, Move, Period, Ranked, Wish, newer_first, rank, tuning

NOW = Instant(1_800_000_000_000_000)
DAY_US = DAY_S * SECOND_US
YESTERDAY = Period(Instant(NOW - 2 * DAY_US), Instant(NOW - DAY_US))
WISH = Wish(now=NOW, dense_weight=0.3)


def candidate(no: int, **changes: object) -> Candidate:
    fields: dict[str, object] = {
        "id": MemoryId(f"m{no:03}"), "namespace": Namespace("a"), "tier": Tier.SHORT, "created_at": Instant(0),
        "updated_at": Instant(0),
    }
    return msgspec.convert({**fields, **changes}, Candidate)


def evidence(
    lexical: dict[int, float], cosines: dict[int, float], contradicted: dict[int, tuple[int, ...]] | None = None,
    **changes: dict[str, object],
) -> Evidence:
    """Rows by number; `m3={...}` changes row 3."""
    rows = {no: candidate(no, **changes.get(f"m{no}", {})) for no in lexical.keys() | cosines.keys()}
    return Evidence(lexical=lexical, cosines=cosines, rows=rows, contradicted=contradicted or {})


def numbers(ranked: list[Ranked]) -> list[int]:
    return [row.no for row in ranked]


def test_rows_come_by_score_with_their_places_in_each_arm() -> None:
    ranked = rank(evidence({1: 9.0, 2: 3.0, 3: 6.0}, {1: 0.2, 2: 0.8, 4: 0.5}), WISH, dropped=(), limit=10)
    assert [(row.no, row.words_place, row.meaning_place) for row in ranked] == [
        (1, 1, 3), (3, 2, None), (2, 3, 1), (4, None, 2),
    ]
    assert [row.score for row in ranked] == pytest.approx([0.7, 0.35, 0.3, 0.15])
    assert all(row.moved_by == () for row in ranked)


def test_equals_come_by_id_whatever_their_numbers() -> None:
    found = evidence({3: 1.0, 1: 1.0, 2: 1.0}, {}, m1={"id": "c"}, m2={"id": "a"}, m3={"id": "b"})
    assert numbers(rank(found, WISH, dropped=(), limit=10)) == [2, 3, 1]


def test_a_time_favours_rows_near_it_by_a_bounded_share_and_changes_nothing_unasked() -> None:
    found = evidence({1: 1.0, 2: 0.9, 3: 0.0}, {}, m2={"created_at": YESTERDAY.begin}, m3={"created_at": NOW})
    timed = msgspec.structs.replace(WISH, periods=(YESTERDAY,))
    assert numbers(rank(found, WISH, dropped=(), limit=10)) == [1, 2, 3]
    ranked = rank(found, timed, dropped=(), limit=10)
    assert numbers(ranked) == [2, 1, 3]
    assert [row.nearness for row in ranked] == pytest.approx([1.0, 0.0, 0.5])
    assert [row.time for row in ranked] == pytest.approx([0.15, 0.0, 0.075])
    far = evidence({1: 1.0, 2: 0.7}, {}, m2={"created_at": YESTERDAY.begin})
    assert numbers(rank(far, timed, dropped=(), limit=10)) == [1, 2]


def test_user_turns_gain_at_most_a_tenth_unless_the_assistant_is_asked() -> None:
    user, assistant = {"role": "user"}, {"role": "assistant"}
    found = evidence({1: 1.0, 2: 0.99, 3: 0.0}, {}, m1=assistant, m2=user)
    ranked = rank(found, WISH, dropped=(), limit=10)
    assert numbers(ranked) == [2, 1, 3]
    assert [row.role for row in ranked] == [tuning.USER_TURN_SHARE, 0.0, 0.0]
    assert tuning.USER_TURN_SHARE <= 0.1
    asked = msgspec.structs.replace(WISH, favours_user=False)
    assert numbers(rank(found, asked, dropped=(), limit=10)) == [1, 2, 3]


def test_what_is_dropped_leaves_the_scores_of_the_rest_alone() -> None:
    found = evidence({1: 9.0, 2: 3.0, 3: 6.0}, {4: 0.9, 1: 0.1})
    whole = {row.no: row.score for row in rank(found, WISH, dropped=(), limit=10)}
    rest = rank(found, WISH, dropped={2, 4}, limit=10)
    assert {row.no: row.score for row in rest} == {no: whole[no] for no in (1, 3)}
    assert rank(found, WISH, dropped={1, 2, 3, 4}, limit=10) == []


def test_first_of_an_arm_that_others_pushed_down_is_set_in_sight_and_says_so() -> None:
    lexical = {no: 10.0 - no / 10 for no in range(1, 9)} | {8: 0.0}
    found = evidence(lexical, {9: 0.9})
    ranked = rank(found, WISH, dropped=(), limit=3)
    assert numbers(ranked)[:3] == [1, 2, 9]
    assert [row.moved_by for row in ranked[:3]] == [(), (), (Move.FIRST_OF_MEANING,)]
    assert ranked[2].score < ranked[3].score
    # Of what is left after the floor, the best of the arm is its first.
    other = rank(evidence(lexical, {9: 0.9, 10: 0.8}), WISH, dropped={9}, limit=3)
    assert numbers(other)[:3] == [1, 2, 10]


def test_of_two_facts_that_contradict_each_other_the_newer_comes_first() -> None:
    found = evidence(
        {1: 9.0, 2: 8.0, 3: 1.0}, {}, contradicted={1: (3,)}, m1={"created_at": 10}, m3={"created_at": 20}
    )
    ranked = rank(found, WISH, dropped=(), limit=10)
    assert [(row.no, row.moved_by) for row in ranked] == [(3, (Move.NEWER_FACT,)), (1, ()), (2, ())]


def test_newer_facts_come_newest_first_directly_before_what_they_contradict() -> None:
    found = evidence(
        dict.fromkeys(range(6), 1.0), {}, contradicted={1: (3, 4), 3: (4,), 4: (5,)},
        **{f"m{no}": {"created_at": no} for no in range(6)},
    )
    assert newer_first([0, 1, 2, 3, 4, 5], found) == [0, 5, 4, 3, 1, 2]
    assert newer_first([5, 4, 3, 2, 1, 0], found) == [5, 4, 3, 2, 1, 0]
    assert newer_first([1, 0], found) == [1, 0]


def test_nothing_found_ranks_nothing() -> None:
    assert rank(evidence({}, {}), WISH, dropped=(), limit=10) == []


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        rank(evidence({1: math.nan}, {}), WISH, dropped=(), limit=10)


scores = st.dictionaries(st.integers(0, 20), st.floats(-1, 50), max_size=12)
changes = st.dictionaries(st.sampled_from([f"m{no}" for no in range(21)]), st.fixed_dictionaries({
    "priority": st.integers(1, 10), "confidence": st.floats(0, 1), "access_count": st.integers(0, 99),
    "created_at": st.integers(NOW - 10 * DAY_US, NOW), "updated_at": st.integers(0, NOW),
    "tier": st.sampled_from(Tier), "role": st.sampled_from([None, "user", "assistant"]),
    "namespace": st.sampled_from(["a", "a/b", "a/b/c"]),
}))


@given(scores, scores, changes, st.sampled_from([None, "a/b/c"]), st.integers(0, 12))
def test_the_numbers_of_a_row_add_up_to_its_score_exactly(
    lexical: dict[int, float], cosines: dict[int, float], changed: dict[str, dict[str, object]], asked: str | None,
    limit: int,
) -> None:
    wish = Wish(
        now=NOW, dense_weight=0.3, periods=(YESTERDAY,), asked=None if asked is None else Namespace(asked)
    )
    found = evidence(lexical, cosines, **changed)
    ranked = rank(found, wish, dropped=(), limit=limit)
    assert sorted(numbers(ranked)) == sorted(found.rows)
    for row in ranked:
        assert row.fused.score == min(1.0, (1.0 - 0.3) * row.fused.words + 0.3 * row.fused.meaning)
        assert row.time == tuning.NEARNESS_SHARE * row.nearness
        boosts = row.boosts
        factor = (
            boosts.priority * boosts.confidence * boosts.tier * boosts.access * boosts.recency * boosts.proximity
        )
        assert row.score == (row.fused.score + row.time + row.role) * factor
        assert 0.0 <= row.score <= 1.36
    by_score = [row for row in ranked if 1 not in (row.words_place, row.meaning_place)]
    assert by_score == sorted(by_score, key=lambda row: (-row.score, found.rows[row.no].id))
