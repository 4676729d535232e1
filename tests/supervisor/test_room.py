"""Room for connections: what the machine allows is taken, and too little of it is said."""

from __future__ import annotations

import logging
import resource

import pytest

from aimem.ports import raise_open_max
from aimem.supervisor.room import OPEN_FEW, OPEN_WANTED, make_room

NO_BOUND = resource.RLIM_INFINITY


@pytest.mark.parametrize(("soft", "hard", "wanted", "allowed"), [
    (64, 512, 65_536, 512), (64, 512, 128, 128), (256, 512, 128, 256), (64, NO_BOUND, 128, 128),
    (NO_BOUND, NO_BOUND, 128, 128), (512, 512, 128, 512),
])
def test_as_many_as_the_machine_allows_may_be_open_and_never_fewer_than_before(
    soft: int, hard: int, wanted: int, allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, both: limits.append(both))
    assert raise_open_max(wanted) == allowed
    assert limits[-1] == (soft if NO_BOUND in (soft, allowed) or soft >= wanted else allowed, hard)


def test_a_machine_that_does_not_let_us_have_what_it_says_leaves_what_there_was(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(which: int, both: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, NO_BOUND))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_open_max(65_536) == 256


@pytest.mark.parametrize(("allowed", "told"), [
    (OPEN_FEW - 1, [("WARNING", "node.few_open_files", OPEN_FEW - 1)]), (OPEN_FEW, []),
])
def test_too_few_are_told_of(
    allowed: int, told: list[tuple[str, str, int]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = list[int]()

    def raised(wanted: int) -> int:
        asked.append(wanted)
        return allowed

    make_room(raised)
    assert asked == [OPEN_WANTED]
    assert [(record.levelname, record.message, vars(record)["allowed"]) for record in caplog.records] == told
