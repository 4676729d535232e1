"""What becomes of files: lost, put back from a copy, run on another machine; and rows that a disk loses.

Of the nodes that have a write when it is acknowledged all but one may lose it. Once every node has all that there is,
as many may again: in the long run each machine loses its files several times.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final

import trio

from aimem.ports import DatabaseError
from tests.sim.belongings import Key
from tests.sim.checks import have_converged
from tests.sim.machine import Machine
from tests.sim.papers import Papers
from tests.sim.swarm import Swarm
from tests.sim.trace import Trace

COPIED_S: Final = (3.0, 30.0)
AGE_S: Final = (2.0, 25.0)
OLD: Final = 0.4
HOLD: Final = "losses"
_ROWS = "SELECT id, born FROM memories"
_LOSE_ROW = "DELETE FROM memories WHERE id = ?"


class Losses:
    """Takes files away, as long as every write that was acknowledged is left somewhere.

    Attributes:
      has_rotted: whether rows are gone that nothing but a comparison brings back.
      copied: the machine that runs with the key of another one; None for nobody.
    """

    def __init__(
        self, swarm: Swarm, machines: Mapping[str, Machine], papers: Papers, trace: Trace
    ) -> None:
        self._swarm, self._machines, self._papers, self._trace = swarm, machines, papers, trace
        self._honest = swarm.honest
        self._left = swarm.sure_count - 1
        self.has_rotted = False
        self.copied: Machine | None = None

    def may_lose(self) -> bool:
        """Whether one more machine may lose what it has; then it is counted."""
        if self._left <= 0 and self._is_everywhere():
            self._trace.note("settled")
            self._left = self._swarm.sure_count - 1
        # A node that is set up anew has never seen on its list whoever is off it.
        if self._left <= 0 or self._papers.is_delisting:
            return False
        self._left -= 1
        return True

    def _is_everywhere(self) -> bool:
        """Whether each node has all that there is; equal rows say so also of two histories of one stream."""
        running = [self._machines[name].running for name in self._honest]
        nodes = {process.name: process.writer for process in running if process is not None}
        found = {name: conn for name, conn in nodes.items() if conn is not None}
        try:
            return len(found) == len(self._honest) and have_converged(found)
        except DatabaseError:
            return False        # a disk that fails

    def _any(self, rng: random.Random) -> Machine:
        return self._machines[rng.choice(self._honest)]

    async def lose(self, rng: random.Random) -> None:
        """Take the files of one machine."""
        machine = self._any(rng)
        if machine is not self.copied and machine.is_up and self.may_lose():
            await machine.lose()

    async def restore(self, rng: random.Random) -> None:
        """Put the files of a while ago back, or much older ones; the key as the copy has it, as it was, or none."""
        machine = self._any(rng)
        if machine is self.copied or not machine.back_up():
            return
        await trio.sleep(rng.uniform(*AGE_S))
        if machine is not self.copied and machine.is_up and self.may_lose():
            at = rng.randrange(machine.backup_count) if rng.random() < OLD else machine.backup_count - 1
            await machine.restore(at, rng.choice(list(Key)) if self._swarm.keeps_key else Key.NONE)

    async def copy(self, rng: random.Random) -> None:
        """Start a machine from a copy of another one's files, as a person does who means well.

        With that one's key two nodes are one then, until somebody sees it and gives the machine a key of its own.
        """
        target, source = (self._machines[name] for name in rng.sample(self._honest, 2))
        # Without a key a machine that is started so is another node from the beginning.
        key = rng.choice([Key.COPIED, Key.COPIED, Key.OWN, Key.NONE])
        # The version before refuses to open the files of this one.
        is_refused = target.is_older and not source.is_older
        if is_refused or self.copied is not None or not (target.is_up and source.is_between) or not self.may_lose():
            return
        if key is Key.COPIED:
            self.copied = target
            self._papers.held_by.add(HOLD)
        await target.become(source, key)
        if key is Key.COPIED:
            await trio.sleep(rng.uniform(*COPIED_S))
            if self.copied is target:
                await self.put_right(rng)

    async def put_right(self, rng: random.Random) -> None:
        """Give the machine that runs with the key of another one an identity, with the rows that it has or without."""
        target, self.copied = self.copied, None
        self._papers.held_by.discard(HOLD)
        if target is None:
            return
        if self._left > 0 and rng.random() < 0.5:
            self._left -= 1
            await target.lose()
        else:
            await target.forget_key()

    async def rot(self, rng: random.Random) -> None:
        """Let one machine lose a row that all others have: of W that have a write, it has that one no more."""
        await trio.lowlevel.checkpoint()
        target = self._any(rng)
        running = [self._machines[name].running for name in self._honest]
        writers = [other.writer for other in running if other is not None and other.name != target.name]
        process = target.running
        conn = None if process is None else process.writer
        others = [writer for writer in writers if writer is not None]
        if process is None or conn is None or len(others) < len(self._honest) - 1:
            return
        here, *there = ({str(row[0]): row[1] for row in one.execute(_ROWS)} for one in (conn, *others))
        common = sorted(key for key, born in here.items() if all(rows.get(key) == born for rows in there))
        if common and self.may_lose():
            self.has_rotted = True
            # A sync that failed here would be gone, and the store would never hear of it.
            with nullcontext() if process.disk is None else process.disk.spared():
                conn.execute(_LOSE_ROW, (rng.choice(common),))
