"""A machine that runs one node: its files outlive the processes on it, its clock is its own.

A process is a whole node as the supervisor composes it, without listeners: the network of the world hands it requests.
"""

from __future__ import annotations

import contextvars
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any  # ASGI messages

import httpx
import trio

from aimem.config import (
    ApiConfig,
    Config,
    CuratorConfig,
    FeatureTier,
    IdentityConfig,
    MeshConfig,
    SearchConfig,
    StoreConfig,
    TlsConfig,
)
from aimem.errors import Bug
from aimem.model import StreamId
from aimem.ports import Connection, DatabaseError, Embedder, system_files
from aimem.replication import Mesh
from aimem.store import Store
from aimem.supervisor.children import Child, run_child
from aimem.supervisor.control import Control
from aimem.supervisor.furnish import plan_node
from aimem.supervisor.lifespan import open_lifespan
from aimem.supervisor.outside import Extent, Ports
from aimem.supervisor.place import Place
from tests.disk import Disk
from tests.sim import hooks
from tests.sim.badges import SHARED_KEY
from tests.sim.belongings import Key, copy_files, copy_snapshots, lay, sidecar_in, take_all, take_key
from tests.sim.certificates import TLS, Registry, SimWallet
from tests.sim.ports import SPEAKER, Died, Power, SimClock, SimFiles, SimModel, SimThreads
from tests.sim.seals import NotedChance, Seals
from tests.sim.swarm import Certificates, Fault, Swarm
from tests.sim.trace import Trace

DYING_S = 60.0
Look = Callable[["Process"], None]


class Process:
    """One life of a node.

    Attributes:
      app: the ASGI app, once it serves.
      wallet: its certificates, once they are read; None in a mesh without any.
      ended: set when nothing of it is left.
      failure: what ended it, if it ended by itself.
    """

    def __init__(self, machine: Machine, life: int) -> None:
        self.machine, self.life = machine, life
        self.name = machine.name
        self.power = Power()
        self.folder = machine.folder / str(life)
        self.disk = Disk() if machine.has_faulty_disk else None
        self.files = SimFiles(self.disk or system_files())
        self.context = contextvars.Context()
        self.context.run(SPEAKER.set, self.name)
        self.app: Any = None
        self.control = Control()
        self.wallet: SimWallet | None = None
        self.store: Store | None = None
        self.mesh: Mesh | None = None
        self.nursery: trio.Nursery | None = None
        self.ended = trio.Event()
        self.failure: BaseException | None = None
        self._rng = machine.swarm.rng(f"{machine.name}/{life}")

    @property
    def db(self) -> Path:
        """Its database."""
        return self.folder / "memory.db"

    @property
    def writer(self) -> Connection | None:
        """The connection that writes, if it is there and between two transactions."""
        conn = self.files.writer
        try:
            return None if conn is None or self.power.is_dead or conn.in_transaction else conn
        except DatabaseError:
            return None     # closed

    def spawn(self, fn: Callable[..., Any], *args: Any) -> bool:
        """Start a task of this process, in its own context. Returns: whether there is a process to do it."""
        if self.nursery is None or self.power.is_dead or self.nursery.cancel_scope.cancel_called:
            return False
        self.context.run(self.nursery.start_soon, fn, *args)
        return True

    async def live(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until it dies, or ends by itself."""
        SPEAKER.set(self.name)
        try:
            async with trio.open_nursery() as self.nursery:
                await self._serve(task_status)
        except* Died:
            pass
        except* Exception as group:
            self.failure = group
        finally:
            self.app = None
            self.power.die()
            self.files.close_all()
            self.ended.set()

    async def _serve(self, task_status: trio.TaskStatus[None]) -> None:
        config, ports, control = self.machine.config(self.db), self._ports(), self.control
        place = Place(db=self.db, socket=self.db.with_suffix(".sock"))
        if config.tls == TLS:
            self.wallet = SimWallet(
                self.machine.registry, self.name, clock=ports.clock, files=ports.files, threads=ports.threads
            )
            self.wallet.load()
        plan = plan_node(
            config, ports, place, Extent(embeds=True, curates=True, exchanges=True), control, self.wallet,
            partial(self.machine.config, self.db),
        )
        self.store = plan.store.run.__self__  # type: ignore[attr-defined]
        await self._start(plan.store, control)
        inside = await plan.furnish()
        self.mesh = next((child.run.args[0] for child in inside.children if child.name == "mesh"), None)  # type: ignore[attr-defined]
        for child in inside.children:
            await self._start(child, control)
        async with open_lifespan(inside.app):
            self.app = inside.app
            task_status.started()
            await trio.sleep_forever()

    async def _start(self, child: Child, control: Control) -> None:
        if self.nursery is None:
            raise Bug("a child without a process")
        await self.nursery.start(partial(run_child, child, tally=control.tally, rng=self._rng))

    def _ports(self) -> Ports:
        machine = self.machine
        look = partial(machine.look, self)
        return Ports(
            clock=machine.clock, chance=NotedChance(self._rng.getrandbits(64), machine.acts_for, machine.seals),
            files=self.files,
            threads=machine.make_threads(self.power, self._rng, machine.swarm.commit_s, look),
            open_embedder=lambda _: machine.model, open_remote_embedder=_no_model,
            open_network=partial(machine.open_network, self), open_peers=lambda _: machine.open_network(self),
            resolve=hooks.resolve, say=lambda _: None,
        )


def _no_model(_: object) -> Embedder:
    raise Bug("no model is asked for over the network here")


class Machine:
    """One node's place in the world, from process to process.

    Attributes:
      process: the life that runs, or the last one.
      registry: what is in the files of certificates, which outlive processes, too.
      on_end: told why a process ended by itself.
      on_loss: told when files are gone, or older than they were.
      on_doubt: told the stream that a node goes on with after that: there may be two histories of it.
      on_copy: told whose key this machine has, from now on.
      listed: the peers in its configuration, which a process reads when it starts, and when it is asked to.
      is_older: whether it runs the version before; then it does not compare all that it has with its peers.
      acts_for: the node whose key it has: itself, but for a copy of another one.
    """

    def __init__(
        self, name: str, swarm: Swarm, folder: Path, trace: Trace, look: Look,
        open_network: Callable[[Process], httpx.AsyncBaseTransport], registry: Registry, seals: Seals,
    ) -> None:
        rng = swarm.rng(f"{name}/clock")
        offset, drift = swarm.clock_offset_s, swarm.clock_drift
        self.name, self.swarm, self.folder = name, swarm, folder
        self.look, self.open_network, self.registry, self.seals = look, open_network, registry, seals
        self.make_threads: Callable[[Power, random.Random, float, Callable[[], None]], SimThreads] = SimThreads
        self.clock = SimClock(rng.uniform(-offset, offset), rng.uniform(-drift, drift))
        self.on_end: Callable[[BaseException], None] = lambda _: None
        self.on_loss: Callable[[], None] = lambda: None
        self.on_doubt: Callable[[StreamId], None] = lambda _: None
        self.on_copy: Callable[[str], None] = lambda _: None
        self.acts_for = name
        self.listed = tuple(peer for peer in swarm.names if peer != name)
        self.is_older, self.backup_count = False, 0
        self.has_faulty_disk = any(map(swarm.has, (Fault.POWER, Fault.FULL_DISK, Fault.SYNC_ERROR)))
        self._trace, self._lives, self._rng = trace, 0, swarm.rng(f"{name}/loss")
        self.process: Process | None = None
        self.model = SimModel()
        (folder / "1").mkdir(parents=True)

    @property
    def running(self) -> Process | None:
        """The process, if it serves."""
        process = self.process
        return process if process is not None and process.app is not None and not process.power.is_dead else None

    def config(self, db: Path) -> Config:
        """The configuration of this node."""
        return Config(
            api=ApiConfig(api_key=SHARED_KEY if self.swarm.secured else None),
            tls=TlsConfig() if self.swarm.certificates is Certificates.NONE else TLS,
            store=StoreConfig(db=db), search=SearchConfig(
                tier=FeatureTier.SEMANTIC if self.swarm.has_model else FeatureTier.KEYWORD
            ),
            curator=CuratorConfig(interval_s=30.0), identity=IdentityConfig(anonymize=True), mesh=MeshConfig(
                peers=tuple(f"http://{peer}" for peer in self.listed),
                writes=self.swarm.quorum, timeout_s=2.0, interval_s=5.0, node_name=self.name,
                compare_s=None if self.is_older else self.swarm.compare_s,
            ),
        )

    async def start(self, nursery: trio.Nursery) -> None:
        """Start a process on the files that are there. It may fail, as any start may; then `running` is None."""
        if self.process is not None and not self.process.ended.is_set():
            return
        self._lives += 1
        process = self.process = Process(self, self._lives)
        self._trace.note("start", self.name, self._lives)
        up = trio.Event()

        async def live() -> None:
            await process.live(task_status=_Started(up))
            up.set()
            if process.failure is not None:
                # Where the world lies is no part of its run.
                why = _shortly(process.failure).replace(str(self.folder), self.name)[:160]
                self._trace.note("ended", self.name, why)
                self.on_end(process.failure)

        nursery.start_soon(live)
        await up.wait()

    async def kill(self) -> None:
        """End the process as SIGKILL does; all that it wrote is there."""
        process = self.process
        if process is None or process.ended.is_set():
            return
        self._trace.note("kill", self.name)
        process.power.is_dead = True     # before the copy: nothing moves meanwhile
        copy_files(process.folder, self._next_folder())
        copy_snapshots(process.folder, self._next_folder())
        await self._bury(process)

    async def cut_power(self) -> None:
        """End the machine; of what was not synced anything may be lost."""
        process = self.process
        if process is None or process.ended.is_set():
            return
        if process.disk is None:
            await self.kill()
            return
        self._trace.note("power", self.name)
        process.power.is_dead = True
        after = self._next_folder()
        process.disk.survivors(process.folder, after, self._rng)
        await self._bury(process)

    @property
    def is_up(self) -> bool:
        """Whether there is a process, serving or not."""
        return self.process is not None and not self.process.ended.is_set()

    @property
    def is_down(self) -> bool:
        """Whether there is none: it ended, or there never was one."""
        return not self.is_up

    @property
    def is_between(self) -> bool:
        """Whether its database can be copied: a process runs, and no transaction does."""
        return self.is_up and self.process is not None and self.process.writer is not None

    async def lose(self) -> None:
        """Take all files of the machine; the next process begins as a new node."""
        self._trace.note("lose", self.name)
        await self._refit(take_all)

    def back_up(self) -> bool:
        """Copy the database and the key as they are. Returns: whether there is one, of this node."""
        if self.process is None or not self.is_between or self.acts_for != self.name:
            return False
        copy_files(self.process.folder, self._backup(self.backup_count))
        self.backup_count += 1
        return True

    async def restore(self, at: int, key: Key) -> None:
        """End the machine, and put back the database as it was at a backup; without a key its node takes a new one."""
        self._trace.note("restore", self.name, at, key.value)
        await self._refit(partial(lay, self._backup(at), key))

    async def become(self, source: Machine, key: Key) -> None:
        """End the machine, and put a copy of another one's database in the place of its own."""
        if source.process is None:
            return
        self._trace.note("copy", self.name, source.name, key.value)
        if key is Key.COPIED:
            self.acts_for = source.name
            self.on_copy(source.name)
        await self._refit(partial(lay, source.process.folder, key))

    async def forget_key(self) -> None:
        """End the machine, and take away its key and nothing else."""
        self._trace.note("forget", self.name)
        await self._refit(take_key)

    async def _refit(self, change: Callable[[Path], None]) -> None:
        """End the machine, and change what the next process on it finds."""
        process = self.process
        if process is None:
            return
        if self.is_up:
            process.power.is_dead = True        # before the copy: nothing moves meanwhile
            copy_files(process.folder, self._next_folder())
        else:
            await self.recover()
        change(self._next_folder())
        kept = sidecar_in(self._next_folder())
        if kept is None:
            self.acts_for = self.name
        else:
            self.on_doubt(kept.stream)
        self.on_loss()
        await self._bury(process)

    def _backup(self, number: int) -> Path:
        return self.folder / f"backup{number}"

    async def recover(self) -> None:
        """After a process that ended by itself: the files as they are."""
        process = self.process
        if process is not None and process.ended.is_set() and process.folder.exists():
            copy_files(process.folder, self._next_folder())
            shutil.rmtree(process.folder)

    def _next_folder(self) -> Path:
        after = self.folder / str(self._lives + 1)
        after.mkdir(exist_ok=True)
        return after

    async def _bury(self, process: Process) -> None:
        process.power.die()
        if process.nursery is not None:
            process.nursery.cancel_scope.cancel()
        with trio.fail_after(DYING_S):
            await process.ended.wait()
        shutil.rmtree(process.folder, ignore_errors=True)       # somebody else may have buried it, too


class _Started:
    """What a task that is started says when it serves."""

    def __init__(self, up: trio.Event) -> None:
        self._up = up

    def started(self, value: None = None) -> None:
        """It serves."""
        self._up.set()


def _shortly(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
