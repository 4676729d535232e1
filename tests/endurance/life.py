"""The life of a mesh: its nodes with the tasks that a daemon has, its load, and what its disks hold at the end.

The nodes share a process; services, stores, files, exchanges, signatures and JSON are real, the clock is virtual, so
that retention by days and the tasks of the clock have their turns. Left out: HTTP and TLS, embeddings and their index,
comparisons (a read of everything), webhooks and language models.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

import trio
from msgspec import Struct
from trio.testing import MockClock

from aimem.curator import run_curator
from aimem.replication import MeshSettings
from aimem.service import Node, Policy, run_events, run_upkeep
from aimem.store import oplog, trimming
from tests.endurance.load import Load
from tests.endurance.sizes import Sizes, live_sizes, sizes_of
from tests.meshes import World

CURATOR_S = 1800.0
EXCHANGE_S = 300.0
TELL_EVERY_S = 10.0

RATIO_MAX = 1.3
LOG = trimming.LogBounds()


class Life(Struct, frozen=True, kw_only=True):
    """How long and how hard."""

    ops: int
    live: int
    nodes: int = 3
    days: float = 10.0
    seed: int = 1


class Report(Struct, frozen=True, kw_only=True):
    """What came of it; sizes by node."""

    life: Life
    done: dict[str, int]
    sizes: dict[str, Sizes]
    live: Sizes
    ops: dict[str, int]
    dots: int
    peak_rss_bytes: int
    took_s: float

    def ratio(self, name: str) -> float:
        """What a node has on its disk, its tombstones and its audit apart, measured in live data."""
        found = self.sizes[name]
        return (found.whole - found.apart) / (self.live.file - self.live.free)

    @property
    def is_bounded(self) -> bool:
        """Whether each node keeps within 1.3 times its live data, plus its tombstones and its audit."""
        return all(self.ratio(name) <= RATIO_MAX for name in self.sizes)


def live(life: Life, folder: Path, tell: Callable[[str], None], policy: Policy | None = None) -> Report:
    """Run it. `tell` is handed a line now and then."""
    return trio.run(_live, life, folder, tell, policy or Policy(), clock=MockClock(autojump_threshold=0))


async def _live(life: Life, folder: Path, tell: Callable[[str], None], policy: Policy) -> Report:
    began = time.monotonic()
    async with trio.open_nursery() as nursery:
        world = World(nursery, folder)
        names = [f"n{number}" for number in range(life.nodes)]
        for name in names:
            peers = tuple(f"http://{other}" for other in names if other != name)
            settings = MeshSettings(
                peers=peers, writes=min(2, life.nodes), interval_s=EXCHANGE_S, compare_s=None, timeout_s=30.0,
                log=LOG,
            )
            node = await world.start(name, settings, policy)
            await nursery.start(run_events, node, trio.Event())
            await nursery.start(run_curator, node, CURATOR_S)
            await nursery.start(run_upkeep, node)
        nodes = [world.nodes[name] for name in names]
        load = Load(nodes, random.Random(life.seed), life.live)
        told = began
        while load.total < life.ops:
            before = load.total
            await load.round()
            await trio.sleep(life.days * 86_400 * (load.total - before) / life.ops)
            if time.monotonic() - told > TELL_EVERY_S:
                told = time.monotonic()
                tell(_progress(life, load, nodes, told - began))
        await trio.sleep(2 * CURATOR_S)
        report = await _report(life, folder, world, names, load, began)
        nursery.cancel_scope.cancel()
    return report


def _progress(life: Life, load: Load, nodes: list[Node], spent_s: float) -> str:
    mib = [node.store.file_bytes() >> 20 for node in nodes]
    return f"{load.total:>9} of {life.ops} writes, {load.total / spent_s:.0f}/s; files of {mib} MiB"


async def _report(life: Life, folder: Path, world: World, names: list[str], load: Load, began: float) -> Report:
    sizes = {name: sizes_of(folder / f"{name}.db") for name in names}
    first = world.nodes[names[0]]
    return Report(
        life=life, done=dict(load.done), sizes=sizes, live=await live_sizes(first, folder),
        ops={name: await world.nodes[name].store.read(oplog.count) for name in names},
        dots=sum(first.store.log.vector.values()), took_s=time.monotonic() - began,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
