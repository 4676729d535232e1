"""A named bug that a test puts into the nodes, what the weather is then, and which checks may find it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any  # conditions are given by their names

import msgspec
import pytest
from msgspec import Struct

from tests.sim.swarm import Certificates, Fault, Lie, Swarm, roll, with_liar
from tests.sim.watch import Violation
from tests.sim.world import World, simulate

SEEDS_MAX = 8
SECONDS = 12.0
_NO_WEATHER: dict[str, Any] = {
    "quorum": 2, "loss": 0.02, "duplicates": 0.1, "leaves_late": 0.0, "breaks": 0.0, "lies": 0.0, "delay_s": 0.005,
    "secured": False, "governed": False, "clients": 4, "think_s": 0.3, "commit_s": 0.002, "compare_s": None,
    "certificates": Certificates.NONE, "has_model": False, "log_most": None, "clock_offset_s": 0.0, "clock_drift": 0.0,
}

Weather = Callable[[int], Swarm]


def no_change(_: object) -> None:
    """Leave something as it is."""


class Planted(Struct, frozen=True, kw_only=True):
    """A bug of the table.

    Attributes:
      broken: what the nodes do wrong with it, as a sentence.
      plant: puts it in, for as long as the patch lasts; nothing in the product knows of it.
      weather: the conditions under a seed; `prepare` may change the world before it begins. Without the bug nothing is
        found under them.
      checks: those that may find it; of what a node reports itself also the first word.
      seeds: tried in their order until one finds it, at most SEEDS_MAX.
      seconds: of storm, in virtual time.
    """

    name: str
    broken: str
    plant: Callable[[pytest.MonkeyPatch], None]
    weather: Weather
    prepare: Callable[[World], None] = no_change
    checks: frozenset[str]
    seeds: Sequence[int] = range(1, 1 + SEEDS_MAX)
    seconds: float = SECONDS


class Hunt(Struct, frozen=True, kw_only=True):
    """How a bug was looked for.

    Attributes:
      seed: the last one that was tried; under it the bug was found, if it was.
      tried: how many seeds that took.
      checks: those that found something; empty if none did.
      spent_s: of processor time.
    """

    seed: int
    tried: int
    checks: tuple[str, ...]
    spent_s: float


def storm(*faults: Fault, **changes: Any) -> Weather:
    """Bad weather of which every seed has some, and nothing that a bug does not need."""
    chosen = faults or (Fault.PARTITION, Fault.KILL)
    conditions = {**_NO_WEATHER, "calm_s": 4.0, "faults": chosen, **changes}
    return lambda seed: msgspec.structs.replace(roll(seed, nodes=3), **conditions)


def calm(*faults: Fault, **changes: Any) -> Weather:
    """Fair weather, in which nothing happens but what a bug is about."""
    conditions = {**_NO_WEATHER, "calm_s": 3.0, "faults": faults, **changes}
    return lambda seed: msgspec.structs.replace(roll(seed, nodes=3), **conditions)


def beside(*lies: Lie, **changes: Any) -> Weather:
    """The weather beside a member that lies about this and nothing else."""
    honest = storm(**{"calm_s": 8.0, **changes})
    return lambda seed: msgspec.structs.replace(with_liar(honest(seed)), member_lies=lies)


APART = storm(Fault.PARTITION, quorum=1, calm_s=2.0)
"""Everybody writes on each side of every cut."""
APART_S = 20.0


def hunt(row: Planted) -> Hunt:
    """Put a bug in, and try its seeds until a check finds something."""
    began, seed, checks = time.process_time(), 0, tuple[str, ...]()
    with pytest.MonkeyPatch.context() as patch:
        row.plant(patch)
        for seed in row.seeds:
            checks = tuple(sorted({name_of(found, row.checks) for found in _violations(row, seed)}))
            if checks:
                break
    tried = row.seeds.index(seed) + 1
    return Hunt(seed=seed, tried=tried, checks=checks, spent_s=time.process_time() - began)


def findings(row: Planted, seed: int) -> list[str]:
    """What is found under the conditions of a bug that is not there."""
    key = conditions(row, seed)
    if key not in _clean:
        found = _violations(row, seed)
        if found:
            return [f"seed {seed}, {violation.check}: {violation.text}" for violation in found]
        _clean.add(key)
    return []


def conditions(row: Planted, seed: int) -> tuple[object, ...]:
    """What a run without the bug depends on: the same for many bugs."""
    return row.weather(seed), row.seconds, row.prepare


_clean: set[tuple[object, ...]] = set()


def _violations(row: Planted, seed: int) -> tuple[Violation, ...]:
    return simulate(row.weather(seed), row.seconds, prepare=row.prepare).violations


def name_of(violation: Violation, expected: Iterable[str]) -> str:
    """Which promise did not hold; where a node reports it as an error itself, by the name of that if it is expected."""
    word = violation.text.partition(" ")[0]
    return word if violation.check == "journal" and word in expected else violation.check
