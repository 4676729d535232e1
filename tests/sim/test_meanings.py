"""Vectors in the simulated mesh: everybody has them in the end, each was made once, and the checks can fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from aimem.service import embedding, lending
from aimem.store import embeddings
from tests.sim.ports import SPEAKER
from tests.sim.swarm import Fault, Swarm, roll
from tests.sim.world import simulate

pytestmark = pytest.mark.slow

SECONDS = 10.0


def fine(seed: int, *faults: Fault) -> Swarm:
    """A mesh that recalls by meaning, in fine weather but for these faults."""
    return msgspec.structs.replace(
        roll(seed, nodes=3), has_model=True, loss=0.0, breaks=0.0, duplicates=0.0, leaves_late=0.0, lies=0.0,
        delay_s=0.005, commit_s=0.002, clock_offset_s=0.0, clock_drift=0.0, log_most=None, calm_s=2.0, faults=faults,
    )


def found_in(swarm: Swarm) -> set[str]:
    return {violation.check for violation in simulate(swarm, SECONDS).violations}


def test_all_nodes_end_with_vectors_that_one_of_them_made() -> None:
    assert found_in(fine(1)) == set()


def test_all_nodes_end_with_vectors_after_bad_days() -> None:
    assert found_in(fine(2, Fault.PARTITION, Fault.KILL, Fault.PAUSE)) == set()


def test_vectors_that_nobody_makes_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def idle(*_: object) -> None:
        return None

    monkeypatch.setattr(embedding, "_embed_round", idle)
    assert found_in(fine(1)) == {"meaning"}


def test_vectors_that_everybody_makes_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "lenders", lambda _: {})
    monkeypatch.setattr(lending, "lenders", lambda _: {})
    assert found_in(fine(1)) == {"meaning"}


def test_vectors_that_are_changed_on_their_way_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    put = embeddings.put

    def put_changed(transaction: Any, model: str, vectors: Sequence[tuple[bytes, Sequence[bytes]]]) -> tuple[int, ...]:
        if SPEAKER.get() == "n1":
            vectors = [(text_hash, [vector[2:] + vector[:2] for vector in chunks]) for text_hash, chunks in vectors]
        return put(transaction, model, vectors)

    monkeypatch.setattr(embeddings, "put", put_changed)
    assert found_in(fine(1)) == {"meaning"}
