"""Rates: never more than was said, never less, and a wait that is told is enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimem.governance import Buckets, Rate
from aimem.governance.quotas import DEBT_MAX_S

EPSILON = 1e-6
rates = st.builds(Rate, st.floats(0.01, 1000), st.integers(1, 50).map(float))
pauses = st.lists(st.one_of(st.just(0.0), st.floats(0, 5)), min_size=1, max_size=80)


@given(rates, pauses, st.floats(0, 1e7))
@settings(max_examples=60)
def test_no_stretch_of_time_has_more_than_its_rate_and_one_burst(rate: Rate, steps: list[float], start: float) -> None:
    buckets, now, taken = Buckets(rate), start, []
    for step in steps:
        now += step
        if buckets.take("ada", now) == 0:
            taken.append(now)
    for first, began in enumerate(taken):
        for count, at in enumerate(taken[first:], start=1):
            assert count <= rate.per_s * (at - began) + rate.burst + EPSILON


@given(rates, pauses, st.floats(0, 1e7))
@settings(max_examples=60)
def test_who_waits_as_long_as_told_is_let_in_and_who_waits_less_is_not(
    rate: Rate, steps: list[float], start: float
) -> None:
    buckets, now = Buckets(rate), start
    for step in steps:
        now += step
        wait_s = buckets.take("ada", now)
        if wait_s > EPSILON * max(1, start):
            assert buckets.take("ada", now + wait_s * 0.9) > 0
            now += math.ceil(wait_s)
            assert buckets.take("ada", now) == 0


def test_agents_do_not_use_up_what_others_have() -> None:
    buckets = Buckets(Rate(1, 2))
    assert [buckets.take(agent, 0) for agent in ("ada", "ada", "bob", "bob")] == [0, 0, 0, 0]
    assert buckets.take("ada", 0) == pytest.approx(1)
    assert buckets.take("bob", 1) == 0


def test_what_was_done_already_is_owed_for_an_hour_at_most() -> None:
    buckets = Buckets(Rate(1, 1))
    buckets.charge("ada", 10, 0)
    assert buckets.take("ada", 0) == pytest.approx(10)
    buckets.charge("ada", 1_000_000, 0)
    assert buckets.take("ada", 0) == pytest.approx(DEBT_MAX_S + 1)


def test_of_too_many_agents_the_one_that_was_quiet_for_longest_is_forgotten() -> None:
    buckets = Buckets(Rate(0.001, 1), agents_count=2)
    for agent in ("ada", "bob", "ada", "cyd"):
        buckets.take(agent, 0)
    assert len(buckets) == 2
    assert buckets.take("ada", 0) == 0
    assert buckets.take("cyd", 0) > 0
