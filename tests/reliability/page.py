"""The last campaign, as the manual and README tell of it."""

from __future__ import annotations

import textwrap
from typing import Final

from tests.reliability.figures import Broken, Campaign, Seeds, Soak

COLUMNS: Final = 120
HOUR_S: Final = 3600.0


def section(found: Campaign) -> str:
    """The lines of ai-memory-reliability(7)."""
    told = [
        _where(found), _of_seeds(found.seeds), f"Faults: {_listed(found.seeds.faults)}.",
        _verdict(len(found.seeds.failed), "run"),
        _of_cycles(found.cycles), f"Faults: {_listed(found.cycles.faults)}.",
        _verdict(len(found.cycles.failed), "cycle"),
    ]
    if found.cycles.left_out:
        told.append(f"Some faults were left out: {found.cycles.left_out}.")
    told += _of_soak(found.soak)
    wrap = textwrap.TextWrapper(width=COLUMNS, break_on_hyphens=False).wrap
    return "".join(f"{line}\n" for sentence in told for line in wrap(sentence))


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
        f"{sum(cycles.faults.values())} cycles of four real processes with certificates in {cycles.seconds:,.0f} s: "
        f"{cycles.acked:,} acts acknowledged, {cycles.refused:,} refused, {cycles.unknown:,} with an end that nobody "
        "knows."
    )


def _of_soak(soak: Soak | None) -> tuple[str, ...]:
    if soak is None:
        return ("No soak is recorded yet.",)
    return (f"Soak, on {soak.day}, commit {soak.commit}:", *soak.found.sentences())


def summary(found: Campaign) -> str:
    """A few sentences for README."""
    seeds, cycles = found.seeds, found.cycles
    is_kept = not seeds.failed and not cycles.failed
    lost = "no acknowledged write lost" if is_kept else "with failures that ai-memory-reliability(7) tells of"
    return (
        f"Last campaign ({found.day}, {found.commit}): {seeds.count} seeds, {seeds.virtual_s / HOUR_S:.1f} simulated "
        f"hours of mesh, and {sum(cycles.faults.values())} cycles of killed, stopped and cut-off processes, {lost}. "
        f"{_summary_of(found.soak)}"
    )


def _summary_of(soak: Soak | None) -> str:
    if soak is None:
        return "No soak is recorded yet."
    found = soak.found
    flat = "something failed, which ai-memory-reliability(7) tells" if found.failed else "nothing grew"
    return (
        f"Last soak ({soak.day}, {soak.commit}): {found.minutes:g} minutes of four daemons, {found.acked:,} acts, "
        f"{flat}."
    )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _verdict(failed: int, noun: str) -> str:
    if not failed:
        return f"No promise was broken in any {noun}."
    return f"In {failed} {noun}{'s' if failed > 1 else ''} a promise was broken or a check was wrong: see CHANGELOG.md."
