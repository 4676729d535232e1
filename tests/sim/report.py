"""What is told of a run when it is over."""

from __future__ import annotations

from msgspec import Struct

from tests.sim.nemesis import Strike
from tests.sim.swarm import Swarm
from tests.sim.watch import Violation


class Report(Struct, frozen=True, kw_only=True):
    """How a run went.

    Attributes:
      trace: hash over all that happened.
      acked: deeds that were acknowledged; `unknown` those that nobody can tell.
      strikes: the faults that were begun.
      acts: what clients did, by their acts, in the order in which it was begun: as `only_acts` of the swarm has them.
      progress_s: until those that were healed first took writes again; -1 where all were healed at once.
      converged_s: from fine weather to equal states.
      violations: what did not hold; empty is the aim.
    """

    swarm: Swarm
    trace: str
    counts: dict[str, int]
    deeds: int
    acked: int
    unknown: int
    ops: int
    checks: int
    strikes: tuple[Strike, ...]
    acts: dict[str, str]
    progress_s: float
    converged_s: float
    virtual_s: float
    violations: tuple[Violation, ...]
