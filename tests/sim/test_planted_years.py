"""Faults that only years bring to light, put into the nodes on purpose: each is found, by the check that is for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any  # what patched functions are handed

import msgspec
import pytest

from aimem.replication import catchup, cluster
from aimem.replication.renewal import Renewal
from aimem.store import snapshot
from aimem.store.spool import Spool
from aimem.store.trimming import DAY_S, LogBounds
from aimem.supervisor.reloading import Reloader
from tests.sim.swarm import Fault
from tests.sim.test_checks import stormy
from tests.sim.world import World, simulate

SEEDS = range(1, 7)
SECONDS = 30.0
Plant = Callable[[pytest.MonkeyPatch], None]

pytestmark = pytest.mark.slow


def snapshots_leave_something_out(patch: pytest.MonkeyPatch) -> None:
    count, join = itertools.count(1), snapshot.join_objects
    patch.setattr(
        snapshot, "join_objects", lambda transaction, told: join(transaction, [one for one in told if next(count) % 9])
    )


def nobody_fetches_a_snapshot(patch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> bool:
        return False

    patch.setattr(catchup, "_join", refuse)


def nobody_names_the_mesh(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cluster, "due", lambda *_: cluster.Due.REST)


def a_list_that_was_read_anew_is_not_used(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reloader, "_use", lambda *_: None)


def who_was_put_back_is_never_ready(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Renewal, "has_caught_up", lambda *_: False)


def snapshots_are_never_dropped(patch: pytest.MonkeyPatch) -> None:
    async def keep(self: Any, name: str) -> None:
        self._kept.pop(name, None)

    patch.setattr(Spool, "_drop", keep)


PLANTS: dict[Plant, tuple[set[str], tuple[Fault, ...]]] = {
    snapshots_leave_something_out: ({"convergence", "model", "acked", "governance"}, (Fault.LOSE, Fault.TRIM)),
    nobody_names_the_mesh: ({"standing"}, (Fault.TRIM,)),
    a_list_that_was_read_anew_is_not_used: ({"standing", "convergence", "liveness", "governance"}, (Fault.JOIN,)),
    who_was_put_back_is_never_ready: ({"standing", "liveness"}, (Fault.RESTORE,)),
    snapshots_are_never_dropped: ({"spool"}, (Fault.AWAY, Fault.TRIM)),
    nobody_fetches_a_snapshot: ({"convergence", "liveness", "acked"}, (Fault.AWAY,)),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_of_years_is_found_by_its_check(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, faults = PLANTS[plant]
    plant(monkeypatch)
    found: set[str] = set()
    for seed in SEEDS:
        swarm = msgspec.structs.replace(stormy(seed, *faults), keeps_key=True, log_most=40)
        found |= {violation.check for violation in simulate(swarm, SECONDS).violations}
        if found:
            break
    assert found
    assert found <= expected


def test_without_a_planted_fault_years_bring_nothing_to_light() -> None:
    swarm = stormy(1, Fault.COPY, Fault.RESTORE, Fault.LOSE, Fault.TRIM, Fault.AWAY)
    assert not simulate(msgspec.structs.replace(swarm, keeps_key=True, log_most=40), SECONDS).violations


def test_a_log_that_keeps_what_is_too_old_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogBounds, "horizon", lambda *_: 0)

    def bound(world: World) -> None:
        for name in world.swarm.names:
            world.logs.bound(name, LogBounds(kept_count=10_000, most_days=5 / DAY_S))

    found = simulate(msgspec.structs.replace(stormy(1, Fault.TRIM), calm_s=1e6), 10.0, prepare=bound).violations
    assert "bounds" in {violation.check for violation in found}
