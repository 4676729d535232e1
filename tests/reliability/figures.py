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
    """Cycles of real processes.

    Attributes:
      left_out: why some faults were not tried; empty if all were.
      faults: how many cycles of each.
      failed: what was found in cycles that were not as promised.
    """

    seed: int
    seconds: float
    left_out: str
    acked: int
    refused: int
    unknown: int
    faults: dict[str, int]
    failed: tuple[str, ...]


class Soak(Struct, frozen=True, kw_only=True):
    """A soak, which may be of another commit and day than the rest."""

    commit: str
    day: str
    found: Soaked


class Campaign(Struct, frozen=True, kw_only=True):
    """All of it. `commit` is empty where that is not known, and ends in `+` where files were changed beside it."""

    commit: str
    day: str
    machine: Machine
    seeds: Seeds
    cycles: Broken
    soak: Soak | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.seeds.failed or self.cycles.failed or (self.soak and self.soak.found.failed))


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


def cycles_of(report: Cycles, left_out: str) -> Broken:
    """The figures of cycles."""
    return Broken(
        seed=report.seed, seconds=round(report.seconds), left_out=left_out,
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
    """As git names it in short."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return said.stdout.strip()
