"""The last campaign, as the manual and README tell of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from tests.cycles.faults import KILLS
from tests.reliability.figures import Broken, Campaign, Seeds

COLUMNS: Final = 120
HOUR_S: Final = 3600.0
NO_SEEDS: Final = "No seeds are recorded."
NO_CYCLES: Final = "No cycles of real processes are recorded."
NO_SOAK: Final = "No soak is recorded."


def section(found: Campaign) -> str:
    """The lines of ai-memory-reliability(7)."""
    told = [
        _where(found), *_told_of_seeds(found.seeds), *_told_of_cycles(found.cycles), *_told_of_soak(found),
    ]
    wrap = textwrap.TextWrapper(width=COLUMNS, break_on_hyphens=False).wrap
    return "".join(f"{line}\n" for sentence in told for line in wrap(sentence))


def _told_of_seeds(seeds: Seeds | None) -> Iterator[str]:
    if seeds is None:
        yield NO_SEEDS
        return
    yield from (_of_seeds(seeds), f"Faults: {_listed(seeds.faults)}.", _verdict(len(seeds.failed), "run"))


def _told_of_cycles(cycles: Sequence[Broken]) -> Iterator[str]:
    if not cycles:
        yield NO_CYCLES
        return
    yield "Four real processes with certificates:"
    for broken in cycles:
        yield _of_cycles(broken)
        if broken.left_out:
            yield f"Some faults were left out: {broken.left_out}."
    yield _verdict(sum(len(broken.failed) for broken in cycles), "cycle")


def _told_of_soak(found: Campaign) -> tuple[str, ...]:
    if found.soak is None:
        return (NO_SOAK,)
    return (f"Soak, on commit {found.soak_commit}:" if found.soak_commit else "Soak:", *found.soak.sentences())


def _where(found: Campaign) -> str:
    machine = found.machine
    return (
        f"On {found.day}, commit {found.commit}, Python {machine.python}, {machine.cores} cores, "
        f"{machine.memory_gib} GiB of memory:"
    )


def _of_seeds(seeds: Seeds) -> str:
    return (
        f"{seeds.count} seeds from {seeds.first} on, {seeds.liars} of them with a member that lies, "
        f"{seeds.storm_s:g} s of faults each: {seeds.virtual_s / HOUR_S:.1f} hours of mesh in {seeds.spent_s:,.0f} s "
        f"of processor time, {seeds.acts:,} acts of clients, {seeds.acked:,} acknowledged and {seeds.unknown:,} with "
        f"an end that nobody knows, {seeds.ops:,} ops, {seeds.messages:,} messages, {seeds.checks:,} checks."
    )


def _of_cycles(cycles: Broken) -> str:
    return (
        f"{sum(cycles.faults.values())} cycles of {cycles.name} in {cycles.seconds:,.0f} s, {cycles.acked:,} acts "
        f"acknowledged, {cycles.refused:,} refused, {cycles.unknown:,} with an end that nobody knows: "
        f"{_listed(cycles.faults) or 'none'}."
    )


def summary(found: Campaign) -> str:
    """A few sentences for README."""
    lost = "with failures that ai-memory-reliability(7) tells of" if found.failed else "no acknowledged write lost"
    tried, missing = list[str](), list[str]()
    if found.seeds is not None:
        hours = found.seeds.virtual_s / HOUR_S
        tried.append(f"{found.seeds.count} seeds, {hours:.1f} simulated hours of mesh")
    else:
        missing.append(NO_SEEDS)
    tried += _counted(found.cycles)
    if not found.cycles:
        missing.append(NO_CYCLES)
    if found.soak is not None:
        flat = "" if found.soak.failed else ", in which nothing grew"
        of = f" (on {found.soak_commit})" if found.soak_commit else ""
        tried.append(f"{found.soak.minutes:g} minutes of four daemons under a steady load{of}{flat}")
    else:
        missing.append(NO_SOAK)
    return " ".join((f"Last campaign ({found.day}, {found.commit}): {'; '.join(tried)}; {lost}.", *missing))


def _counted(cycles: Sequence[Broken]) -> Iterator[str]:
    counts = {name: count for broken in cycles for name, count in broken.faults.items()}
    if killed := sum(count for name, count in counts.items() if name in KILLS):
        yield f"{killed} kills of real processes"
    others = {count for name, count in counts.items() if name not in KILLS}
    if others:
        number = sum(name not in KILLS for name in counts)
        yield f"{'at least ' if len(others) > 1 else ''}{min(others)} of each of {number} other faults"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _verdict(failed: int, noun: str) -> str:
    if not failed:
        return f"No promise was broken in any {noun}."
    return f"In {failed} {noun}{'s' if failed > 1 else ''} a promise was broken or a check was wrong: see CHANGELOG.md."
