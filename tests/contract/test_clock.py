"""The wall clock: production's and the tests'."""

from __future__ import annotations

import pytest

from aimem.model import format_instant, parse_instant
from aimem.ports import Clock, system_clock
from tests.nodes import FakeClock

MAKERS = {"system": system_clock, "fake": FakeClock}


@pytest.fixture(params=sorted(MAKERS))
def clock(request: pytest.FixtureRequest) -> Clock:
    return MAKERS[request.param]()


def test_moments_are_whole_microseconds_of_our_time(clock: Clock) -> None:
    now = clock.now()
    assert type(now) is int
    assert 2024 < int(format_instant(now)[:4]) < 2200
    assert parse_instant(format_instant(now), field="now") == now


def test_an_undisturbed_clock_does_not_go_back(clock: Clock) -> None:
    moments = [clock.now() for _ in range(100)]
    assert moments == sorted(moments)
