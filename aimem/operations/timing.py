"""Measuring: the times of an operation, the memory of a process, and what they come to."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import trio

from aimem.operations.benchnode import Advance
from aimem.wire import BenchRegression, BenchResult, BenchSize

_TOLERANCE: Final = 1.1
"""A budget fails above so many times its target, as in v0.6.3."""

_RESIDENT: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_TIMES: Final = slice(11, 13)
"""Of the fields behind the name in /proc/PID/stat: ticks spent for the process, and by the kernel for it."""


async def timed_ms(
    act: Callable[[int], Awaitable[object]], iterations: int, warmup: int, advance: Advance
) -> list[float]:
    """Call `act` with 0, 1, 2 and so on. Returns: the milliseconds of each call after the first `warmup`."""
    spent = []
    for number in range(warmup + iterations):
        began = trio.current_time()
        await act(number)
        if number >= warmup:
            spent.append(1_000.0 * (trio.current_time() - began))
            advance(1)
    return spent


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile of one or more values, interpolated linearly between the two nearest ranks."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100.0
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def verdict(measured: float, target: float | None) -> Literal["pass", "fail"]:
    """Whether a figure keeps its budget; one without a budget does."""
    return "pass" if target is None or measured <= _TOLERANCE * target else "fail"


def result_of(operation: str, label: str, spent_ms: Sequence[float], *, target_p95_ms: float | None) -> BenchResult:
    """The report's line of an operation that was timed at least once."""
    p50, p95, p99 = (round(percentile(spent_ms, percent), 3) for percent in (50, 95, 99))
    return BenchResult(
        operation=operation, label=label, target_p95_ms=target_p95_ms, measured_p50_ms=p50, measured_p95_ms=p95,
        measured_p99_ms=p99, samples=len(spent_ms), status=verdict(p95, target_p95_ms),
    )


def size_of(operation: str, label: str, measured_mb: float, *, target_mb: float | None) -> BenchSize:
    """The report's line of a process's memory."""
    return BenchSize(
        operation=operation, label=label, target_mb=target_mb, measured_mb=round(measured_mb, 1),
        status=verdict(measured_mb, target_mb),
    )


def resident_mb(pid: int | str = "self") -> float:
    """Resident memory of a process, in MiB; 0 where the kernel does not say."""
    try:
        found = _RESIDENT.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def available_mb() -> float:
    """Memory that the machine has to spare, in MiB; 0 where the kernel does not say."""
    try:
        found = _AVAILABLE.search(Path("/proc/meminfo").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def processor_s(pid: int) -> float:
    """Processor time that a process has used, in seconds; 0 where the kernel does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[_TIMES])) / os.sysconf("SC_CLK_TCK")


def regressions(
    results: Sequence[BenchResult], baseline: Sequence[BenchResult], *, threshold_pct: float
) -> tuple[BenchRegression, ...]:
    """Every operation that both have, by its 95th percentile; one of another size has another name."""
    before = {result.operation: result.measured_p95_ms for result in baseline if result.measured_p95_ms > 0}
    return tuple(
        _compared(result, before[result.operation], threshold_pct) for result in results if result.operation in before
    )


def _compared(result: BenchResult, before_ms: float, threshold_pct: float) -> BenchRegression:
    delta_pct = 100.0 * (result.measured_p95_ms - before_ms) / before_ms
    return BenchRegression(
        operation=result.operation, label=result.label, baseline_p95_ms=before_ms,
        measured_p95_ms=result.measured_p95_ms, delta_pct=round(delta_pct, 2), threshold_pct=threshold_pct,
        regressed=delta_pct > threshold_pct,
    )
