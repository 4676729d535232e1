"""The machine's ports, for benches."""

from __future__ import annotations

from aimem.operations import BenchPorts
from aimem.ports import delayed_threads, system_chance, system_clock, system_files, trio_threads


def bench_ports() -> BenchPorts:
    """As `ai-memory bench` has them."""
    return BenchPorts(
        clock=system_clock(), chance=system_chance(), threads=trio_threads(), files=system_files(),
        delayed_threads=delayed_threads,
    )
