"""`python -m tests.sim --seeds A:B`: simulate seeds and say what was found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.sim.runs import SECONDS, complaint_of, line_of, run_each, run_one
from tests.sim.seeds import Case
from tests.sim.swarm import Fault


def main(arguments: Sequence[str]) -> int:
    """Run the seeds, and print each in its turn. Returns: 1 if a promise did not hold."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.trace and options.jobs > 1:
        parser.error("--trace prints one run after the other; leave --jobs out")
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
    print(
        f"{len(seeds)} seeds, {len(failed)} failed {failed or ''}; {storm_s / 3600:.1f} hours in {spent_s:.1f} s of "
        "processor time"
    )
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", required=True, metavar="A:B", help="from A to B, B left out; or one seed")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the storm lasts, in virtual time")
    parser.add_argument("--nodes", type=int, metavar="N", help="so many nodes instead of what the seed says")
    parser.add_argument("--faults", type=_faults, default=(), metavar="A,B", help="these instead of what the seed says")
    parser.add_argument("--liar", action="store_true", help="one node more, which lies to the others")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many processes")
    parser.add_argument("--trace", action="store_true", help="print every event")
    return parser


def _faults(text: str) -> tuple[Fault, ...]:
    return tuple(map(Fault, text.split(",")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
