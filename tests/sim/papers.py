"""What operators do with certificates and lists, each machine reading its files anew at its own moment."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

import trio

from aimem.ports import DatabaseError
from aimem.store import pins
from tests.sim.certificates import Registry
from tests.sim.machine import Machine
from tests.sim.swarm import Swarm
from tests.sim.trace import Trace
from tests.sim.watch import Watcher

RELOAD_S: Final = 2.0
"""Within so long all machines are asked to read their files."""
STEP_S: Final = (0.0, 8.0)
OUTSIDE_S: Final = (2.0, 20.0)
LOOKS: Final = 300
LOOK_S: Final = 0.1


class Papers:
    """Changes certificates and lists.

    Attributes:
      registry: what the files say.
      is_delisting: whether some list lacks somebody, or is about to.
      held_by: who wants all to stay on the lists just now.
    """

    def __init__(
        self, swarm: Swarm, machines: Mapping[str, Machine], registry: Registry, watcher: Watcher, trace: Trace
    ) -> None:
        self._machines, self.registry, self._watcher, self._trace = machines, registry, watcher, trace
        self._honest = swarm.honest
        self._turning: set[str] = set()
        self.is_delisting = False
        self.held_by: set[str] = set()

    async def rotate(self, rng: random.Random) -> None:
        """Give a node another certificate."""
        await self.rotate_one(rng.choice(sorted(self._machines)), rng)

    async def rotate_one(self, name: str, rng: random.Random) -> None:
        """The new one is on all lists first, then shown, and the old one leaves them last."""
        if name in self._turning:
            return
        self._turning.add(name)
        try:
            fresh = self.registry.issue(name)
            await self._have_read(sorted(self._machines), rng)
            await trio.sleep(rng.uniform(*STEP_S))
            self.registry.shown[name] = fresh
            await self._have_read([name], rng)
            await trio.sleep(rng.uniform(*STEP_S))
            self.registry.retire(name)
            await self._have_read(sorted(self._machines), rng)
            self._trace.note("rotated", name)
        finally:
            self._turning.discard(name)

    async def delist(self, rng: random.Random) -> None:
        """Take a node off the lists of all others for a while."""
        name = rng.choice(self._honest)
        if self.is_delisting or self.held_by:
            return
        self.is_delisting = True
        try:
            if all(self._knows(machine, name) for other, machine in self._machines.items() if other != name):
                await self._exclude(name, rng)
        finally:
            self._watcher.shunned = None
            self.registry.outside = ""
            self.is_delisting = False
        await self._have_read(sorted(self._machines), rng)

    async def _exclude(self, name: str, rng: random.Random) -> None:
        self.registry.outside = name
        others = [other for other in sorted(self._machines) if other != name]
        await self._have_read(others, rng)
        for _ in range(LOOKS):
            if all(self._has_read(other) for other in others):
                self._watcher.shun(name)
                self._trace.note("delisted", name)
                await trio.sleep(rng.uniform(*OUTSIDE_S))
                break
            await trio.sleep(LOOK_S)

    def settle(self) -> None:
        """Have all lists name whoever there is, and nothing else, on every node that does not know yet."""
        self._watcher.shunned = None
        self.is_delisting = False
        self.registry.settle()
        self.settle_lists()

    def settle_lists(self) -> None:
        """Have whoever does not know yet read its files."""
        for name in sorted(self._machines):
            if not self._has_read(name):
                self._ask(name)

    async def _have_read(self, names: list[str], rng: random.Random) -> None:
        """Ask machines to read their files, each when its operator comes to it."""
        for name in rng.sample(names, len(names)):
            await trio.sleep(rng.uniform(0, RELOAD_S / len(names)))
            self._ask(name)

    def _ask(self, name: str) -> None:
        process = self._machines[name].process
        if process is not None:
            process.control.ask_reload()

    def _has_read(self, name: str) -> bool:
        """Whether what a process uses is what its files say; one that has not begun will read them."""
        process = self._machines[name].process
        if process is None or process.wallet is None or process.power.is_dead:
            return True
        return process.wallet.credentials == process.wallet.read()

    @staticmethod
    def _knows(machine: Machine, name: str) -> bool:
        """Whether a node has seen another's certificate on its list: who never was on it cannot be taken off."""
        conn = None if machine.running is None else machine.running.writer
        try:
            pin = None if conn is None else pins.load(conn).get(name)
        except DatabaseError:
            return False
        return pin is not None and pin.is_listed
