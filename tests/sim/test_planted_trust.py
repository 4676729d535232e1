"""Where nodes do not look at who speaks, or at their lists, the checks find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from aimem.replication import judging, proof, trust
from aimem.replication.trust import Trust
from aimem.store import Pin
from aimem.supervisor.trust import Gate
from tests.sim.swarm import Certificates, Fault, Lie, Swarm, roll, with_liar
from tests.sim.world import simulate

SEEDS = (*range(1, 9), 11)
SECONDS = 20.0
Plant = Callable[[pytest.MonkeyPatch], None]

pytestmark = pytest.mark.slow


def fair(seed: int) -> Swarm:
    """Fair weather, in which nothing happens but what a test is about."""
    return msgspec.structs.replace(
        roll(seed, nodes=3), quorum=2, loss=0.02, duplicates=0.1, leaves_late=0.0, breaks=0.0, lies=0.0, delay_s=0.005,
        secured=False, governed=False, has_model=False, clients=4, think_s=0.3, calm_s=3.0, commit_s=0.002,
        compare_s=None, log_most=None, clock_offset_s=0.0, clock_drift=0.0, faults=(), certificates=Certificates.NONE,
    )


def among_meddlers(seed: int) -> Swarm:
    """Somebody on the way changes what nodes say."""
    return msgspec.structs.replace(fair(seed), lies=0.3)


def beside_an_impostor(seed: int) -> Swarm:
    """A member gives itself the names of others."""
    return msgspec.structs.replace(with_liar(fair(seed)), member_lies=(Lie.NAME,))


def with_lists(seed: int) -> Swarm:
    """Nodes are taken off lists, and get other certificates."""
    return msgspec.structs.replace(
        fair(seed), certificates=Certificates.SIGNED, faults=(Fault.DELIST, Fault.ROTATE),
    )


def any_proof_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proof, "is_signed", lambda *_: True)


def names_are_taken_as_they_are_said(patch: pytest.MonkeyPatch) -> None:
    def believe(claim: Any, shown: Any, known: Any) -> judging.Accepted:
        pin = known.pins.get(claim.node)
        if pin is not None and claim.key.hex() in pin.keys:
            return judging.Accepted()
        return judging.Accepted(pin=Pin(keys=(claim.key.hex(),), since=known.now), change="whoever it is")

    patch.setattr(trust, "judge_claim", believe)


def whoever_asks_does_not_look_at_the_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Trust, "is_delisted", lambda *_: False)
    patch.setattr(judging, "is_delisted", lambda *_: False)


def whoever_is_asked_does_not_look_at_the_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "admits", lambda *_: True)


PLANTS: dict[Plant, tuple[Callable[[int], Swarm], set[str]]] = {
    any_proof_will_do: (among_meddlers, {"acked"}),
    names_are_taken_as_they_are_said: (beside_an_impostor, {"believed"}),
    whoever_asks_does_not_look_at_the_list: (with_lists, {"delisted"}),
    whoever_is_asked_does_not_look_at_the_list: (with_lists, {"access"}),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_who_is_believed_without_being_asked_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    conditions, expected = PLANTS[plant]
    plant(monkeypatch)
    found: set[str] = set()
    for seed in SEEDS:
        found |= {violation.check for violation in simulate(conditions(seed), SECONDS).violations}
        if found:
            break
    assert found
    assert found <= expected


@pytest.mark.parametrize("conditions", [among_meddlers, beside_an_impostor, with_lists])
def test_without_the_fault_the_same_does_no_harm(conditions: Callable[[int], Swarm]) -> None:
    assert not simulate(conditions(1), SECONDS).violations
