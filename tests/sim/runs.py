"""Many runs: one after the other or in several processes, and what is printed of each."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tests.sim.report import Report
from tests.sim.seeds import Case
from tests.sim.swarm import Swarm, roll, with_liar, with_quorum
from tests.sim.world import simulate

SECONDS = 60.0
TEXT_MAX = 1500
COSTLY = ("lose", "restore", "copy", "join", "remove", "rejoin", "midway")
SHOWN_MAX = 10


def run_each(cases: Sequence[Case], job_count: int) -> Iterator[tuple[Report, float]]:
    """Make runs in so many processes. Yields: as `run_one` returns, in the order of the cases."""
    if job_count < 2:
        yield from map(run_one, cases)
        return
    # Spawned, not forked: a run shares nothing with another, as if each had a command of its own.
    with multiprocessing.get_context("spawn").Pool(job_count) as pool:
        yield from pool.imap(_run_apart, cases)


def _run_apart(case: Case) -> tuple[Report, float]:
    """As `run_one`, in a process of its own. What it raises is told as text: not every error can leave its process."""
    try:
        return run_one(case)
    except Exception:       # the last line of the process: the pool would wait for ever for what cannot be carried
        raise RuntimeError(f"seed {case.seed} ended early\n{traceback.format_exc()}") from None


def run_one(case: Case, tell: Callable[[str], None] | None = None) -> tuple[Report, float]:
    """Make one run. Returns: its report, and the seconds of processor time that it took."""
    before = time.process_time()
    report = simulate(swarm_of(case), case.seconds, tell=tell)
    return report, time.process_time() - before


def swarm_of(case: Case) -> Swarm:
    """The conditions of a run."""
    swarm = roll(case.seed, nodes=case.nodes)
    if case.faults:
        swarm = msgspec.structs.replace(swarm, faults=case.faults)
    return with_quorum(with_liar(swarm) if case.has_liar else swarm)


def line_of(report: Report, spent_s: float) -> str:
    """One run in one line."""
    swarm, faults = report.swarm, {k[6:]: v for k, v in sorted(report.counts.items()) if k.startswith("fault.")}
    # Of what may cost a write, and so does not always happen: how often it did.
    done = {name: f"{faults[name]}/{report.counts.get(name, 0)}" for name in COSTLY if name in faults}
    weather = " ".join(f"{name}={done.get(name, count)}" for name, count in faults.items()) or "none"
    alone = f"{swarm.healed_first} alone take writes in {report.progress_s:.1f} s, " if swarm.healed_first else ""
    return (
        f"seed {swarm.seed} {'FAILED' if report.violations else 'ok'} trace {report.trace}: {swarm.nodes} nodes, "
        f"{report.deeds} acts ({report.acked} acked, {report.unknown} unknown), {report.ops} ops, "
        f"{report.counts.get('ask', 0)} messages ({report.counts.get('snapshot', 0)} for snapshots), "
        f"{report.counts.get('start', 0)} starts, faults: {weather}; "
        f"{report.checks} checks, {alone}converged in {report.converged_s:.1f} s; "
        f"{report.virtual_s:.0f} s in {spent_s:.1f} s"
    )


def findings_of(report: Report) -> str:
    """What did not hold."""
    return "\n".join(
        f"  {found.at:10.3f} {found.check}: {found.text[:TEXT_MAX]}" for found in report.violations[:SHOWN_MAX]
    )


def complaint_of(report: Report, case: Case) -> str:
    """What did not hold, and how to see it again."""
    again = f"python -m tests.sim --seeds {case.seed} --seconds {case.seconds:g}{' --liar' if case.has_liar else ''}"
    nodes = f" --nodes {case.nodes}" if case.nodes else ""
    faults = f" --faults {','.join(case.faults)}" if case.faults else ""
    return f"{findings_of(report)}\n  again: {again}{nodes}{faults} [--trace|--shrink]"
