"""As many nodes as a write takes are healed, and no others: whoever waits for the rest is found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from aimem.replication import quorum
from aimem.replication.renewal import Renewal
from tests.sim.runs import swarm_of
from tests.sim.seeds import Case
from tests.sim.swarm import Certificates, Fault, Swarm, roll
from tests.sim.world import simulate

SECONDS = 10.0
SEEDS = range(1, 7)

pytestmark = pytest.mark.slow


def stormy(seed: int, *faults: Fault, healed_first: int = 2) -> Swarm:
    """A mesh of four, of which two suffice for a write."""
    return msgspec.structs.replace(
        roll(seed, nodes=4), quorum=2, loss=0.02, duplicates=0.0, leaves_late=0.0, breaks=0.0, lies=0.0, delay_s=0.005,
        secured=False, governed=False, has_model=False, clients=3, think_s=0.3, calm_s=3.0, commit_s=0.002,
        log_most=None, keeps_key=False, compare_s=None, certificates=Certificates.NONE, faults=faults,
        healed_first=healed_first,
    )


def found(swarms: Iterable[Swarm]) -> set[str]:
    """What the first of some runs found that found anything."""
    reports = (simulate(swarm, SECONDS) for swarm in swarms)
    return next(({one.check for one in report.violations} for report in reports if report.violations), set())


def test_two_of_four_take_writes_while_the_others_are_away() -> None:
    report = simulate(stormy(1, Fault.KILL, Fault.PARTITION, Fault.LOSE), SECONDS)
    assert not report.violations
    assert report.progress_s >= 0.0
    assert report.counts["alone"] == 1


def test_a_write_that_waits_for_all_is_found_while_some_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorum.Rule, "needed", lambda self, _: self.members)
    assert found([stormy(1)]) == {"progress"}
    assert found([stormy(1, healed_first=0)]) == set()


def test_a_node_that_waits_for_all_its_peers_after_a_loss_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Renewal.has_caught_up

    def wait_for_all(self: Renewal, peers: Any, now: float) -> bool:
        told = list(peers)
        return all(url in self._goals for url, _, _ in told) and known(self, told, now)

    monkeypatch.setattr(Renewal, "has_caught_up", wait_for_all)
    assert found(stormy(seed, Fault.LOSE, Fault.RESTORE) for seed in SEEDS) == {"progress"}


def test_some_seeds_heal_a_quorum_first_and_never_fewer() -> None:
    swarms = [swarm_of(Case(seed, SECONDS, has_liar=seed % 2 == 0)) for seed in range(60)]
    first = [swarm for swarm in swarms if swarm.healed_first]
    assert 10 < len(first) < 50
    for swarm in first:
        assert swarm.quorum <= swarm.healed_first <= len(swarm.honest)
        assert swarm.healed_first < swarm.nodes
