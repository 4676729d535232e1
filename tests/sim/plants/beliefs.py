"""Bugs in what a node believes without being shown it: a member that lies, or somebody on the way, uses them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any  # what patched functions are handed

import pytest

from aimem.replication import closure, headproof, intake, judging, merge, proof, trust
from aimem.replication.trust import Trust
from aimem.service import mesh
from aimem.store import Pin, repair
from aimem.supervisor.trust import Gate
from tests.sim.planting import Planted, beside, calm
from tests.sim.swarm import Certificates, Fault, Lie

MORE = frozenset({
    "renewed", "fork", "liveness", "causality", "vector", "convergence", "acked", "stream.not_renewed",
})


def heads_need_no_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closure, "counted", lambda store, said, shown: dict(said))


def any_head_proof_will_do(patch: pytest.MonkeyPatch) -> None:
    for module in (closure, headproof):
        patch.setattr(module, "is_proven", lambda *_: True)


def word_closes_a_stream(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closure, "is_shown", lambda *_: True)


def stream_usurped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "STREAM", SimpleNamespace(name="nothing"))
    patch.setattr(intake, "_is_of_another", lambda *_: False)


def signature_not_checked(patch: pytest.MonkeyPatch) -> None:
    for module in (intake, headproof):
        patch.setattr(module, "was_signed", lambda *_: True)


def fork_not_told(patch: pytest.MonkeyPatch) -> None:
    alarms = mesh.mesh_alarms

    def hush(node: Any, forks: Any, *rest: Any) -> list[str]:
        return alarms(node, (), *rest)

    patch.setattr(mesh, "mesh_alarms", hush)


def unsettled_rows_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closure, "unsettled", lambda *_: frozenset())
    patch.setattr(repair, "doubtful", lambda *_: frozenset())


def message_signature_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proof, "is_signed", lambda *_: True)


def name_believed(patch: pytest.MonkeyPatch) -> None:
    def believe(claim: Any, shown: Any, known: Any) -> judging.Accepted:
        pin = known.pins.get(claim.node)
        if pin is not None and claim.key.hex() in pin.keys:
            return judging.Accepted()
        return judging.Accepted(pin=Pin(keys=(claim.key.hex(),), since=known.now), change="whoever it is")

    patch.setattr(trust, "judge_claim", believe)


def asker_ignores_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Trust, "is_delisted", lambda *_: False)
    patch.setattr(judging, "is_delisted", lambda *_: False)


def asked_ignores_list(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "admits", lambda *_: True)


with_lists = calm(Fault.DELIST, Fault.ROTATE, certificates=Certificates.SIGNED)


ROWS = (
    Planted(
        name="heads-need-no-proof", plant=heads_need_no_proof, weather=beside(Lie.MORE), checks=MORE,
        broken="What a peer says that it knows counts without being shown.",
    ),
    Planted(
        name="any-head-proof-will-do", plant=any_head_proof_will_do, weather=beside(Lie.MORE), checks=MORE,
        broken="What is shown for the end of a stream is not looked at.",
    ),
    Planted(
        name="word-closes-a-stream", plant=word_closes_a_stream, weather=beside(Lie.CLOSED),
        checks=frozenset({"renewed", "fork", "liveness", "causality", "vector", "convergence", "stream.not_renewed"}),
        broken="A stream is closed on the word of any member, without its writer's two signatures.",
    ),
    Planted(
        name="stream-usurped", plant=stream_usurped, weather=beside(Lie.USURP),
        checks=frozenset({"liveness", "model", "acked", "convergence", "renewed"}),
        broken="Any member may say whose a stream is.",
    ),
    Planted(
        name="signature-not-checked", plant=signature_not_checked, weather=beside(Lie.FORGE),
        checks=frozenset({"forged", "vector", "fork", "renewed"}),
        broken="Ops are taken whoever signed them.",
    ),
    Planted(
        name="fork-not-told", plant=fork_not_told, weather=beside(Lie.EQUIVOCATE, compare_s=3.0),
        checks=frozenset({"alarm"}),
        broken="Nobody is told that a member signed two histories.",
    ),
    Planted(
        name="unsettled-rows-compared", plant=unsettled_rows_compared,
        weather=beside(Lie.EQUIVOCATE, compare_s=3.0), checks=frozenset({"divergence"}),
        broken="Rows that are still being joined are taken for rows that were lost.",
    ),
    Planted(
        name="message-not-verified", seeds=range(2, 10), plant=message_signature_not_checked,
        weather=calm(lies=0.3, quorum=3, clients=10, think_s=0.15), checks=frozenset({"acked"}),
        seconds=20.0,
        broken="What nodes say to each other is believed though somebody changed it on its way.",
    ),
    Planted(
        name="name-believed", seeds=range(3, 11), plant=name_believed, weather=beside(Lie.NAME, faults=(), calm_s=3.0),
        checks=frozenset({"believed"}),
        broken="A node is who it says.",
    ),
    Planted(
        name="asker-ignores-list", plant=asker_ignores_list, weather=with_lists, checks=frozenset({"delisted"}),
        seconds=20.0,
        broken="Whoever asks a node does not look whether it is still on its list.",
    ),
    Planted(
        name="asked-ignores-list", plant=asked_ignores_list, weather=with_lists, checks=frozenset({"access"}),
        seconds=20.0,
        broken="Whoever is asked lets nodes in that are not on its list.",
    ),
)
