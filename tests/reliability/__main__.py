"""`python -m tests.reliability`: break meshes, simulated and real ones, soak one, and write down what came of it."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from tests.reliability.figures import LAST, Campaign, Seeds, seeds_of, this_commit, this_machine
from tests.reliability.page import section, summary
from tests.reliability.passes import PASSES, run_pass
from tests.reliability.soak import soaking
from tests.sim.report import Report
from tests.sim.runs import complaint_of, run_each
from tests.sim.seeds import LIARS_EVERY, Case

STORM_S: Final = 120.0
BATCH: Final = 20
"""Runs a process, between two looks at the time."""


def main(arguments: Sequence[str]) -> int:
    """Run it, print what came of it, and keep the figures. Returns: 1 if a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--minutes", type=float, default=90.0, help="of seeds; what is under way is ended")
    parser.add_argument("--kill-cycles", type=int, default=100, metavar="N", help="of all ways to die together")
    parser.add_argument("--fault-cycles", type=int, default=10, metavar="N", help="of each other fault")
    parser.add_argument("--soak-minutes", type=float, default=60.0, metavar="N", help="of a soak, beside the seeds")
    parser.add_argument("--seed", type=int, metavar="N", help="the first one; else one that the day gives")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many simulated runs at once")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where the figures go, after each part; what is left out by 0 is "
        f"kept there, if it is of the same commit; {LAST.name} is the manual's",
    )
    parser.add_argument("--page", action="store_true", help="print what manual and README say of the last, and end")
    options = parser.parse_args(arguments)
    if options.page:
        last = msgspec.json.decode(LAST.read_bytes(), type=Campaign)
        print(f"{section(last)}\n{summary(last)}")
        return 0
    if not (options.minutes or options.kill_cycles or options.fault_cycles or options.soak_minutes):
        parser.error("nothing is left to do")
    today = dt.datetime.now(tz=dt.UTC).date()
    first, commit = options.seed or today.toordinal() * 1_000, this_commit()
    kept = replace(kept_of(options.json, commit), day=today.isoformat(), machine=this_machine())
    for found in run_parts(kept, options, first):
        if options.json is not None:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    print(section(found), end="")
    for text in found.failed:
        print(text)
    return 1 if found.failed else 0


def kept_of(file: Path | None, commit: str) -> Campaign:
    """What a file has of this commit; anything else in it is dropped, which is said."""
    if file is not None and file.exists():
        last = msgspec.json.decode(file.read_bytes(), type=Campaign)
        if last.commit == commit and commit and not commit.endswith("+"):
            return last
        say(f"what {file} has is of {last.commit}, and this is {commit}: it is not kept")
    return Campaign(commit=commit, day="", machine=this_machine(), seeds=None, cycles=())


def run_parts(found: Campaign, options: argparse.Namespace, first: int) -> Iterator[Campaign]:
    """Break real processes, alone, as time counts there; then simulate, and soak daemons beside that.

    Yields: `found` with all that is known, whenever there is more.
    """
    for name in PASSES:
        if (broken := run_pass(name, options.kill_cycles, options.fault_cycles, first)) is not None:
            passes = {**{one.name: one for one in found.cycles}, name: broken}
            found = replace(found, cycles=tuple(passes[each] for each in PASSES if each in passes))
            yield found
    with soaking(options.soak_minutes, first) as wait_soaked:
        for seeds in run_seeds(first, 60.0 * options.minutes, options.jobs) if options.minutes else ():
            found = replace(found, seeds=seeds, soak=wait_soaked(0.0) or found.soak)
            yield found
        yield replace(found, soak=wait_soaked(None) or found.soak)


def run_seeds(first: int, within_s: float, jobs: int) -> Iterator[Seeds]:
    """Simulate one batch of seeds after the other; every fourth with a member that lies. Yields: all so far."""
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
        yield seeds_of(cases, runs)


def say(text: str) -> None:
    """Tell whoever watches."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
