"""`python -m tests.sim --seeds A:B`: simulate seeds and say what was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.sim.swarm import roll
from tests.sim.world import Report, simulate

SECONDS = 60.0
TEXT_MAX = 1500


def main(arguments: Sequence[str]) -> int:
    """Run the seeds one after the other. Returns: 1 if a promise did not hold."""
    options = _parser().parse_args(arguments)
    first, _, beyond = options.seeds.partition(":")
    seeds = range(int(first), int(beyond or int(first) + 1))
    failed = []
    began = time.process_time()
    for seed in seeds:
        before = time.process_time()
        tell = print if options.trace else None
        report = simulate(roll(seed, nodes=options.nodes), options.seconds, tell=tell)
        print(line_of(report, time.process_time() - before), flush=True)
        if report.violations:
            failed.append(seed)
            print(complaint_of(report, options.seconds, options.nodes), flush=True)
    spent = time.process_time() - began
    print(f"{len(seeds)} seeds, {len(failed)} failed {failed or ''}; {spent:.1f} s of processor time")
    return 1 if failed else 0


def line_of(report: Report, spent_s: float) -> str:
    """One run in one line."""
    swarm, faults = report.swarm, {k[6:]: v for k, v in sorted(report.counts.items()) if k.startswith("fault.")}
    weather = " ".join(f"{name}={count}" for name, count in faults.items()) or "none"
    return (
        f"seed {swarm.seed} {'FAILED' if report.violations else 'ok'} trace {report.trace}: {swarm.nodes} nodes, "
        f"{report.deeds} acts ({report.acked} acked, {report.unknown} unknown), {report.ops} ops, "
        f"{report.counts.get('ask', 0)} messages, {report.counts.get('start', 0)} starts, faults: {weather}; "
        f"{report.checks} checks, converged in {report.converged_s:.1f} s; {report.virtual_s:.0f} s in {spent_s:.1f} s"
    )


def complaint_of(report: Report, seconds: float, nodes: int | None) -> str:
    """What did not hold, and how to see it again."""
    lines = [f"  {found.at:10.3f} {found.check}: {found.text[:TEXT_MAX]}" for found in report.violations[:10]]
    again = f"python -m tests.sim --seeds {report.swarm.seed} --seconds {seconds:g}"
    return "\n".join([*lines, f"  again: {again}{f' --nodes {nodes}' if nodes else ''} [--trace]"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", required=True, metavar="A:B", help="from A to B, B left out; or one seed")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the storm lasts, in virtual time")
    parser.add_argument("--nodes", type=int, metavar="N", help="so many nodes instead of what the seed says")
    parser.add_argument("--trace", action="store_true", help="print every event")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
