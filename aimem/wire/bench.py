"""A bench's wish and its report: v0.6.3's shape, with what it did not have after it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Status = Literal["pass", "fail"]


class BenchResult(Struct, frozen=True, kw_only=True):
    """One timed operation. It fails above 1.1 times its target; without a target it passes."""

    operation: str
    label: str
    target_p95_ms: float | None
    measured_p50_ms: float
    measured_p95_ms: float
    measured_p99_ms: float
    samples: int
    status: Status


class BenchRegression(Struct, frozen=True, kw_only=True):
    """An operation against the same one of a baseline."""

    operation: str
    label: str
    baseline_p95_ms: float
    measured_p95_ms: float
    delta_pct: float
    threshold_pct: float
    regressed: bool


class BenchRate(Struct, frozen=True, kw_only=True):
    """How many stores a second so many callers get done together.

    Attributes:
      sync_delay_ms: by how much each commit was slowed down, as a slow disk would.
      gain: against one caller at the same delay, measured in the same run.
    """

    operation: str
    label: str
    callers: int
    sync_delay_ms: float
    per_s: float
    gain: float


class BenchSize(Struct, frozen=True, kw_only=True):
    """Resident memory of a process at a moment; it fails above its target."""

    operation: str
    label: str
    target_mb: float | None
    measured_mb: float
    status: Status


class BenchReport(Struct, frozen=True, kw_only=True):
    """What a bench found. `regressions` is null without a baseline; `notes` say what was left out and why."""

    iterations: int
    warmup: int
    results: tuple[BenchResult, ...]
    regressions: tuple[BenchRegression, ...] | None = None
    rows: int = 0
    rates: tuple[BenchRate, ...] = ()
    sizes: tuple[BenchSize, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_passed(self) -> bool:
        """Whether every budget was kept and nothing regressed."""
        statuses = [result.status for result in self.results] + [size.status for size in self.sizes]
        return "fail" not in statuses and not any(regression.regressed for regression in self.regressions or ())


class BenchRecord(Struct, frozen=True, kw_only=True):
    """One line of a history: a report's results, and when they were captured (RFC 3339)."""

    captured_at: str
    iterations: int
    warmup: int
    results: tuple[BenchResult, ...]


class BenchRequest(Struct, frozen=True, kw_only=True):
    """What to measure.

    Attributes:
      iterations, warmup: clamped to 1..100,000 and 0..10,000, as v0.6.3 does.
      rows: memories that the large recall goes over, 1 to 2,000,000.
      baseline: an earlier report to compare with.
      regression_threshold: percent by which a 95th percentile may grow over the baseline's.
    """

    iterations: int = 200
    warmup: int = 20
    rows: int = 10_000
    baseline: BenchReport | None = None
    regression_threshold: float = 10.0
