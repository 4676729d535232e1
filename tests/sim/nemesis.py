"""Who makes the weather: one fault after another, each for a while, as the swarm of the seed allows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable, Collection, Mapping

import apsw
import trio
from msgspec import Struct

from tests.sim.logs import Logs
from tests.sim.losses import Losses
from tests.sim.machine import Machine
from tests.sim.network import Network, random_cuts
from tests.sim.papers import Papers
from tests.sim.processes import Unsynced
from tests.sim.rejoining import Rejoining
from tests.sim.roster import Roster
from tests.sim.swarm import Fault, Swarm
from tests.sim.trace import Trace
from tests.sim.versions import Versions

RESTART_S = 0.5
AWAY_S = (20.0, 60.0)
MIDWAY_S = 30.0
MESSAGES = 8
SWIZZLE_S = 4.0


class Strike(Struct, frozen=True):
    """A fault that was begun: the n-th of those that its seed thinks of."""

    number: int
    fault: Fault
    at: float


class Nemesis:
    """Injects faults until a moment; `heal` takes them all back.

    Each fault draws from a generator of its own, so that the others are what they are where it is left out.

    Attributes:
      strikes: what was begun.
      unsynced: the processes of which a sync failed.
      papers: who changes certificates and lists.
      losses: what becomes of files.
      logs: what logs are to keep.
      roster: who is a member.
      versions: who runs which version.
    """

    def __init__(
        self, swarm: Swarm, machines: Mapping[str, Machine], network: Network, trace: Trace, papers: Papers,
        losses: Losses, logs: Logs, roster: Roster, versions: Versions, rejoining: Rejoining,
    ) -> None:
        self._swarm, self._machines, self._network, self._trace = swarm, machines, network, trace
        self._rng = swarm.rng("nemesis")
        self._names = sorted(machines)
        self.papers, self.losses, self.logs, self.roster, self.versions = papers, losses, logs, roster, versions
        self.strikes: list[Strike] = []
        self.unsynced: list[Unsynced] = []
        self._away: set[str] = set()
        self._acts: dict[Fault, Callable[[random.Random], Awaitable[None]]] = {
            Fault.PARTITION: self.partition, Fault.CLOG: self.clog, Fault.KILL: self.kill, Fault.POWER: self.power,
            Fault.PAUSE: self.pause, Fault.STEP: self.step, Fault.FULL_DISK: self.full_disk,
            Fault.SLOW_DISK: self.slow_disk, Fault.SYNC_ERROR: self.sync_error, Fault.LOSE: losses.lose,
            Fault.RESTORE: losses.restore, Fault.ROT: losses.rot, Fault.ROTATE: papers.rotate,
            Fault.DELIST: papers.delist, Fault.COPY: losses.copy, Fault.TRIM: self.trim, Fault.AWAY: self.away,
            Fault.JOIN: roster.join, Fault.REMOVE: roster.remove, Fault.OLDER: versions.upgrade_perhaps,
            Fault.REJOIN: rejoining.rejoin, Fault.MIDWAY: self.midway,
        }

    async def rage(self, until: float, nursery: trio.Nursery) -> None:
        """Begin faults at random moments; several may last at once."""
        if not self._swarm.faults:
            return
        numbers = itertools.count()
        while True:
            await trio.sleep(self._rng.expovariate(1 / self._swarm.calm_s))
            if trio.current_time() >= until:
                return
            strike = Strike(next(numbers), self._rng.choice(self._swarm.faults), trio.current_time())
            if self._swarm.strikes(strike.number, strike.fault):
                self.strikes.append(strike)
                self._trace.note(f"fault.{strike.fault.value}", strike.number)
                nursery.start_soon(self._acts[strike.fault], self._swarm.rng(f"fault {strike.number}"))

    def _machine(self, rng: random.Random) -> Machine:
        return self._machines[rng.choice(self._names)]

    async def partition(self, rng: random.Random) -> None:
        """Cut links, and mend them one by one in another order."""
        cuts = random_cuts(rng, self._names)
        self._network.cut |= cuts
        await trio.sleep(rng.uniform(1, 15))
        healing = sorted(cuts)
        rng.shuffle(healing)
        for cut in healing:
            self._network.cut.discard(cut)
            if rng.random() < 0.2:
                await trio.sleep(rng.uniform(0, 1))

    async def clog(self, rng: random.Random) -> None:
        """Hold what travels on some links: on all at once, or on one after the other, to be let go in another order."""
        pairs = [(a, b) for a in self._names for b in self._names if a != b]
        chosen, until = rng.sample(pairs, rng.randint(1, len(pairs))), trio.current_time() + rng.uniform(0.2, 5)
        if rng.random() < 0.5:
            for pair in chosen:
                self._network.clogged[pair] = until
            await trio.lowlevel.checkpoint()
            return
        ends = rng.sample([until + rng.uniform(0, SWIZZLE_S) for _ in chosen], len(chosen))
        for pair, end in zip(chosen, ends, strict=True):
            self._network.clogged[pair] = end
            await trio.sleep(rng.expovariate(len(chosen) / SWIZZLE_S))

    async def kill(self, rng: random.Random) -> None:
        """End a process, and start the next one."""
        await self._machine(rng).kill()

    async def power(self, rng: random.Random) -> None:
        """Take the power from one machine, or from several at once."""
        for name in rng.sample(self._names, rng.choice([1, 1, 1, len(self._names)])):
            await self._machines[name].cut_power()

    async def midway(self, rng: random.Random) -> None:
        """When a node joins the snapshot of another one next: end one of both, a few messages later."""
        with trio.move_on_after(MIDWAY_S):
            name = rng.choice(await self._network.next_join())
            await trio.sleep(rng.expovariate(1 / (MESSAGES * self._swarm.delay_s)))
            self._trace.note("midway", name)
            await self._machines[name].kill()

    async def pause(self, rng: random.Random) -> None:
        """Stop a process for a while."""
        process = self._machine(rng).running
        if process is not None:
            process.power.pause()
            await trio.sleep(rng.uniform(0.5, 20))
            process.power.resume()

    async def step(self, rng: random.Random) -> None:
        """Set a clock wrong; mostly a little, seldom by minutes, and then back after a while."""
        clock = self._machine(rng).clock
        seconds = rng.choice([-1, 1]) * rng.choice([rng.uniform(0, 0.5), rng.uniform(0.5, 4), rng.uniform(4, 600)])
        clock.step(seconds)
        if abs(seconds) > 4 or rng.random() < 0.5:
            await trio.sleep(rng.uniform(1, 20))
            clock.step(-seconds)

    async def full_disk(self, rng: random.Random) -> None:
        """Leave no room for a while."""
        process = self._machine(rng).running
        if process is not None and process.disk is not None:
            process.disk.writes_until_full = rng.randint(0, 20)
            await trio.sleep(rng.uniform(0.5, 10))
            process.disk.writes_until_full = None

    async def slow_disk(self, rng: random.Random) -> None:
        """Let each commit take long."""
        process = self._machine(rng).running
        if process is not None:
            process.power.slowness = rng.uniform(10, 200)
            await trio.sleep(rng.uniform(1, 15))
            process.power.slowness = 1.0

    async def sync_error(self, rng: random.Random) -> None:
        """Let one sync fail, after which nobody can say what is on the disk."""
        process = self._machine(rng).running
        if process is not None and process.disk is not None:
            disk = process.disk

            def fail_once(_: str) -> None:
                disk.on_sync = lambda _: None
                self.unsynced.append(Unsynced(process, trio.current_time()))
                raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)

            disk.on_sync = fail_once
        await trio.lowlevel.checkpoint()

    async def trim(self, rng: random.Random) -> None:
        """Give one machine, or each, other bounds of its log."""
        await trio.lowlevel.checkpoint()
        for name in rng.sample(self._names, rng.choice([1, 1, len(self._names)])):
            self.logs.bound_anyhow(name, rng)

    async def away(self, rng: random.Random) -> None:
        """Stop one machine, and start it when the others keep nothing of what it lacks."""
        machine, away_s = self._machine(rng), rng.uniform(*AWAY_S)
        if machine.name in self._away or len(self._away) >= max(1, self._swarm.nodes - self._swarm.quorum):
            return
        self._away.add(machine.name)
        await machine.kill()
        for name in self._names:
            self.logs.keep_for(name, away_s * 0.3)
        await trio.sleep(away_s)
        self._away.discard(machine.name)

    async def restart(self, until: float, nursery: trio.Nursery) -> None:
        """What systemd does: start again, after a while, what has ended."""
        rng = self._swarm.rng("restart")
        while trio.current_time() < until:
            await trio.sleep(RESTART_S)
            for name in self._names:
                machine, is_now = self._machines[name], rng.random() < 0.25
                if machine.is_down and self._is_wanted(name) and is_now:
                    await machine.recover()
                    await machine.start(nursery)

    def _is_wanted(self, name: str) -> bool:
        return name not in self._away and name not in self.roster.absent

    async def leave_alone(self, names: Collection[str]) -> None:
        """Let nothing but these reach each other: each of the others is down, or cut off."""
        rng, others = self._swarm.rng("left alone"), [name for name in self._names if name not in names]
        self._network.cut.clear()
        self._network.cut |= {(a, b) for a in self._names for b in self._names if a in others or b in others}
        for name in others:
            if rng.random() < 0.5:
                self._away.add(name)
                await self._machines[name].kill()
        self._trace.note("alone", *names, "down", *sorted(self._away))

    async def heal(self, nursery: trio.Nursery) -> None:
        """Take everything back: all links, all clocks within reason, all disks, all processes up."""
        self._trace.note("heal")
        self._network.cut.clear()
        self._away.clear()
        await self.heal_some(self._names, nursery)

    async def heal_some(self, names: Collection[str], nursery: trio.Nursery) -> None:
        """Take back what was done to some of the machines, but for links that are cut."""
        self._network.is_calm = True
        self._network.clogged.clear()
        self.roster.settle()
        self.papers.settle()
        await self.losses.put_right(self._rng)
        await self.versions.upgrade()
        for name in names:
            machine = self._machines[name]
            machine.clock.set_right(self._swarm.clock_offset_s)
            process = machine.running
            if process is not None:
                process.power.resume()
                process.power.slowness = 1.0
                if process.disk is not None:
                    process.disk.writes_until_full = None
                    process.disk.on_sync = lambda _: None
        for name in names:
            machine = self._machines[name]
            if machine.is_down:
                await machine.recover()
            await machine.start(nursery)


