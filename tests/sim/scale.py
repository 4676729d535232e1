"""`python -m tests.sim.scale --nodes 4,8,16,32`: what a write costs against the number of nodes, in virtual time.

Every message takes 5 ms one way and every commit 2 ms; what processors take counts nothing, so that the figures show
what the protocol costs where cores are not the limit. Clients are beside their nodes.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import trio
from msgspec import Struct

from aimem.config import Config
from aimem.operations.timing import percentile
from tests.sim.certificates import Registry
from tests.sim.lies import Headers
from tests.sim.machine import Machine, Process
from tests.sim.network import Network, Parcel, is_client
from tests.sim.ports import SimThreads
from tests.sim.scheduler import run_seeded
from tests.sim.seals import Seals
from tests.sim.swarm import Certificates, Swarm, roll
from tests.sim.trace import Trace
from tests.sim.world import FAST_FOLDER

DELAY_S: Final = 0.005
COMMIT_S: Final = 0.002
THINK_S: Final = 0.1
WRITERS: Final = 16
WRITES: Final = 320
MEET_S: Final = 12.0
IDLE_S: Final = 60.0
TAIL_S: Final = 5.0
"""What is still said of a write after its answer."""
CRAWL_S: Final = 1000.0
"""What a message of a kilobyte takes at a byte a second."""
_HEAD_BYTES: Final = 4
_PUSH: Final = "/api/v1/sync/push"


class Ill(StrEnum):
    """What is wrong with a node while others write."""

    WELL = "well"            # nothing; nobody writes there either
    DEAD = "dead"            # its connections are refused
    HANGING = "hanging"      # it takes requests and never answers
    CRAWLING = "crawling"    # a byte a second


class Load(Struct, frozen=True, kw_only=True):
    """What is asked of a mesh.

    Attributes:
      needed: nodes that a write waits for.
      writers: callers, one after the other at the nodes, that pause `think_s` on average between two writes.
      idle_s: how long nobody writes before.
      ills: node -> what is wrong with it; nobody writes there.
    """

    nodes: int
    needed: int = 2
    writers: int = WRITERS
    writes: int = WRITES
    think_s: float = THINK_S
    idle_s: float = IDLE_S
    ills: dict[str, Ill] = {}


class Figures(Struct, frozen=True, kw_only=True):
    """What it cost; of requests and answers between nodes.

    Attributes:
      messages, bytes: of a write, all nodes together, until nothing more is said of it.
      idle_per_s: messages of one node while nobody writes.
      twice: ops that a node was handed and knew, for each that it did not.
      processor_ms: of a write at one node, simulation included.
      spent_ms: of each write, in virtual time.
      bothered: requests to nodes that are ill, by each of the others and in a second.
      at_once: requests of one node to another that were on their way at once, at most.
    """

    load: Load
    p50_ms: float
    p99_ms: float
    messages: float
    bytes: float
    idle_per_s: float
    twice: float
    processor_ms: float
    spent_ms: tuple[float, ...]
    failed: int
    bothered: float
    at_once: int


class _EvenThreads(SimThreads):
    """A disk on which every write takes the same time."""

    def takes_s(self, rng: random.Random, commit_s: float) -> float:
        return commit_s


class _Place(Machine):
    """A machine as it is delivered: exchanges every half minute."""

    def config(self, db: Path) -> Config:
        config = super().config(db)
        return msgspec.structs.replace(config, mesh=msgspec.structs.replace(config.mesh, interval_s=30.0))


class _Line(Network):
    """Every message takes as long as every other, and those between nodes are counted.

    Attributes:
      counted: messages and their bytes.
      ills: as in `Load`.
      at_once: source and target -> requests on their way at once, at most.
    """

    def __init__(self, swarm: Swarm, trace: Trace, machines: dict[str, Any], registry: Registry) -> None:
        super().__init__(swarm, trace, machines, registry)
        self.counted: Counter[str] = Counter()
        self.ills: dict[str, Ill] = {}
        self.at_once: Counter[tuple[str, str]] = Counter()
        self._on_way: Counter[tuple[str, str]] = Counter()

    async def ask(self, parcel: Parcel, process: Process | None) -> Any:
        pair = parcel.source, parcel.target
        self._on_way[pair] += 1
        self.at_once[pair] = max(self.at_once[pair], self._on_way[pair])
        try:
            return await super().ask(parcel, process)
        finally:
            self._on_way[pair] -= 1

    async def travel(self, source: str, target: str) -> bool:
        if Ill.CRAWLING in (self.ills.get(source), self.ills.get(target)):
            await trio.sleep(CRAWL_S)
        await trio.sleep(0.0 if is_client(source) or is_client(target) else DELAY_S)
        return True

    def said(self, parcel: Parcel) -> Parcel:
        self._count(parcel.path, parcel.headers, parcel.body)
        self.counted["bothered"] += parcel.target in self.ills
        return parcel

    def answered(self, parcel: Parcel, status: int, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        if not is_client(parcel.source):
            self._count(parcel.path, headers, body)
        return headers, body

    def _count(self, path: str, headers: Headers, body: bytes) -> None:
        self.counted["messages"] += 1
        self.counted["bytes"] += len(body) + sum(len(name) + len(value) + _HEAD_BYTES for name, value in headers)
        self.counted[path] += 1


class Fleet:
    """The machines of a run, and how they are asked."""

    def __init__(self, load: Load, folder: Path) -> None:
        self.load, trace = load, Trace()
        self.swarm = msgspec.structs.replace(
            roll(load.nodes, nodes=load.nodes), quorum=load.needed, loss=0.0, duplicates=0.0, breaks=0.0, lies=0.0,
            leaves_late=0.0, has_model=False, secured=False, governed=False, log_most=None, commit_s=COMMIT_S,
            clock_offset_s=0.0, clock_drift=0.0, faults=(), compare_s=None, certificates=Certificates.NONE,
        )
        registry, seals = Registry(self.swarm), Seals()
        self.machines: dict[str, Machine] = {}
        self.line = _Line(self.swarm, trace, self.machines, registry)
        for name in self.swarm.names:
            self.machines[name] = machine = _Place(
                name, self.swarm, folder / name, trace, lambda _: None, self._open_network, registry, seals
            )
            machine.make_threads = _EvenThreads

    def _open_network(self, process: Process) -> httpx.AsyncBaseTransport:
        return self.line.transport(process.name, process)

    async def run(self) -> Figures:
        """Start all, let them meet, make some ill, and write."""
        async with trio.open_nursery() as nursery:
            self.line.nursery = nursery
            for machine in self.machines.values():
                await machine.start(nursery)
            await trio.sleep(MEET_S)
            await self._fall_ill()
            figures = await self._measure()
            for machine in self.machines.values():
                if machine.process is not None:
                    machine.process.power.die()
            nursery.cancel_scope.cancel()
        return figures

    async def _fall_ill(self) -> None:
        self.line.ills.update(self.load.ills)
        for name, ill in self.load.ills.items():
            process = self.machines[name].process
            if ill is Ill.DEAD:
                await self.machines[name].kill()
            elif ill is Ill.HANGING and process is not None:
                process.power.pause()

    async def _measure(self) -> Figures:
        line, load = self.line, self.load
        before = line.counted.copy()
        await trio.sleep(load.idle_s)
        idle = line.counted - before
        known, before, began_s = await self._ops_received(), line.counted.copy(), time.process_time()
        began = trio.current_time()
        spent, failed = await self._write()
        await trio.sleep(TAIL_S)
        lasted_s = trio.current_time() - began
        took_s, counted = time.process_time() - began_s, line.counted - before
        taken, twice = (now - then for now, then in zip(await self._ops_received(), known, strict=True))
        return Figures(
            load=load, p50_ms=percentile(spent, 50), p99_ms=percentile(spent, 99),
            messages=counted["messages"] / load.writes, bytes=counted["bytes"] / load.writes,
            idle_per_s=idle["messages"] / max(1.0, load.idle_s) / load.nodes, twice=twice / max(1, taken),
            processor_ms=took_s * 1000 / load.writes / load.nodes, spent_ms=tuple(spent), failed=failed,
            bothered=counted["bothered"] / lasted_s / (load.nodes - 1),
            at_once=max(count for (source, _), count in line.at_once.items() if not is_client(source)),
        )

    def _client(self, number: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=self.line.transport(f"c{number}"), timeout=None, headers={"X-Agent-Id": "ann"}
        )

    async def _write(self) -> tuple[list[float], int]:
        load, spent, failures = self.load, list[float](), list[int]()
        names = [name for name in self.swarm.names if name not in load.ills]

        async def work(number: int) -> None:
            rng, at = self.swarm.rng(f"writer {number}"), names[number % len(names)]
            async with self._client(number) as http:
                for turn in range(load.writes // load.writers):
                    await trio.sleep(rng.expovariate(1 / load.think_s))
                    began, body = trio.current_time(), {"title": f"{number} {turn}", "content": "What was said. " * 20}
                    answer = await http.post(f"http://{at}/api/v1/memories", json=body)
                    spent.append(1000 * (trio.current_time() - began))
                    if answer.status_code != httpx.codes.CREATED:
                        failures.append(answer.status_code)

        async with trio.open_nursery() as nursery:
            for number in range(load.writers):
                nursery.start_soon(work, number)
        return spent, len(failures)

    async def _ops_received(self) -> tuple[int, int]:
        """By all nodes together: those that were new to them, and those that were not."""
        taken = twice = 0
        async with self._client(0) as http:
            for name in self.swarm.names:
                if name in self.load.ills:
                    continue
                for line in (await http.get(f"http://{name}/metrics")).text.splitlines():
                    if line.startswith("ai_memory_mesh_ops_received_total"):
                        value = int(float(line.rpartition(" ")[2]))
                        taken, twice = (taken + value, twice) if '"taken"' in line else (taken, twice + value)
        return taken, twice


def measure(load: Load) -> Figures:
    """One run in a folder of its own."""
    base = FAST_FOLDER if FAST_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="aimem-scale-", dir=base) as folder:
        return run_seeded(load.nodes, partial(_measure, load, Path(folder)))


async def _measure(load: Load, folder: Path) -> Figures:
    return await Fleet(load, folder).run()


_COLUMNS: Final[Sequence[tuple[str, Callable[[Figures], str]]]] = (
    ("nodes", lambda one: str(one.load.nodes)),
    ("waits for", lambda one: str(one.load.needed)),
    ("writers", lambda one: str(one.load.writers)),
    ("p50 ms", lambda one: f"{one.p50_ms:.1f}"),
    ("p99 ms", lambda one: f"{one.p99_ms:.1f}"),
    ("messages", lambda one: f"{one.messages:.1f}"),
    ("KB", lambda one: f"{one.bytes / 1000:.1f}"),
    ("KB/node", lambda one: f"{one.bytes / 1000 / one.load.nodes:.2f}"),
    ("idle/s", lambda one: f"{one.idle_per_s:.2f}"),
    ("twice", lambda one: f"{one.twice:.3f}"),
    ("cpu ms/node", lambda one: f"{one.processor_ms:.2f}"),
    ("failed", lambda one: str(one.failed)),
)


def main(arguments: Sequence[str]) -> int:
    """Measure each number of nodes, and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.scale", description=__doc__)
    parser.add_argument("--nodes", default="4,8,16,32", metavar="N,...")
    parser.add_argument("--writers", default=f"1,{WRITERS}", metavar="N,...", help="spread over the nodes")
    parser.add_argument("--writes", type=int, default=WRITES, metavar="N", help="in all")
    options = parser.parse_args(arguments)
    logging.getLogger("aimem").addHandler(logging.NullHandler())     # nodes that start find others that do not yet
    print("  ".join(f"{name:>11}" for name, _ in _COLUMNS))
    for nodes in map(int, options.nodes.split(",")):
        for writers in map(int, options.writers.split(",")):
            for needed in sorted({2, nodes // 2 + 1}):
                figures = measure(Load(nodes=nodes, needed=needed, writers=writers, writes=options.writes))
                print("  ".join(f"{shown(figures):>11}" for _, shown in _COLUMNS), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
