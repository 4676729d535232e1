"""The verb bench: what it asks for, what it shows, what its status says."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from aimem.cli import ExitStatus
from aimem.wire import BenchRate, BenchReport, BenchResult, BenchSize, meshbench
from tests.cli.fakes import Machine

RESULT = BenchResult(
    operation="search_fts", label="search, two words", target_p95_ms=100.0, measured_p50_ms=1.5, measured_p95_ms=2.25,
    measured_p99_ms=3.0, samples=5, status="pass",
)
REPORT = BenchReport(
    iterations=5, warmup=2, results=(RESULT,), rows=10,
    rates=(BenchRate(operation="store_1", label="1 caller", callers=1, sync_delay_ms=0, per_s=512.4, gain=1.0),),
    sizes=(BenchSize(operation="bench", label="this process", target_mb=None, measured_mb=90.4, status="pass"),),
    notes=("something was left out",),
)
TABLES = """\
TARGET MS  P50   P95   P99   SAMPLES  STATUS  OPERATION
100        1.50  2.25  3.00  5        pass    search, two words

PER S  GAIN  STORES
512    1.0x  1 caller

TARGET MB  RESIDENT  STATUS  PROCESS
-          90        pass    this process

"""


@pytest.fixture
def bench(machine: Machine) -> Machine:
    machine.report = REPORT
    return machine


def test_a_report_is_shown_as_tables_and_its_notes_apart(bench: Machine) -> None:
    shown = bench.run("bench", "--iterations", "5", "--warmup", "2", "--rows", "10")
    assert (shown.status, shown.out) == (ExitStatus.OK, TABLES)
    assert "something was left out" in shown.err
    [asked] = shown.runtime.benches
    assert (asked.iterations, asked.warmup, asked.rows, asked.baseline) == (5, 2, 10, None)


def test_json_has_the_older_systems_shape_and_more(bench: Machine) -> None:
    printed = bench.run("bench", "--json").json
    assert isinstance(printed, dict)
    assert list(printed) == [
        "iterations", "warmup", "results", "regressions", "rows", "rates", "sizes", "notes",
    ]
    assert printed["regressions"] is None
    assert list(printed["results"][0]) == [
        "operation", "label", "target_p95_ms", "measured_p50_ms", "measured_p95_ms", "measured_p99_ms", "samples",
        "status",
    ]


def test_a_printed_report_is_a_baseline(bench: Machine) -> None:
    (bench.cwd / "before.json").write_text(bench.run("bench", "--json").out)
    [asked] = bench.run("bench", "--baseline", "before.json", "--regression-threshold", "25").runtime.benches
    assert asked.baseline == REPORT
    assert asked.regression_threshold == 25


def test_a_baseline_of_the_older_system_will_do(bench: Machine) -> None:
    old = {"iterations": 1, "warmup": 0, "regressions": None, "results": [{
        "operation": "search_fts", "label": "search", "target_p95_ms": 100.0, "measured_p50_ms": 1.0,
        "measured_p95_ms": 1.0, "measured_p99_ms": 1.0, "samples": 1, "status": "pass"}]}
    (bench.cwd / "old.json").write_text(json.dumps(old))
    [asked] = bench.run("bench", "--baseline", "old.json").runtime.benches
    assert asked.baseline is not None
    assert asked.baseline.results[0].measured_p95_ms == 1


@pytest.mark.parametrize("content", [None, "{", '{"results": 7}'])
def test_a_baseline_that_is_none_is_refused_before_anything_is_measured(bench: Machine, content: str | None) -> None:
    if content is not None:
        (bench.cwd / "bad.json").write_text(content)
    refused = bench.run("bench", "--baseline", "bad.json")
    assert (refused.status, refused.runtime.benches) == (ExitStatus.INVALID, [])
    assert "bad.json" in refused.err


def test_a_baseline_without_end_is_refused(bench: Machine) -> None:
    refused = bench.run("bench", "--baseline", "/dev/zero")
    assert (refused.status, refused.runtime.benches) == (ExitStatus.INVALID, [])
    assert "/dev/zero is no report of a bench: it has more than" in refused.err


def test_a_history_gains_a_line_each_time(bench: Machine) -> None:
    for _ in range(2):
        bench.run("bench", "--history", "history.jsonl")
    lines = [json.loads(line) for line in (bench.cwd / "history.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    assert list(lines[0]) == ["captured_at", "iterations", "warmup", "results"]
    assert lines[0]["captured_at"] == "2026-01-02T00:00:00.000000Z"


def test_a_history_that_cannot_be_written_is_refused_before_anything_is_measured(bench: Machine) -> None:
    refused = bench.run("bench", "--history", "no/such/folder/history.jsonl")
    assert (refused.status, refused.runtime.benches) == (ExitStatus.INVALID, [])


def test_a_missed_budget_is_a_failure_that_is_shown(bench: Machine) -> None:
    bench.report = BenchReport(iterations=1, warmup=0, results=(replace(RESULT, status="fail"),))
    missed = bench.run("bench")
    assert missed.status == ExitStatus.OTHER
    assert "fail" in missed.out


def mesh_report() -> meshbench.MeshBenchReport:
    rate = meshbench.MeshRate(
        operation="write_2_of_4_16", label="16 writers, 2 of 4", nodes=4, needed=2, writers=16, tier="keyword",
        sync_delay_ms=0, per_s=310.4, p50_ms=9.25, p99_ms=40.0, failed=1,
    )
    goals = tuple(
        meshbench.MeshGoal(figure=figure, label=figure, bound=bound, goal=goal, measured=16.0)
        for figure, bound, goal in (("p50_ms", "at_most", 15.0), ("per_s", "at_least", 15.0))
    )
    return meshbench.MeshBenchReport(
        seconds=2, tls=True, rates=(rate,), bulk_rows_per_s=2900.4, catch_up_ops_per_s=5100.0, caught_up_ops=9000,
        bytes_per_op=978.3, packed_bytes_per_op=311.0, log_bytes_per_op=700.0, goals=goals,
        met={goal.figure: goal.is_met for goal in goals}, notes=("left out",),
    )


def test_a_bench_of_a_mesh_shows_what_was_acknowledged_how_fast_and_which_goals_were_missed(machine: Machine) -> None:
    machine.mesh_report = mesh_report()
    words = ("bench", "mesh", "--seconds", "2", "--writers", "16", "--writers", "64", "--embedder", "semantic")
    shown = machine.run(*words)
    assert shown.status == ExitStatus.OK
    assert "310          9.2     40.0  1       16 writers, 2 of 4" in shown.out
    assert [line.split() for line in shown.out.splitlines()[1:3]] == [
        ["16.0", "at", "most", "15", "missed", "p50_ms"], ["16.0", "at", "least", "15", "met", "per_s"],
    ]
    assert "THREE NODES, MUTUAL TLS" in shown.out
    assert "978 as it travels, 311 packed in a batch, 700 in the log" in shown.out
    assert "had missed 9000 writes" in shown.out
    assert "left out" in shown.err
    assert "this takes about" in shown.err
    assert machine.run(*words, "--json").json["met"] == {"p50_ms": False, "per_s": True}


@pytest.mark.parametrize(("words", "request_"), [
    ((), meshbench.MeshBenchRequest()),
    (("--quick",), meshbench.QUICK),
    (("--quick", "--seconds", "3", "--embedder", "both"), replace(meshbench.QUICK, seconds=3, tiers=meshbench.TIERS)),
    (("--writers", "16", "--sync-delay", "5", "--embedder", "semantic"),
     meshbench.MeshBenchRequest(writers=(16,), sync_delays_ms=(5,), tiers=("semantic",))),
    (("--quick", "--tls"), replace(meshbench.QUICK, tls=True)),
])
def test_a_bench_of_a_mesh_measures_what_is_asked_for(
    machine: Machine, words: tuple[str, ...], request_: meshbench.MeshBenchRequest
) -> None:
    machine.mesh_report = mesh_report()
    assert machine.run("bench", "mesh", *words).runtime.mesh_benches == [request_]



SCALE = meshbench.ScaleReport(
    seconds=5, tls=True, cores=2, memory_mb=8000, notes=("64 nodes were left out",), rows=(meshbench.ScaleRow(
        nodes=16, needed=9, writers=1, per_s=61.2, p50_ms=14.25, p99_ms=30.0, failed=1, requests=15.5,
        wire_bytes=20100.0, processor_ms=31.4, node_mb=92.3,
    ),),
)


def test_a_bench_of_growing_meshes_shows_a_row_for_each(machine: Machine) -> None:
    machine.scale_report = SCALE
    shown = machine.run("bench", "mesh", "--nodes", "4,16", "--tls")
    assert shown.status == ExitStatus.OK
    assert shown.out.splitlines()[1].split() == [
        "16", "9", "1", "14.2", "30.0", "61", "1", "15.5", "20100", "31.4", "92",
    ]
    assert "2 cores, 8000 MiB free, mutual TLS" in shown.out
    assert "64 nodes were left out" in shown.err
    printed = machine.run("bench", "mesh", "--nodes", "4", "--json").json
    assert list(printed) == ["seconds", "tls", "cores", "memory_mb", "rows", "notes"]
    assert printed["rows"][0]["wire_bytes"] == 20100


@pytest.mark.parametrize(("words", "request_"), [
    (("--nodes", "4,8,16"), meshbench.ScaleRequest(nodes=(4, 8, 16))),
    (("--nodes", "4", "--quick", "--tls"), meshbench.ScaleRequest(nodes=(4,), seconds=1, tls=True)),
    (("--nodes", "4", "--quick", "--seconds", "3", "--writers", "64"),
     meshbench.ScaleRequest(nodes=(4,), seconds=3, writers=(64,))),
])
def test_a_bench_of_growing_meshes_measures_what_is_asked_for(
    machine: Machine, words: tuple[str, ...], request_: meshbench.ScaleRequest
) -> None:
    machine.scale_report = SCALE
    assert machine.run("bench", "mesh", *words).runtime.scale_benches == [request_]


@pytest.mark.parametrize("words", [
    ("--nodes", "4", "--embedder", "keyword"), ("--nodes", "4", "--sync-delay", "2"), ("--nodes", "4,"),
    ("--nodes", "four"), ("--nodes", ""),
])
def test_a_bench_of_growing_meshes_refuses_what_it_does_not_measure(machine: Machine, words: tuple[str, ...]) -> None:
    refused = machine.run("bench", "mesh", *words)
    assert refused.status == ExitStatus.INVALID
    assert "--nodes" in refused.err
