"""The bench of a mesh over real processes: a short run finds something of everything."""

from __future__ import annotations

import pytest

from aimem.operations import run_mesh_bench, run_scale_bench
from aimem.wire import meshbench
from tests.bench.ports import bench_ports, silent
from tests.operations.test_meshbench import program_of, slowed


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True], ids=["in the clear", "with mutual TLS"])
async def test_a_short_run_finds_something_of_everything(tls: bool) -> None:
    request = meshbench.MeshBenchRequest(seconds=1, writers=(4,), tiers=("keyword",), sync_delays_ms=(2,), tls=tls)
    report = await run_mesh_bench(request, slowed, bench_ports(), silent)
    assert report.tls is tls
    goals, fours = report.rates[:2], report.rates[2:]
    assert [(rate.nodes, rate.needed, rate.writers) for rate in goals] == [(3, 2, 1), (3, 2, 64)]
    assert [(rate.nodes, rate.needed, rate.writers) for rate in fours] == [(4, 2, 4), (4, 3, 4), (4, 4, 4)]
    assert all(rate.sync_delay_ms == 2 < rate.p50_ms for rate in fours)
    assert all(rate.per_s > 0 < rate.p50_ms <= rate.p99_ms for rate in report.rates)
    assert len({rate.operation for rate in report.rates}) == len(report.rates)
    assert min(report.bulk_rows_per_s, report.catch_up_ops_per_s, report.caught_up_ops) > 0
    assert report.bytes_per_op > report.packed_bytes_per_op > 0 < report.log_bytes_per_op
    assert report.met == {goal.figure: goal.is_met for goal in report.goals}
    assert len(report.met) == 5


@pytest.mark.slow
async def test_a_short_run_finds_what_a_write_costs_in_a_mesh_of_two_and_of_three() -> None:
    request = meshbench.ScaleRequest(nodes=(2, 3), seconds=1, writers=(2,))
    report = await run_scale_bench(request, program_of("-m", "aimem"), bench_ports(), silent)
    assert [(row.nodes, row.needed, row.writers) for row in report.rows] == [(2, 2, 2), (3, 2, 2)]
    assert not report.notes
    for row in report.rows:
        assert row.failed == 0 < row.per_s
        assert 0 < row.p50_ms <= row.p99_ms
        assert 0 < row.requests < 6 * (row.nodes - 1)
        assert row.wire_bytes > 500
        assert row.processor_ms > 0
        assert row.node_mb > 20
    assert report.cores > 0 < report.memory_mb
