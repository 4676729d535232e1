"""A run that failed, with as little in it as still makes it fail: a script of the faults and acts that it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar  # values of fields

import msgspec
from msgspec import Struct

from tests.sim.report import Report
from tests.sim.swarm import Certificates, Swarm
from tests.sim.world import simulate

T = TypeVar("T")

SHRINK_S: Final = 300.0
RUNS_MAX: Final = 400
FEWEST: Final = 2
PARTS: Final = (0.125, 0.25, 0.5, 0.75)
CALM: Final[Mapping[str, Any]] = {
    "loss": 0.0, "duplicates": 0.0, "breaks": 0.0, "lies": 0.0, "leaves_late": 0.0, "clock_offset_s": 0.0,
    "clock_drift": 0.0, "governed": False, "secured": False, "has_model": False, "certificates": Certificates.NONE,
    "healed_first": 0, "keeps_key": False, "log_most": None, "compare_s": None,
}
"""Conditions as they are where they make nothing worse."""


class Script(Struct, frozen=True, kw_only=True):
    """A run by its conditions alone, as a file holds it.

    Attributes:
      found: the check that finds something in it.
      seconds: how long its storm lasts.
    """

    found: str
    seconds: float
    swarm: Swarm


class Shrinker:
    """Leaves out of a script whatever it fails without.

    Attributes:
      script: what is left; it always fails, and by the same check as the first one.
      report: how that went.
      runs: how many were made.
    """

    def __init__(
        self, script: Script, report: Report, *, limit_s: float, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.script, self.report, self.runs = script, report, 0
        self._say, self._until = say, time.monotonic() + limit_s

    @property
    def is_over(self) -> bool:
        """Whether there may be no more runs."""
        return self.runs >= RUNS_MAX or time.monotonic() > self._until

    def shrink(self) -> None:
        """Leave out what can be, again and again until nothing more can, or time is over."""
        before = None
        while self.script != before and not self.is_over:
            before = self.script
            self._shorten()
            self._take_nodes()
            self._leave_out_faults()
            self._calm_down()
            self._leave_out_acts()

    def _shorten(self) -> None:
        found = next(one for one in self.report.violations if one.check == self.script.found)
        if found.at < self.script.seconds:
            self._try(f"{found.at:.1f} s of storm", seconds=math.ceil(found.at * 10) / 10)
            return
        for part in PARTS:
            seconds = round(self.script.seconds * part, 1)
            if self._try(f"{seconds:g} s of storm", seconds=seconds):
                return

    def _take_nodes(self) -> None:
        swarm, liars = self.script.swarm, len(self.script.swarm.names) - len(self.script.swarm.honest)
        for count in range(FEWEST + liars, swarm.nodes):
            if self._try(f"{count} nodes", nodes=count, quorum=min(swarm.quorum, count - liars)):
                return

    def _leave_out_faults(self) -> None:
        kinds = tuple(dict.fromkeys(self.script.swarm.faults))
        kinds = tuple(kind for kind in kinds if self.script.swarm.has(kind))
        self._thin("kinds of faults", kinds, lambda kept: {"without": tuple(
            kind for kind in self.script.swarm.faults if kind not in kept
        )})
        numbers = tuple(strike.number for strike in self.report.strikes)
        self._thin("faults", numbers, lambda kept: {"only_faults": kept})

    def _calm_down(self) -> None:
        swarm = self.script.swarm
        bad = tuple(name for name, calm in CALM.items() if getattr(swarm, name) != calm)
        self._thin("conditions", bad, lambda kept: {name: CALM[name] for name in bad if name not in kept})
        self._thin("lies", swarm.member_lies, lambda kept: {"member_lies": kept})

    def _leave_out_acts(self) -> None:
        acts = tuple(sorted(self.report.acts))
        clients = tuple(sorted({_client(act) for act in acts}))
        self._thin("clients", clients, lambda kept: {"only_acts": tuple(act for act in acts if _client(act) in kept)})
        self._thin("acts", tuple(sorted(self.report.acts)), lambda kept: {"only_acts": kept})

    def _thin(self, what: str, items: Sequence[T], change: Callable[[tuple[T, ...]], Mapping[str, Any]]) -> None:
        """Keep as few of some as it takes: leave out all, then each half, each quarter, each one."""
        kept, size = tuple(items), len(items)
        while size and not self.is_over:
            at = 0
            while at < len(kept):
                rest = kept[:at] + kept[at + size :]
                if self._try(f"{len(rest)} of {len(items)} {what}", **change(rest)):
                    kept = rest
                else:
                    at += size
            size //= 2

    def _try(self, what: str, *, seconds: float | None = None, **changes: Any) -> bool:
        """Run with other conditions. Returns: whether it still fails by the same check; then they are kept."""
        swarm = msgspec.structs.replace(self.script.swarm, **changes)
        seconds = self.script.seconds if seconds is None else seconds
        script = msgspec.structs.replace(self.script, swarm=swarm, seconds=seconds)
        if self.is_over or script == self.script:
            return False
        self.runs += 1
        report = simulate(script.swarm, script.seconds)
        fails = self.script.found in {violation.check for violation in report.violations}
        self._say(f"run {self.runs}: {what}: {'fails as before' if fails else 'does not'}")
        if fails:
            self.script, self.report = script, report
        return fails


def _client(act: str) -> str:
    return act.partition(".")[0]


def told_of(first: Script, shrinker: Shrinker) -> Iterator[str]:
    """What was left out, and what is left, in lines."""
    script, report = shrinker.script, shrinker.report
    before, after = first.swarm, script.swarm
    yield f"{shrinker.runs} runs that were to fail by the check {script.found}"
    yield f"{first.seconds:g} -> {script.seconds:g} s of storm, {before.nodes} -> {after.nodes} nodes"
    calmed = [name for name, calm in CALM.items() if getattr(before, name) != getattr(after, name) == calm]
    yield f"left out: {', '.join(calmed) or 'no condition'}"
    left = [f"{name}={getattr(after, name)}" for name, calm in CALM.items() if getattr(after, name) != calm]
    yield f"left: {', '.join(left) or 'no condition'}"
    if before.member_lies:
        yield f"{len(before.member_lies)} -> {len(after.member_lies)} lies: {', '.join(after.member_lies)}"
    yield f"{len(report.strikes)} faults:"
    yield from (f"  {strike.at:8.3f} #{strike.number} {strike.fault.value}" for strike in report.strikes)
    yield f"{len(report.acts)} acts:"
    yield from (f"  {act} {told}" for act, told in report.acts.items())


def write_script(script: Script) -> str:
    """A script in one line."""
    return msgspec.json.encode(script).decode()


def read_script(path: Path) -> Script:
    """The script in a file, which may hold all that was printed with it: the last line that begins with a brace."""
    line = [line for line in path.read_text().splitlines() if line.startswith("{")][-1]
    return msgspec.json.decode(line, type=Script)
