"""The verb bench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.errors import InvalidRequest
from aimem.model import format_instant
from aimem.wire import BenchRecord, BenchReport, BenchRequest, decode_body, encode, meshbench

BASELINE_MAX_BYTES: Final = 1_048_576
_WITH_TLS: Final = ", mutual TLS"


def bench(context: Context) -> int:
    """Measure, show the report, and tell by the status whether budgets were kept and nothing regressed."""
    history = _path(context, "history")
    request = BenchRequest(
        iterations=context.value("iterations"), warmup=context.value("warmup"), rows=context.value("rows"),
        baseline=_baseline(_path(context, "baseline")), regression_threshold=context.value("regression_threshold"),
    )
    if history is not None:
        _append(history, b"")     # a file that cannot be written should be heard of before the minutes are spent
    report = context.runtime.run_bench(request, context.around, context.screen.progress)
    if history is not None:
        record = BenchRecord(
            captured_at=format_instant(context.around.now()), iterations=report.iterations, warmup=report.warmup,
            results=report.results,
        )
        _append(history, encode(record) + b"\n")
    if context.wants_json:
        context.screen.json(report)
    else:
        _show(context, report)
    return ExitStatus.OK if report.is_passed else ExitStatus.OTHER


def bench_mesh(context: Context) -> int:
    """Measure meshes, and show the report."""
    if context.value("nodes") is not None:
        return _bench_scale(context)
    request = _mesh_request(context)
    context.screen.say(f"this takes about {request.about_s / 60:.0f} min")
    report = context.runtime.run_mesh_bench(request, context.around, context.screen.progress)
    if context.wants_json:
        context.screen.json(report)
        return ExitStatus.OK
    goals = [
        (f"{goal.measured:.1f}", f"{goal.bound.replace('_', ' ')} {goal.goal:.0f}", "met" if goal.is_met else "missed",
         goal.label)
        for goal in report.goals
    ]
    context.screen.table(("measured", "goal", "", f"three nodes{_WITH_TLS if report.tls else ''}"), goals)
    context.screen.line()
    rows = [
        (f"{rate.per_s:.0f}", f"{rate.p50_ms:.1f}", f"{rate.p99_ms:.1f}", str(rate.failed), rate.label)
        for rate in report.rates
    ]
    context.screen.table(
        ("acked per s", "p50 ms", "p99", "failed", f"writes{_WITH_TLS if report.tls else ''}"), rows
    )
    context.screen.line()
    context.screen.line(f"bytes per write: {report.bytes_per_op:.0f} as it travels, {report.packed_bytes_per_op:.0f} "
                        f"packed in a batch, {report.log_bytes_per_op:.0f} in the log")
    context.screen.line(f"the node that was away had missed {report.caught_up_ops} writes")
    for note in report.notes:
        context.screen.say(f"note: {note}")
    return ExitStatus.OK


def _bench_scale(context: Context) -> int:
    """Measure meshes of growing size, and show the report."""
    if context.value("embedder") is not None or context.value("sync_delay"):
        raise InvalidRequest("--nodes measures without an embedder on the disk as it is: leave --embedder and "
                             "--sync-delay out", field="nodes")
    usual = meshbench.ScaleRequest(nodes=context.value("nodes"))
    if context.value("quick"):
        usual = replace(usual, seconds=meshbench.QUICK.seconds)
    seconds, writers = context.value("seconds"), tuple(context.value("writers"))
    request = replace(
        usual, seconds=usual.seconds if seconds is None else seconds, writers=writers or usual.writers,
        tls=context.value("tls"),
    )
    context.screen.say(f"this takes about {request.about_s / 60:.0f} min")
    report = context.runtime.run_scale_bench(request, context.around, context.screen.progress)
    if context.wants_json:
        context.screen.json(report)
        return ExitStatus.OK
    columns = ("nodes", "wait for", "writers", "p50 ms", "p99", "acked per s", "failed", "requests", "bytes",
               "processor ms", "node MB")
    context.screen.table(columns, [
        (str(row.nodes), str(row.needed), str(row.writers), f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}",
         f"{row.per_s:.0f}", str(row.failed), f"{row.requests:.1f}", f"{row.wire_bytes:.0f}",
         f"{row.processor_ms:.1f}", f"{row.node_mb:.0f}")
        for row in report.rows
    ])
    context.screen.line()
    context.screen.line(f"requests between nodes, their bytes and the processor's time are of one write, all nodes "
                        f"together; {report.cores} cores, {report.memory_mb} MiB free"
                        f"{_WITH_TLS if report.tls else ''}")
    for note in report.notes:
        context.screen.say(f"note: {note}")
    return ExitStatus.OK


def _mesh_request(context: Context) -> meshbench.MeshBenchRequest:
    """What was asked for; what was not is as it usually is, or little of it where it is to be quick."""
    usual = meshbench.QUICK if context.value("quick") else meshbench.MeshBenchRequest()
    seconds, embedder = context.value("seconds"), context.value("embedder")
    tiers = {None: usual.tiers, "both": meshbench.TIERS}.get(embedder, (embedder,))
    return meshbench.MeshBenchRequest(
        seconds=usual.seconds if seconds is None else seconds,
        writers=tuple(context.value("writers")) or usual.writers, tiers=tiers,
        sync_delays_ms=tuple(context.value("sync_delay")) or usual.sync_delays_ms, tls=context.value("tls"),
    )


def _path(context: Context, name: str) -> Path | None:
    given: str | None = context.value(name)
    return None if given is None else context.around.cwd / given


def _baseline(path: Path | None) -> BenchReport | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(BASELINE_MAX_BYTES + 1)    # a device may have no end
        if len(data) > BASELINE_MAX_BYTES:
            raise InvalidRequest(f"it has more than {BASELINE_MAX_BYTES} bytes")
        return decode_body(BenchReport, data)
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror or error}", field="baseline") from error
    except InvalidRequest as error:
        raise InvalidRequest(f"{path} is no report of a bench: {error.message}", field="baseline") from error


def _append(path: Path, line: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(line)
    except OSError as error:
        raise InvalidRequest(f"cannot write {path}: {error.strerror or error}", field="history") from error


def _show(context: Context, report: BenchReport) -> None:
    tables: Sequence[tuple[Sequence[str], list[Sequence[str]]]] = (
        (("target ms", "p50", "p95", "p99", "samples", "status", "operation"), list(_results(report))),
        (("per s", "gain", "stores"), list(_rates(report))),
        (("target MB", "resident", "status", "process"), list(_sizes(report))),
        (("before ms", "p95", "change", "status", "operation"), list(_regressions(report))),
    )
    for columns, rows in tables:
        if rows:
            context.screen.table(columns, rows)
            context.screen.line()
    for note in report.notes:
        context.screen.say(f"note: {note}")


def _results(report: BenchReport) -> Iterator[Sequence[str]]:
    for result in report.results:
        measured = (result.measured_p50_ms, result.measured_p95_ms, result.measured_p99_ms)
        yield (
            _target(result.target_p95_ms), *(f"{value:.2f}" for value in measured), str(result.samples), result.status,
            result.label,
        )


def _rates(report: BenchReport) -> Iterator[Sequence[str]]:
    for rate in report.rates:
        yield f"{rate.per_s:.0f}", f"{rate.gain:.1f}x", rate.label


def _sizes(report: BenchReport) -> Iterator[Sequence[str]]:
    for size in report.sizes:
        yield _target(size.target_mb), f"{size.measured_mb:.0f}", size.status, size.label


def _regressions(report: BenchReport) -> Iterator[Sequence[str]]:
    for each in report.regressions or ():
        yield (
            f"{each.baseline_p95_ms:.2f}", f"{each.measured_p95_ms:.2f}", f"{each.delta_pct:+.1f} %",
            "regressed" if each.regressed else "ok", each.label,
        )


def _target(target: float | None) -> str:
    return "-" if target is None else f"{target:.0f}"
