"""The bench of growing meshes: what it refuses, and what it leaves out; a short run is in tests/bench."""

from __future__ import annotations

import pytest

from aimem.errors import InvalidRequest
from aimem.operations import meshscale, run_scale_bench
from aimem.wire import meshbench
from tests.bench.ports import bench_ports, silent
from tests.operations.test_meshbench import slowed


@pytest.mark.parametrize("fields", [
    {"nodes": (1,)}, {"nodes": (4, 65)}, {"nodes": (4,), "seconds": 0}, {"nodes": (4,), "seconds": 601},
    {"nodes": (4,), "writers": (0,)}, {"nodes": (4,), "writers": (1001,)},
])
async def test_what_cannot_be_measured_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await run_scale_bench(meshbench.ScaleRequest(**fields), slowed(0), bench_ports(), silent)  # type: ignore[arg-type]


async def test_a_mesh_that_the_machine_does_not_carry_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshscale, "available_mb", lambda: 1000.0)
    report = await run_scale_bench(meshbench.ScaleRequest(nodes=(16,)), slowed(0), bench_ports(), silent)
    assert report.rows == ()
    assert report.memory_mb == 1000
    assert report.notes == ("16 nodes were left out: they may take 2400 MiB, and 1000 are free",)
