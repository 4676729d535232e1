"""Who is a member: machines join empty, are taken off all lists and come back, while everything else goes on.

Each machine has a configuration of its own, changed by its operator and read by a reload, each at another moment. In
the end all machines of a run are members.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

import trio

from tests.sim.losses import Losses
from tests.sim.machine import Machine
from tests.sim.papers import Papers
from tests.sim.swarm import Fault, Swarm
from tests.sim.trace import Trace

RELOAD_S: Final = 4.0
"""Within so long all operators change what their machines are told."""
OUT_S: Final = (3.0, 30.0)
HOLD: Final = "roster"


class Roster:
    """Changes what machines are told of each other.

    Attributes:
      absent: machines that are no members, and do not run.
    """

    def __init__(
        self, swarm: Swarm, machines: Mapping[str, Machine], losses: Losses, papers: Papers, trace: Trace
    ) -> None:
        self._swarm, self._machines, self._losses, self._papers, self._trace = swarm, machines, losses, papers, trace
        self.absent: set[str] = set()
        self._leaving: set[str] = set()     # of those of whom some others are not told yet
        if swarm.has(Fault.JOIN) and self._can_spare():
            self._leave_out(swarm.honest[-1])

    @property
    def fewest(self) -> int:
        """Members by the shortest list of a machine that runs."""
        return 1 + min(len(machine.listed) for name, machine in self._machines.items() if name not in self.absent)

    def _can_spare(self) -> bool:
        """Whether a mesh of one less is a mesh that takes writes."""
        left = self._swarm.nodes - len(self.absent) - 1
        return left >= max(2, self._swarm.quorum)

    def _leave_out(self, name: str) -> None:
        """Have nobody ever have been told of a machine."""
        self.absent.add(name)
        self._papers.held_by.add(HOLD)
        for other, machine in self._machines.items():
            if other != name:
                machine.listed = tuple(peer for peer in machine.listed if peer != name)

    async def join(self, rng: random.Random) -> None:
        """Take a machine in that is none of the members: its operator, and each of the others, at their own time."""
        await trio.lowlevel.checkpoint()
        if self.absent - self._leaving:
            await self._take_in(rng.choice(sorted(self.absent - self._leaving)), rng)

    async def remove(self, rng: random.Random) -> None:
        """Take a machine off all lists and stop it; after a while it is taken in again, empty or as it was."""
        name = rng.choice(self._swarm.honest)
        machine = self._machines[name]
        if name in self.absent or not self._can_spare() or self._papers.is_delisting or self._papers.held_by:
            return
        is_scrapped = rng.random() < 0.5 and self._losses.may_lose()
        self._papers.held_by.add(HOLD)
        self.absent.add(name)
        self._leaving.add(name)
        self._trace.note("remove", name, is_scrapped)
        # Stopped before the others hear of it, while they do, or when all have.
        others = [other for other in sorted(self._machines) if other != name]
        stop_at = rng.randrange(len(others) + 1)
        for at, other in enumerate([*rng.sample(others, len(others)), ""]):
            if at == stop_at:
                await (machine.lose() if is_scrapped else machine.kill())
            if other:
                await trio.sleep(rng.uniform(0, RELOAD_S / len(others)))
                self._tell(other, tuple(peer for peer in self._machines[other].listed if peer != name))
        self._leaving.discard(name)
        await trio.sleep(rng.uniform(*OUT_S))
        await self._take_in(name, rng)

    async def _take_in(self, name: str, rng: random.Random) -> None:
        others = [other for other in sorted(self._machines) if other not in self.absent]
        if name not in self.absent:
            return
        self._trace.note("join", name)
        self._machines[name].listed = tuple(others)
        start_at = rng.randrange(len(others) + 1)
        for at, other in enumerate([*rng.sample(others, len(others)), ""]):
            if at == start_at:
                self.absent.discard(name)       # whoever starts machines does it
            if other:
                await trio.sleep(rng.uniform(0, RELOAD_S / len(others)))
                self._tell(other, (*self._machines[other].listed, name))
        if not self.absent:
            self._papers.held_by.discard(HOLD)

    def _tell(self, name: str, listed: tuple[str, ...]) -> None:
        """Change the configuration of a machine, and have it read."""
        machine = self._machines[name]
        listed = tuple(dict.fromkeys(listed))
        if listed != machine.listed:
            machine.listed = listed
            self._trace.note("listed", name, *listed)
            if machine.process is not None:
                machine.process.control.ask_reload()

    def settle(self) -> None:
        """All machines are members, and all have been told."""
        self.absent.clear()
        self._papers.held_by.discard(HOLD)
        for name in sorted(self._machines):
            self._tell(name, tuple(other for other in sorted(self._machines) if other != name))
