"""A run: machines, network, clients and nemesis together; then fine weather, and all checks."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import trio

from aimem.api import Transport
from aimem.model import Dot, Hlc, Instant, format_instant, instant_of
from aimem.ports import Connection, DatabaseError
from aimem.store import approvals
from tests.nodes import START
from tests.sim import believing, checks, governing, hooks, meanings, processes, reading, showing, telling
from tests.sim.badges import OPERATOR
from tests.sim.certificates import Registry
from tests.sim.history import Deed, Outcome, acts_of, dots_of, read_answer
from tests.sim.journal import DIFFERS, OTHER_MESH, is_of_the_world, read_journals
from tests.sim.liar import Liar, busy_liar
from tests.sim.logs import Logs, check_logs, short_logs
from tests.sim.losses import Losses
from tests.sim.machine import Machine, Process
from tests.sim.nemesis import RESTART_S, Nemesis
from tests.sim.network import Network
from tests.sim.papers import Papers
from tests.sim.ports import SPEAKER
from tests.sim.rejoining import Rejoining
from tests.sim.replaying import replay
from tests.sim.report import Report
from tests.sim.reports import check_reports
from tests.sim.roster import Roster
from tests.sim.scheduler import run_seeded
from tests.sim.seals import Seals
from tests.sim.spools import check_few, check_none_left, small_snapshots
from tests.sim.standing import check_standing
from tests.sim.swarm import Certificates, Lie, Swarm
from tests.sim.thrift import thrifty
from tests.sim.trace import Trace
from tests.sim.trusting import look_after
from tests.sim.versions import Versions, mixed_versions
from tests.sim.watch import Watcher
from tests.sim.workload import Clients

CONVERGE_S = 90.0
EQUAL_S = 20.0
"""Within so long nodes that know the same ops are in the same state: what was held is applied by then."""
LOOK_S = 2.0
PEERS_KNOW_S = 17.0
"""After so long without a write or a fault each node has heard from each peer what it knows (an exchange that began
in bad weather ends after ten seconds, and the next one is due after five)."""
UNMASK_S = 30.0
"""And after so long, that whoever ran as another node for a while is not that one: both were asked twice since."""
OUTCOMES_MAX = 8
FIRST_KEY_S, FIRST_KEY_PAUSE_S = 10.0, 1.0
"""In bad weather it takes longer until so many nodes have met each other that they take a write."""
HOME_TRIES_AGAIN_S = 35.0
"""A home that could not write an outcome, for its clock was wrong, tries again after half a minute."""
FAST_FOLDER = Path("/dev/shm")


class World:
    """Everything of one run.

    Attributes:
      lost: machines whose files were taken away, or put back, as often as they were.
      twins: machines whose key another one had, too, as often as one had it.
    """

    def __init__(self, swarm: Swarm, seconds: float, folder: Path, trace: Trace) -> None:
        self.swarm, self.seconds, self.trace = swarm, seconds, trace
        self.seals = Seals()
        self.watcher = Watcher(trace, self.seals, swarm.names[-1] if swarm.member_lies else "")
        self.machines: dict[str, Machine] = {}
        self.lost: list[str] = []
        self.twins: list[str] = []
        registry = Registry(swarm)
        self.network = Network(swarm, trace, self.machines, registry)
        self.network.on_stranger = self.watcher.met
        names = swarm.names
        for name in names:
            self.machines[name] = Machine(
                name, swarm, folder / name, trace, self._look, self._open_network, registry, self.seals
            )
            self.machines[name].on_end = partial(self._look_at_end, name)
            self.machines[name].on_loss = partial(self._forget, name)
            self.machines[name].on_doubt = self.watcher.doubted.add
            self.machines[name].on_copy = self.twins.append
        if swarm.member_lies:
            self.network.liar = Liar(swarm, self.machines, self.watcher, trace)
        self.clients = Clients(swarm, self.network, trace, swarm.honest, self)
        papers = Papers(swarm, self.machines, registry, self.watcher, trace)
        self.losses = Losses(swarm, self.machines, papers, trace)
        self.logs = Logs(swarm, trace)
        self.versions = Versions(swarm, self.machines, trace)
        self.network.app_of = self.versions.app_of
        self.rejoining = Rejoining(swarm, self.machines, self.network, trace)
        self.roster = Roster(swarm, self.machines, self.losses, papers, trace)
        self.nemesis = Nemesis(
            swarm, self.machines, self.network, trace, papers, self.losses, self.logs, self.roster, self.versions,
            self.rejoining,
        )
        self.receiver = self.network.outside[hooks.ADDRESS] = hooks.Receiver()
        self._ended: dict[str, Dot] = {}
        self._has_keys = False
        self.progress_s = self.converged_s = -1.0

    def _look(self, process: Process) -> None:
        self.watcher.look(process)
        check_reports(self.lost, self.machines, self.watcher)

    def _forget(self, name: str) -> None:
        self.lost.append(name)
        self.watcher.joined(name)

    def _is_suspect(self, name: str) -> bool:
        """Whether a node may have another key than others know, for its files were lost, or two had them."""
        if self.swarm.certificates is Certificates.NONE:
            return name in self.lost or name in self.twins
        # Its certificate vouches for whoever lost its key, but not if it was shown under the name of another one.
        return bool(self.twins) and self.losses.copied is None and name in self.lost

    def _open_network(self, process: Process) -> httpx.AsyncBaseTransport:
        return self.network.transport(process.name, process)

    def on_ack(self, deed: Deed) -> None:
        """Somebody was told that something is done."""
        if deed.kind == "revoke_key" and deed.done is not None:
            for dot in dots_of(deed.done.answer):
                self._ended[deed.subjects[0]] = dot
        checks.check_quorum(deed, self.watcher, self.swarm.sure_count)
        governing.check_told(deed, self.watcher, self.swarm, self.roster.fewest)

    def on_read(self, node: str, version: str) -> None:
        """Somebody who had seen these versions was answered by a node."""
        for one in version.split(","):
            checks.check_session(node, one, self.watcher)

    def on_missing(self, node: str, memory_id: str) -> None:
        """A node did not find what whoever asks had stored, which it was to know."""
        process = self.machines[node].running
        conn = None if process is None else process.writer
        with suppress(DatabaseError):       # a disk that fails
            if conn is not None:
                checks.check_missing(node, memory_id, conn, self.watcher)

    def is_ended(self, node: str, key_id: str) -> bool:
        """Whether a node knows that a key was revoked, and somebody was told so."""
        dot, process = self._ended.get(key_id), self.machines[node].running
        return dot is not None and process is not None and process.store is not None and process.store.log.covers([dot])

    def on_ended(self, node: str, key_id: str, status: int) -> None:
        """A node answered a request under a key of which it knew that it is revoked."""
        self.watcher.checks += 1
        if 200 <= status < 300:
            self.watcher.find("access", f"{node} let the key {key_id} in, of which it knew that it is revoked")

    def is_due(self, said: str, peer: str, key: str) -> bool:
        """Whether an error in a node's journal is what it has to say, of a peer perhaps, or of an object."""
        is_known = self.losses.has_rotted or (peer != "" and peer == self.watcher.liar)
        if said == OTHER_MESH and Lie.CLUSTER in self.swarm.member_lies:
            return peer == self.watcher.liar
        is_its_own = key in self.watcher.touched and self.watcher.writers_of(key) <= {self.watcher.liar}
        if is_its_own and {Lie.MORE, Lie.EQUIVOCATE} & set(self.swarm.member_lies):
            # It signed that it wrote more than it had: whoever believed that never heard of what it did write then. Or
            # it signed two ops for one dot: whoever had the later ones from a snapshot has only what that had of both.
            is_known = True
        return said == DIFFERS and (is_known or self._is_unseen(key))

    def _is_unseen(self, key: str) -> bool:
        """Whether two histories of a stream wrote of an object, and nothing could tell the node that speaks of them.

        Where it knows of both, the rows of both are joined, and a difference is none of theirs any more.
        """
        process = self.machines[SPEAKER.get()].running
        closed = process.store.log.closed if process is not None and process.store is not None else {}
        return not self.watcher.skipped_with(key) <= closed.keys()

    def _look_at_end(self, name: str, error: BaseException) -> None:
        if name != self.watcher.liar and not is_of_the_world(error):
            self.watcher.find("journal", f"{name} ended: {''.join(traceback.format_exception(error))}"[-4000:])

    async def run(self) -> None:
        """Live through it; the first violation ends it."""
        async with trio.open_nursery() as nursery:
            self.network.nursery = self.receiver.nursery = nursery
            nursery.start_soon(self._end_at_violation, nursery.cancel_scope)
            nursery.start_soon(look_after, self._is_suspect, self.machines, self.network)
            try:
                for name in sorted(self.machines.keys() - self.roster.absent):
                    await self.machines[name].start(nursery)
                if self.swarm.secured:
                    await self._make_first_key(trio.current_time() + FIRST_KEY_S)
                await self._storm(nursery)
                await self._calm(nursery)
            finally:
                self._end_all()
                nursery.cancel_scope.cancel()

    async def _make_first_key(self, until: float) -> None:
        """What the owner of one machine does, at its socket: from then on nobody gets in without a key."""
        way, rng = self.network.transport("c owner", door=Transport.UNIX), self.swarm.rng("owner")
        async with httpx.AsyncClient(transport=way, timeout=None) as http:
            while not self._has_keys and trio.current_time() < until:
                # The version before has no door for it.
                name = rng.choice(sorted(set(self.swarm.honest) - self.versions.older - self.roster.absent))
                with trio.move_on_after(LOOK_S), suppress(httpx.TransportError):
                    body = {"agent_id": "owner", "role": "operator"}
                    answer = await http.post(f"http://{name}/api/v1/agents/keys", json=body)
                    self._has_keys = answer.status_code == httpx.codes.CREATED
                await trio.sleep(FIRST_KEY_PAUSE_S)

    async def _end_at_violation(self, scope: trio.CancelScope) -> None:
        await self.watcher.failed.wait()
        self._end_all()
        scope.cancel()

    def _end_all(self) -> None:
        for machine in self.machines.values():
            if machine.process is not None:
                machine.process.power.die()

    async def _storm(self, nursery: trio.Nursery) -> None:
        """Everything happens at once."""
        until = trio.current_time() + self.seconds
        async with trio.open_nursery() as weather:
            weather.start_soon(self.nemesis.restart, until, nursery)
            weather.start_soon(self._look_at_dead, until)
            if self.swarm.secured:
                weather.start_soon(self._make_first_key, until)
            if self.network.liar is not None:
                weather.start_soon(busy_liar, self.network.liar, self.network.transport("c liar"), until)
            async with trio.open_nursery() as faults:
                faults.start_soon(self.nemesis.rage, until, faults)
                for number in range(self.swarm.clients):
                    weather.start_soon(self.clients.work, number, until)
                await trio.sleep(self.seconds)
                faults.cancel_scope.cancel()
            if self.network.liar is not None:
                self.network.liar.has_stopped = True
            if self.swarm.healed_first:
                await self._progress(nursery)
            await self.nemesis.heal(nursery)

    async def _progress(self, nursery: trio.Nursery) -> None:
        """As many nodes as a write takes are up and reach each other, and no other: they must take writes again."""
        honest, began = self.swarm.honest, trio.current_time()
        names = sorted(self.swarm.rng("first").sample(honest, min(self.swarm.healed_first, len(honest))))
        await self.nemesis.leave_alone(names)

        written = trio.Event()

        async def keep_up() -> None:
            while not written.is_set():
                await self.nemesis.heal_some(names, nursery)
                await trio.sleep(RESTART_S)

        async with trio.open_nursery() as healers, self._calm_client() as http:
            healers.start_soon(keep_up)
            for deed in await reading.check_writes(
                http, names, self.clients.deeds, self.watcher, check="progress",
                within_s=CONVERGE_S + self._ahead_s(began),
            ):
                if deed.done is not None:
                    self.on_ack(deed)
            written.set()
        self.progress_s = trio.current_time() - began
        self.trace.note("progress")

    async def _look_at_dead(self, until: float) -> None:
        while trio.current_time() < until:
            await trio.sleep(LOOK_S)
            processes.check_ended(self.nemesis.unsynced, self.watcher)
            believing.check_pins(self.nodes(), self.swarm, self.watcher)
            for machine in self.machines.values():
                if machine.running is not None:
                    self.watcher.look_at_dead(machine.running)
                    check_few(machine.running, self.watcher)

    async def _calm(self, nursery: trio.Nursery) -> None:
        """All are up and reach each other: they must agree before long, and stay so whatever is repeated."""
        began = trio.current_time()
        if not await self._converge(nursery):
            return
        self.converged_s = trio.current_time() - began
        processes.check_ended(self.nemesis.unsynced, self.watcher)
        self.trace.note("converged")
        await self._wait_quiet()
        async with self._calm_client() as http:
            await reading.check_writes(http, self.swarm.honest, self.clients.deeds, self.watcher)
        if await self._converge(nursery):
            self._check_all()
            async with self._calm_client() as http:
                await reading.check_answers(http, self.swarm.honest, self._soon(), self.watcher)
            await self._check_meanings()
            showing.check_words(self.nodes(), self.watcher, has_rotted=self.losses.has_rotted)
            async with self._calm_client() as http:
                await showing.check_shown(http, self.nodes, self.watcher, is_secured=self.swarm.secured)
            async with self._calm_client() as http:
                await check_standing(http, self.swarm, self.nodes, self.watcher)
            async with self._calm_client() as http:
                await reading.check_alarms(http, self.swarm.honest, self.watcher)
            await self._ask_outcomes()
            await self._wait_decided()      # a home that tries again by the clock does so for no message's sake
            await replay(self.network, self.swarm, self.watcher, self.nodes)
            await self._check_governance()
            # Keys end, and with them what their agents are told.
            lost = self.swarm.names if self.swarm.secured else [*self.lost, *self.twins]
            await telling.check_hooks(self.receiver, self.clients.deeds, self.nodes, lost, self.watcher)
            clocks = {name: machine.clock for name, machine in self.machines.items()}
            await check_logs(self.nodes(), clocks, self.logs, self.watcher)
            if self.watcher.liar:
                await self.machines[self.watcher.liar].kill()   # it reads of them as long as it lives
            await check_none_left(self._honest, self.watcher)
            processes.check_tasks(self._honest(), self.swarm.nodes - 1, self.watcher)

    def _honest(self) -> list[Process]:
        """What runs on the machines that keep to the rules."""
        return [run for name in self.swarm.honest if (run := self.machines[name].running) is not None]

    def _calm_client(self) -> httpx.AsyncClient:
        headers = OPERATOR.headers if self.swarm.secured else {"X-Agent-Id": "ann"}
        return httpx.AsyncClient(transport=self.network.transport("c calm"), timeout=None, headers=dict(headers))

    def _soon(self) -> str:
        return format_instant(Instant(START + int((trio.current_time() + reading.EXPIRES_SOON_S) * 1_000_000)))

    async def _converge(self, nursery: trio.Nursery) -> bool:
        await self.nemesis.heal(nursery)
        began = same_since = trio.current_time()
        while not checks.have_converged(self.nodes()) or len(self.nodes()) < len(self.swarm.honest):
            if not self._must_be_equal():
                same_since = trio.current_time()
            until = min(began + CONVERGE_S + self._ahead_s(began), same_since + EQUAL_S)
            if trio.current_time() > until:
                self._say_why_not()
                return False
            await trio.sleep(0.5)
            await self.nemesis.heal(nursery)
            if self.losses.has_rotted and checks.know_the_same(self.nodes()):
                async with self._calm_client() as http:
                    await reading.mend(http, self.swarm.honest)
        return True

    def _must_be_equal(self) -> bool:
        """Whether all know the same ops, and of no stream there may be two histories: nothing more is to come."""
        nodes, watcher = self.nodes(), self.watcher
        if watcher.doubted or watcher.lied or len(nodes) < len(self.swarm.honest):
            return False
        return checks.know_the_same(nodes)

    async def _wait_quiet(self) -> None:
        """Wait for what clients asked for and nobody waits for any more: it may still be done."""
        for _ in range(int(CONVERGE_S / LOOK_S)):
            if not self.network.abroad:
                return
            await trio.sleep(LOOK_S)

    def _ahead_s(self, now: float) -> float:
        """By how much the greatest stamp is ahead: what a wrong clock stamped is taken when its time has come."""
        stamps = [written.op.stamp.hlc for written in self.watcher.written.values()]
        return max(0.0, instant_of(Hlc(max(stamps, default=0))) / 1e6 - START / 1e6 - now)

    def _say_why_not(self) -> None:
        for name in sorted(set(self.swarm.honest) - self.nodes().keys()):
            process = self.machines[name].process
            failure = None if process is None else process.failure
            self.watcher.find("liveness", f"{name} does not serve, {CONVERGE_S:g} s after the storm ({failure!r})")
        checks.check_convergence(self.nodes(), self.watcher)
        if not self.watcher.found:
            self.watcher.find("convergence", f"not within {CONVERGE_S:g} s")

    def nodes(self) -> Mapping[str, Connection]:
        """The databases of all honest nodes that serve, between two transactions."""
        found = {}
        for name in self.swarm.honest:
            machine = self.machines[name]
            conn = machine.running.writer if machine.running is not None else None
            if conn is not None:
                found[name] = conn
        return found

    def _check_all(self) -> None:
        nodes, deeds, watcher = self.nodes(), self.clients.deeds, self.watcher
        checks.check_convergence(nodes, watcher)
        checks.check_model(nodes, watcher, self.swarm.rng("model"))
        checks.check_acknowledged(deeds, nodes, watcher)
        checks.check_deletes(deeds, nodes, watcher)
        checks.check_refused(deeds, nodes, watcher, self.network.doubled)
        checks.check_retries(deeds, watcher)
        believing.check_pins(nodes, self.swarm, self.watcher)
        checks.check_forks(deeds, nodes, watcher, self.rejoining.asked)
        once = [*self.lost, *self.rejoining.asked]
        causes = {name: once.count(name) + 2 * self.twins.count(name) for name in self.swarm.honest}
        checks.check_renewed(causes, watcher)
        for name in self.swarm.honest:
            machine = self.machines[name]
            if machine.running is not None:
                watcher.look_at_dead(machine.running)

    async def _check_meanings(self) -> None:
        if self.swarm.has_model:
            await meanings.check_vectors(self.nodes, self.watcher)
            models = [machine.model for machine in self.machines.values()]
            meanings.check_paid_once(self.swarm, models, self.watcher)

    async def _check_governance(self) -> None:
        """Last of all, when whoever decides had time to."""
        await self._wait_decided()
        for text in self._unsettled():
            self.watcher.find("governance", text)
        governing.check_decisions(self.watcher)
        governing.check_outcomes(self.watcher, self.swarm.rng("outcomes judged"))
        governing.check_effects(self.watcher, self.swarm.rng("effects judged"))
        governing.check_answers(self.clients.deeds, self.nodes(), self.watcher)

    async def _wait_decided(self) -> None:
        if self._unsettled():
            await trio.sleep(HOME_TRIES_AGAIN_S)

    def _unsettled(self) -> list[str]:
        nodes = self.nodes()
        homes = [
            stream for name, conn in nodes.items() if (process := self.machines[name].running) is not None
            and process.store is not None for stream in approvals.streams_named(conn, process.store.node_name)
        ]
        now = Instant(START + int(trio.current_time() * 1_000_000))
        return governing.unsettled(nodes, homes, now, self.watcher)

    async def _ask_outcomes(self) -> None:
        """Whoever could not be told what became of a write can ask any node by now."""
        rng = self.swarm.rng("outcomes")
        open_dots = [dot for deed in self.clients.deeds for at in deed.attempts if at.status == 503
                     for dot in dots_of(at.answer) if self.watcher.holders(dot)]
        if open_dots:
            await trio.sleep(UNMASK_S if self.twins else PEERS_KNOW_S)
        async with self._calm_client() as http:
            for dot in rng.sample(open_dots, min(len(open_dots), OUTCOMES_MAX)):
                name = rng.choice(self.swarm.honest)
                answer = read_answer((await http.get(f"http://{name}/api/v1/writes/{dot}")).content)
                checks.check_outcome(name, answer, self.swarm, self.watcher)

    def report(self) -> Report:
        """How it went."""
        deeds = self.clients.deeds
        tried = [deed for deed in deeds if deed.attempts]
        return Report(
            swarm=self.swarm, trace=self.trace.digest, counts=dict(self.trace.counts), deeds=len(deeds),
            acked=sum(deed.done is not None for deed in deeds),
            unknown=sum(all(at.outcome is Outcome.UNKNOWN for at in deed.attempts) for deed in tried),
            strikes=tuple(self.nemesis.strikes), acts=acts_of(deeds),
            ops=len(self.watcher.written), checks=self.watcher.checks, progress_s=self.progress_s,
            converged_s=self.converged_s,
            virtual_s=trio.current_time(), violations=tuple(self.watcher.found),
        )


def simulate(
    swarm: Swarm, seconds: float, *, tell: Callable[[str], None] | None = None,
    prepare: Callable[[World], None] = lambda _: None,
) -> Report:
    """One run in a folder of its own.

    Args:
      prepare: may change the world before it begins; tests put faults of ours in by it.
    """
    base = FAST_FOLDER if FAST_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="aimem-sim-", dir=base) as folder, thrifty():
        return run_seeded(swarm.seed, partial(_simulate, swarm, seconds, Path(folder), Trace(tell), prepare))


async def _simulate(
    swarm: Swarm, seconds: float, folder: Path, trace: Trace, prepare: Callable[[World], None]
) -> Report:
    world = World(swarm, seconds, folder, trace)
    prepare(world)
    with (
        read_journals(world.watcher, world.is_due), short_logs(world.logs), mixed_versions(world.versions),
        small_snapshots(),
    ):
        await world.run()
    return world.report()
