"""Where a node believes what nothing shows, a member that lies does harm, and the checks find it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from aimem.replication import closure, headproof, intake, merge
from aimem.service import mesh
from aimem.store import repair
from tests.sim.swarm import Certificates, Fault, Lie, Swarm, roll, with_liar
from tests.sim.watch import Violation
from tests.sim.world import simulate

SEEDS = range(1, 7)
SECONDS = 20.0
Plant = Callable[[pytest.MonkeyPatch], None]

pytestmark = pytest.mark.slow


def beside(seed: int, *lies: Lie) -> Swarm:
    """Fair weather beside a member that lies about this and nothing else."""
    fair = msgspec.structs.replace(
        roll(seed, nodes=3), quorum=2, loss=0.02, duplicates=0.1, leaves_late=0.0, breaks=0.0, lies=0.0, delay_s=0.005,
        secured=False, governed=False, has_model=False, clients=4, think_s=0.3, calm_s=8.0, commit_s=0.002,
        compare_s=3.0 if Lie.EQUIVOCATE in lies else None, log_most=None, clock_offset_s=0.0, clock_drift=0.0,
        faults=(Fault.PARTITION, Fault.KILL),
        certificates=Certificates.NONE,
    )
    return msgspec.structs.replace(with_liar(fair), member_lies=lies)


def heads_need_no_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closure, "counted", lambda store, said, shown: dict(said))


def any_proof_will_do(patch: pytest.MonkeyPatch) -> None:
    for module in (closure, headproof):
        patch.setattr(module, "is_proven", lambda *_: True)


def a_word_closes_a_stream(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closure, "is_shown", lambda *_: True)


def anybody_says_whose_a_stream_is(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "STREAM", SimpleNamespace(name="nothing"))
    patch.setattr(intake, "_is_of_another", lambda *_: False)


def ops_need_no_signature(patch: pytest.MonkeyPatch) -> None:
    for module in (intake, headproof):
        patch.setattr(module, "was_signed", lambda *_: True)


def nobody_is_told_of_two_histories(patch: pytest.MonkeyPatch) -> None:
    alarms = mesh.mesh_alarms

    def hush(node: Any, forks: Any, *rest: Any) -> list[str]:
        return alarms(node, (), *rest)

    patch.setattr(mesh, "mesh_alarms", hush)


def rows_that_are_being_joined_are_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closure, "unsettled", lambda *_: frozenset())
    patch.setattr(repair, "doubtful", lambda *_: frozenset())


PLANTS: dict[Plant, tuple[Lie, set[str]]] = {
    heads_need_no_proof: (Lie.MORE, {"renewed", "fork", "liveness", "causality", "vector", "convergence", "acked"}),
    any_proof_will_do: (
        Lie.MORE,
        {"renewed", "fork", "liveness", "causality", "vector", "convergence", "acked", "stream.not_renewed"},
    ),
    a_word_closes_a_stream: (
        Lie.CLOSED, {"renewed", "fork", "liveness", "causality", "vector", "convergence", "stream.not_renewed"},
    ),
    anybody_says_whose_a_stream_is: (Lie.USURP, {"liveness", "model", "acked", "convergence", "renewed"}),
    ops_need_no_signature: (Lie.FORGE, {"forged", "vector", "fork", "renewed"}),
    nobody_is_told_of_two_histories: (Lie.EQUIVOCATE, {"alarm"}),
    rows_that_are_being_joined_are_compared: (Lie.EQUIVOCATE, {"divergence"}),
}


def _named(violation: Violation) -> str:
    """Which promise did not hold; where a node reports it as an error itself, by the name of that."""
    return violation.text.partition(" ")[0] if violation.check == "journal" else violation.check


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_what_is_believed_without_reason_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    lie, expected = PLANTS[plant]
    plant(monkeypatch)
    found: set[str] = set()
    for seed in SEEDS:
        found |= set(map(_named, simulate(beside(seed, lie), SECONDS).violations))
        if found:
            break
    assert found
    assert found <= expected


@pytest.mark.parametrize("lie", sorted({lie for lie, _ in PLANTS.values()}))
def test_without_the_fault_the_same_lie_does_no_harm(lie: Lie) -> None:
    assert not simulate(beside(1, lie), SECONDS).violations
