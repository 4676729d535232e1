"""`python -m tests.sim --seeds A:B`: simulate seeds and say what was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.sim.report import Report
from tests.sim.runs import SECONDS, complaint_of, findings_of, line_of, run_each, run_one
from tests.sim.seeds import Case
from tests.sim.shrinking import SHRINK_S, Script, Shrinker, read_script, told_of, write_script
from tests.sim.swarm import Fault
from tests.sim.world import simulate


def main(arguments: Sequence[str]) -> int:
    """Run the seeds, and print each in its turn. Returns: 1 if a promise did not hold."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.trace and options.jobs > 1:
        parser.error("--trace prints one run after the other; leave --jobs out")
    if options.script is not None:
        return _run_script(options.script, print if options.trace else None)
    first, _, beyond = options.seeds.partition(":")
    seeds = range(int(first), int(beyond or int(first) + 1))
    cases = [Case(seed, options.seconds, options.nodes, options.liar, options.faults) for seed in seeds]
    failed, spent_s, storm_s = [], 0.0, 0.0
    made = (run_one(case, print) for case in cases) if options.trace else run_each(cases, options.jobs)
    for case, (report, took_s) in zip(cases, made, strict=True):
        print(line_of(report, took_s), flush=True)
        spent_s, storm_s = spent_s + took_s, storm_s + report.virtual_s
        if report.violations:
            failed.append(case.seed)
            print(complaint_of(report, case), flush=True)
        if options.shrink:
            _shrink(case, report, options.shrink_seconds)
    print(
        f"{len(seeds)} seeds, {len(failed)} failed {failed or ''}; {storm_s / 3600:.1f} hours in {spent_s:.1f} s of "
        "processor time"
    )
    return 1 if failed else 0


def _run_script(path: Path, tell: Callable[[str], None] | None) -> int:
    """Run what an earlier failure was shrunk to. Returns: 1 if a promise still does not hold."""
    script = read_script(path)
    before = time.process_time()
    report = simulate(script.swarm, script.seconds, tell=tell)
    print(line_of(report, time.process_time() - before))
    if report.violations:
        print(findings_of(report))
    return 1 if report.violations else 0


def _shrink(case: Case, report: Report, limit_s: float) -> None:
    """Print the least of a run that fails as it did."""
    if not report.violations:
        print(f"  seed {case.seed} keeps what was promised: there is nothing to shrink", flush=True)
        return
    first = Script(found=report.violations[0].check, seconds=case.seconds, swarm=report.swarm)
    shrinker = Shrinker(first, report, limit_s=limit_s, say=partial(print, file=sys.stderr, flush=True))
    shrinker.shrink()
    for line in told_of(first, shrinker):
        print(f"  {line}")
    print(f"{findings_of(shrinker.report)}\n  again, with this in a file: python -m tests.sim --script FILE [--trace]")
    print(write_script(shrinker.script), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    runs = parser.add_mutually_exclusive_group(required=True)
    runs.add_argument("--seeds", metavar="A:B", help="from A to B, B left out; or one seed")
    runs.add_argument("--script", type=Path, metavar="FILE", help="what an earlier run was shrunk to")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the storm lasts, in virtual time")
    parser.add_argument("--nodes", type=int, metavar="N", help="so many nodes instead of what the seed says")
    parser.add_argument("--faults", type=_faults, default=(), metavar="A,B", help="these instead of what the seed says")
    parser.add_argument("--liar", action="store_true", help="one node more, which lies to the others")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many processes")
    parser.add_argument("--trace", action="store_true", help="print every event")
    parser.add_argument("--shrink", action="store_true", help="leave out of a run that fails what it fails without")
    parser.add_argument("--shrink-seconds", type=float, default=SHRINK_S, metavar="S", help="so long at most, each")
    return parser


def _faults(text: str) -> tuple[Fault, ...]:
    return tuple(map(Fault, text.split(",")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
