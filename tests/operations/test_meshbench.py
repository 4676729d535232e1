"""The bench of a mesh: what it refuses, what its figures say, and one short run over real processes."""

from __future__ import annotations

import os
import sys

import pytest

from aimem.errors import InvalidRequest, Unavailable
from aimem.operations import Program, run_mesh_bench
from aimem.wire import meshbench
from tests.bench.ports import bench_ports, silent


def program_of(*words: str) -> Program:
    return Program(command=(sys.executable, *words), environ=dict(os.environ))


def slowed(delay_ms: int) -> Program:
    return program_of("-m", "aimem.slowed", str(delay_ms))


@pytest.mark.parametrize("fields", [
    {"seconds": 0}, {"seconds": 601}, {"writers": (0,)}, {"writers": (1, 1001)}, {"sync_delays_ms": (-1,)},
    {"sync_delays_ms": (1001,)},
])
async def test_what_cannot_be_measured_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await run_mesh_bench(meshbench.MeshBenchRequest(**fields), slowed, bench_ports(), silent)  # type: ignore[arg-type]


async def test_a_node_that_does_not_start_is_said_with_its_words() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="out of luck"), flatten_subgroups=True):
        await run_mesh_bench(
            meshbench.QUICK, lambda _: program_of("-c", "raise SystemExit('out of luck')"), bench_ports(), silent
        )


@pytest.mark.parametrize(("bound", "goal", "measured", "is_met"), [
    ("at_most", 15.0, 15.0, True), ("at_most", 15.0, 15.1, False), ("at_least", 300.0, 300.0, True),
    ("at_least", 300.0, 299.9, False),
])
def test_a_goal_is_met_at_its_bound(bound: str, goal: float, measured: float, is_met: bool) -> None:
    made = meshbench.MeshGoal(figure="f", label="l", bound=bound, goal=goal, measured=measured)  # type: ignore[arg-type]
    assert made.is_met is is_met


def test_a_bench_says_how_long_it_takes() -> None:
    assert 300 < meshbench.MeshBenchRequest().about_s < 450
    assert meshbench.QUICK.about_s < 70
