"""`python -m tests.reliability --minutes N`: break meshes for a time, and write down what came of it."""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio
from msgspec.structs import replace

from tests.cycles.cycles import Report as Cycles
from tests.cycles.faults import FAULTS
from tests.cycles.machine import lacks
from tests.reliability.figures import (
    LAST,
    Broken,
    Campaign,
    Seeds,
    Soak,
    cycles_of,
    seeds_of,
    this_commit,
    this_machine,
)
from tests.reliability.page import section, summary
from tests.sim.report import Report
from tests.sim.runs import complaint_of, run_each
from tests.sim.seeds import LIARS_EVERY, Case
from tests.soak.figures import soaked_of
from tests.soak.soak import Plan, soak_until_told

STORM_S: Final = 120.0
SEEDS_SHARE: Final = 0.7
"""Of the time; the rest is for cycles of real processes."""
BATCH: Final = 20
"""Runs a process, between two looks at the time."""
CYCLES_MAX: Final = 100_000


def main(arguments: Sequence[str]) -> int:
    """Run it, print what came of it, and keep the figures. Returns: 1 if a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--minutes", type=float, default=90.0, help="for all of it; what is under way is ended")
    parser.add_argument("--seed", type=int, metavar="N", help="the first one; else one that the day gives")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many simulated runs at once")
    parser.add_argument("--soak-minutes", type=float, default=0.0, metavar="N", help="a soak, besides; else the one "
                        "that FILE has stays there, as all else does with --minutes 0")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"where the figures go; {LAST.name} is the manual's")
    parser.add_argument("--page", action="store_true", help="print what manual and README say of the last, and end")
    options = parser.parse_args(arguments)
    if options.page:
        last = msgspec.json.decode(LAST.read_bytes(), type=Campaign)
        print(f"{section(last)}\n{summary(last)}")
        return 0
    found = _kept(options.json)
    today = dt.datetime.now(tz=dt.UTC).date()
    first = options.seed or today.toordinal() * 1_000
    if options.minutes:
        soaked = found and found.soak
        found = replace(run_campaign(first, 60.0 * options.minutes, options.jobs, today), soak=soaked)
        _keep(options.json, found)
    elif found is None:
        parser.error("--minutes 0 is for a FILE that has a campaign")
    if options.soak_minutes:
        found = replace(found, soak=run_soak(first, options.soak_minutes, today))
        _keep(options.json, found)
    print(section(found), end="")
    for text in (*found.seeds.failed, *found.cycles.failed):
        print(text)
    return 0 if found.is_clean else 1


def _kept(file: Path | None) -> Campaign | None:
    """What a file has of the campaign before; None for nothing."""
    return msgspec.json.decode(file.read_bytes(), type=Campaign) if file is not None and file.exists() else None


def _keep(file: Path | None, found: Campaign) -> None:
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


def run_campaign(first: int, total_s: float, jobs: int, today: dt.date) -> Campaign:
    """Seeds for most of the time, and then cycles."""
    return Campaign(
        commit=this_commit(), day=today.isoformat(), machine=this_machine(),
        seeds=run_seeds(first, SEEDS_SHARE * total_s, jobs),
        cycles=run_cycles(first, (1.0 - SEEDS_SHARE) * total_s),
    )


def run_soak(seed: int, minutes: float, today: dt.date) -> Soak:
    """Soak daemons."""
    with tempfile.TemporaryDirectory() as folder:
        report = trio.run(soak_until_told, Path(folder), Plan(minutes=minutes, seed=seed), say)
    if report is None:
        raise SystemExit("told to end")
    return Soak(commit=this_commit(), day=today.isoformat(), found=soaked_of(report))


def run_seeds(first: int, within_s: float, jobs: int) -> Seeds:
    """Simulate one batch of seeds after the other; every fourth with a member that lies."""
    began, cases, runs = time.monotonic(), list[Case](), list[tuple[Report, float]]()
    while not cases or time.monotonic() - began < within_s:
        at = first + len(cases)
        batch = [Case(seed, STORM_S, has_liar=seed % LIARS_EVERY == 0) for seed in range(at, at + BATCH * jobs)]
        for case, run in zip(batch, run_each(batch, jobs), strict=True):
            cases.append(case)
            runs.append(run)
            if run[0].violations:
                say(complaint_of(run[0], case))
        failed = sum(bool(report.violations) for report, _ in runs)
        say(f"{len(cases)} seeds, {failed} failed, {time.monotonic() - began:.0f} of {within_s:.0f} s")
    return seeds_of(cases, runs)


def run_cycles(seed: int, within_s: float) -> Broken:
    """Break real processes, by all faults that this machine can do, in a process of their own."""
    left_out = lacks({need for fault in FAULTS.values() for need in fault.needs})
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "cycles.json"
        subprocess.run(
            [sys.executable, "-m", "tests.cycles", "--fault", "plain" if left_out else "all", "--cycles",
             str(CYCLES_MAX), "--seconds", str(within_s), "--seed", str(seed), "--json", str(told)],
            check=False, stdout=sys.stderr,
        )
        return cycles_of(msgspec.json.decode(told.read_bytes(), type=Cycles), left_out)


def say(text: str) -> None:
    """Tell whoever watches."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
