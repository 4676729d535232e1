"""Cycles of real processes, one pass after the other: what one fault needs of the machine makes all cycles slower."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from tests.cycles.cycles import Report
from tests.cycles.faults import FAULTS, KILLS
from tests.cycles.machine import Need, lacks
from tests.cycles.tether import tether
from tests.reliability.figures import Broken, cycles_of

KILLED: Final = "kills"


def _needing(*needs: Need) -> tuple[str, ...]:
    """Faults other than kills that need exactly this."""
    return tuple(name for name, fault in FAULTS.items() if fault.needs == frozenset(needs) and name not in KILLS)


PASSES: Final[dict[str, tuple[str, ...]]] = {
    KILLED: tuple(KILLS),
    "stops, links and disks": (*_needing(), *_needing(Need.DISK)),
    "clocks": _needing(Need.CLOCK),
    "packets": _needing(Need.NETWORK),
}
"""By what they are called, the faults of each."""


def run_pass(name: str, kill_count: int, fault_count: int, seed: int) -> Broken | None:
    """Break real processes, by all faults of a pass that this machine can do, in a process of their own.

    Args:
      kill_count: cycles of all kills together.
      fault_count: cycles of each fault of another pass.
    Returns: None if these are to be left out.
    """
    count = kill_count if name == KILLED else fault_count
    if not count:
        return None
    names = [fault for fault in PASSES[name] if not lacks(FAULTS[fault].needs)]
    if name != KILLED:
        count *= len(names)
    left_out = lacks(need for fault in PASSES[name] for need in FAULTS[fault].needs)
    nothing = cycles_of(name, Report(seed=seed, seconds=0.0, cycles=()), left_out)
    if not names:
        return nothing
    with tempfile.TemporaryDirectory() as folder, tether() as tied:
        told = Path(folder) / "cycles.json"
        done = subprocess.run(
            [sys.executable, "-m", "tests.cycles", "--fault", ",".join(names), "--cycles", str(count),
             "--seed", str(seed), "--json", str(told), "--tethered"],
            check=False, stdin=tied, stdout=sys.stderr,
        )
        if told.exists():
            return cycles_of(name, msgspec.json.decode(told.read_bytes(), type=Report), left_out)
    return replace(nothing, failed=(f"{name}: ended with status {done.returncode}, and told nothing",))
