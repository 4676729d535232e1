"""As many nodes as a write takes are healed, and no others: whoever waits for the rest is found."""

from __future__ import annotations

import pytest

from tests.sim.planting import SECONDS, calm
from tests.sim.plants.looking import TWO_FIRST, write_waits_for_all
from tests.sim.runs import swarm_of
from tests.sim.seeds import Case
from tests.sim.swarm import Fault
from tests.sim.world import simulate

pytestmark = pytest.mark.slow


def test_two_of_four_take_writes_while_the_others_are_away() -> None:
    report = simulate(calm(Fault.KILL, Fault.PARTITION, Fault.LOSE, **TWO_FIRST)(1), SECONDS)
    assert not report.violations
    assert report.progress_s >= 0.0
    assert report.counts["alone"] == 1


def test_whoever_waits_for_all_is_not_found_once_all_are_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    write_waits_for_all(monkeypatch)
    assert not simulate(calm(nodes=4)(1), SECONDS).violations


def test_some_seeds_heal_a_quorum_first_and_never_fewer() -> None:
    swarms = [swarm_of(Case(seed, SECONDS, has_liar=seed % 2 == 0)) for seed in range(60)]
    first = [swarm for swarm in swarms if swarm.healed_first]
    assert 10 < len(first) < 50
    for swarm in first:
        assert swarm.quorum <= swarm.healed_first <= len(swarm.honest)
        assert swarm.healed_first < swarm.nodes
