"""What a campaign found, as it is kept beside the manual."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from tests.cycles.cycles import Report as Cycles
from tests.sim.report import Report
from tests.sim.runs import complaint_of
from tests.sim.seeds import Case
from tests.soak.figures import Soaked

HERE = Path(__file__).parent
LAST = HERE / "last.json"
_GIB = 1 << 30
_FAULT = "fault."


class Machine(Struct, frozen=True, kw_only=True):
    """Where it ran."""

    cores: int
    memory_gib: int
    python: str


class Seeds(Struct, frozen=True, kw_only=True):
    """Simulated runs.

    Attributes:
      first, count, liars: which seeds: from the first on; of them so many with one more member, which lies.
      storm_s: how long the faults of each lasted, in virtual time.
      virtual_s, spent_s: of all together: virtual time, and processor time.
      acts, acked, unknown: what clients did, what was acknowledged, and what nobody knows the end of.
      faults: how often each began.
      failed: of each run in which a promise did not hold: its command and what was found.
    """

    first: int
    count: int
    liars: int
    storm_s: float
    virtual_s: float
    spent_s: float
    acts: int
    acked: int
    unknown: int
    ops: int
    messages: int
    checks: int
    faults: dict[str, int]
    failed: tuple[str, ...]


class Broken(Struct, frozen=True, kw_only=True):
    """Cycles of real processes, of one pass.

    Attributes:
      name: what its faults are called together.
      left_out: why some faults were not tried; empty if all were.
      faults: how many cycles of each.
      failed: what was found in cycles that were not as promised.
    """

    name: str
    seed: int
    seconds: float
    left_out: str
    acked: int
    refused: int
    unknown: int
    faults: dict[str, int]
    failed: tuple[str, ...]


class Campaign(Struct, frozen=True, kw_only=True):
    """All of it. `commit` is empty where that is not known, and ends in `+` where files were changed beside it.

    Attributes:
      seeds: None if they were left out.
      cycles: of each pass that was not left out.
      soak: None if it was left out.
      soak_commit: of which it was, where that was another one.
    """

    commit: str
    day: str
    machine: Machine
    seeds: Seeds | None
    cycles: tuple[Broken, ...]
    soak: Soaked | None = None
    soak_commit: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        """What was found."""
        parts = (self.seeds, *self.cycles, self.soak)
        return tuple(text for part in parts if part is not None for text in part.failed)


def seeds_of(cases: Sequence[Case], runs: Sequence[tuple[Report, float]]) -> Seeds:
    """The figures of simulated runs."""
    faults, reports = Counter[str](), [report for report, _ in runs]
    for report in reports:
        faults.update({
            name.removeprefix(_FAULT): count for name, count in report.counts.items() if name.startswith(_FAULT)
        })
    return Seeds(
        first=cases[0].seed, count=len(cases), liars=sum(case.has_liar for case in cases), storm_s=cases[0].seconds,
        virtual_s=round(sum(report.virtual_s for report in reports)),
        spent_s=round(sum(spent_s for _, spent_s in runs)),
        acts=sum(report.deeds for report in reports), acked=sum(report.acked for report in reports),
        unknown=sum(report.unknown for report in reports), ops=sum(report.ops for report in reports),
        messages=sum(report.counts.get("ask", 0) for report in reports),
        checks=sum(report.checks for report in reports), faults=dict(sorted(faults.items())),
        failed=tuple(
            complaint_of(report, case) for case, report in zip(cases, reports, strict=True) if report.violations
        ),
    )


def cycles_of(name: str, report: Cycles, left_out: str) -> Broken:
    """The figures of a pass."""
    return Broken(
        name=name, seed=report.seed, seconds=round(report.seconds), left_out=left_out,
        acked=sum(one.acked for one in report.cycles), refused=sum(one.refused for one in report.cycles),
        unknown=sum(one.unknown for one in report.cycles),
        faults=dict(sorted(Counter(one.fault for one in report.cycles).items())),
        failed=tuple(one.line() for one in report.cycles if one.violations),
    )


def this_machine() -> Machine:
    """Cores that this process may use, memory as installed."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cores=len(os.sched_getaffinity(0)), memory_gib=round(memory / _GIB), python=platform.python_version()
    )


def this_commit() -> str:
    """As git names it in short; the figures themselves may have changed beside it."""
    name = _git("describe", "--always").stdout.strip()
    is_same = not _git("diff", "--quiet", "HEAD", "--", ":/", f":(exclude){LAST.name}").returncode
    return name if is_same or not name else f"{name}+"


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False)
