"""The bench of a mesh: what it refuses, and one short run over real processes."""

from __future__ import annotations

import os
import sys

import pytest

from aimem.errors import InvalidRequest, Unavailable
from aimem.operations import Program, run_mesh_bench
from aimem.wire import meshbench
from tests.bench.ports import silent


@pytest.mark.parametrize("fields", [{"seconds": 0}, {"seconds": 601}, {"writers": (0,)}, {"writers": (1, 1001)}])
async def test_what_cannot_be_measured_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await run_mesh_bench(meshbench.MeshBenchRequest(**fields), Program(command=("x",), environ={}), silent)  # type: ignore[arg-type]


async def test_a_node_that_does_not_start_is_said_with_its_words() -> None:
    program = Program(command=(sys.executable, "-c", "raise SystemExit('out of luck')"), environ={})
    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="out of luck"), flatten_subgroups=True):
        await run_mesh_bench(meshbench.MeshBenchRequest(seconds=1, writers=(1,)), program, silent)


@pytest.mark.slow
async def test_a_short_run_finds_something_of_everything() -> None:
    program = Program(command=(sys.executable, "-m", "aimem"), environ=dict(os.environ))
    report = await run_mesh_bench(meshbench.MeshBenchRequest(seconds=1, writers=(4,)), program, silent)
    assert [(rate.needed, rate.writers) for rate in report.rates] == [(2, 4), (3, 4), (4, 4)]
    assert all(rate.per_s > 0 < rate.p50_ms <= rate.p99_ms for rate in report.rates)
    assert min(report.bulk_rows_per_s, report.catch_up_ops_per_s, report.bytes_per_op) > 0
