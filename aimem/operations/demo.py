"""A mesh before one's eyes: what is written through one node is read, deleted and missed through the others."""

from __future__ import annotations

import os
import shlex
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import trio
from msgspec import Struct

from aimem.errors import Conflict, InvalidRequest, Unavailable
from aimem.model import parse_dot, rules
from aimem.operations.demonodes import Daemon
from aimem.operations.meshnodes import Connection, free_ports, is_settled
from aimem.operations.pki import ALLOWLIST, AUTHORITY, Pki
from aimem.operations.processes import Program
from aimem.ports import Clock, Files, PeerMaterial, Threads, client_context
from aimem.store import SOCKET_SUFFIX
from aimem.wire import CreateMemory, Deleted, MemoryOut, MemoryPage, MeshDocument, Stored, demo, encode, pki

T = TypeVar("T")

STEP_MAX_S: Final = 120.0
LOOPBACK: Final = "127.0.0.1"
VISITOR: Final = "visitor"
"""Whose certificate the user may show; a node's is for that node alone."""

NAMESPACE: Final = "demo"
_MEMORIES: Final = "/api/v1/memories"
_MISSED: Final = 3
_WRITES: Final = 2
REVIVED_AFTER_S: Final = 10.0
_SOCKET_MAX_BYTES: Final = 100
"""Beyond it a node's socket would lie elsewhere than beside its database."""


class DemoPorts(Struct, frozen=True, kw_only=True):
    """The outside world of a demonstration, beside its processes."""

    clock: Clock
    files: Files
    threads: Threads


class Stage(Protocol):
    """Where a demonstration is seen."""

    def tell(self, text: str) -> None:
        """Say a sentence, at once."""
        ...

    def begin_line(self) -> None:
        """The user has pressed Ctrl-C, which a terminal shows: go on below it."""
        ...

    def progress(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Show how far something is."""
        ...

    def show(self, report: demo.DemoReport) -> None:
        """Everything is up, and every step done: show what there is to try."""
        ...


async def run_demo(request: demo.DemoRequest, outside: DemoPorts, program: Program, stage: Stage) -> demo.DemoReport:
    """Start a mesh on loopback, do one step after the other, and keep it until SIGINT, SIGTERM or SIGHUP.

    The first signal ends the daemons in good order, a second one at once. They end with this process, whatever ends it.
    Raises: InvalidRequest; Conflict if the folder is not empty; Unavailable, in a group, if a node fails.
    """
    rules.bounded(request.nodes, demo.NODES_MIN, demo.NODES_MAX, field="nodes")
    heeded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with trio.open_signal_receiver(*heeded) as signals, _folder(request.keep) as folder:
        shown = _Demo(request, outside, program, stage, folder)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_heed, signals, shown, stage)
            await shown.run()
            nursery.cancel_scope.cancel()
        return shown.report()


async def _heed(signals: AsyncIterator[int], shown: _Demo, stage: Stage) -> None:
    async for number in signals:
        if number == signal.SIGINT:
            stage.begin_line()
        shown.end()


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    """A folder for its user alone: a temporary one, or an empty one that stays."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="ai-memory-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    folder = Path(keep)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_empty = next(folder.iterdir(), None) is None
    except OSError as error:
        raise InvalidRequest(f"{folder} cannot be made: {error.strerror or error}", field="keep") from error
    if not is_empty:
        raise Conflict(f"{folder} is not empty; name a folder that is, or that is not there yet", field="keep")
    yield folder


class _Demo:
    """The nodes, and what was done with them so far."""

    def __init__(
        self, request: demo.DemoRequest, outside: DemoPorts, program: Program, stage: Stage, folder: Path
    ) -> None:
        self._request, self._outside, self._program, self._stage = request, outside, program, stage
        self._folder, self._scope = folder.resolve(), trio.CancelScope()
        self._certificates = self._folder / "pki"
        self._pki = Pki(self._certificates, outside.files, outside.clock)
        self._steps: list[demo.DemoStepOut] = []
        self._is_whole = self._is_ending = False
        self._nursery: trio.Nursery | None = None
        names = [f"node-{chr(ord('a') + number)}" for number in range(request.nodes)]
        self._ports = dict(zip(names, free_ports(request.nodes), strict=True))
        if len(os.fsencode(self._db(names[0]).with_suffix(f".db{SOCKET_SUFFIX}"))) > _SOCKET_MAX_BYTES:
            raise InvalidRequest(
                f"{self._folder} is too long a name for the sockets in it; choose another by --keep or TMPDIR",
                field="keep",
            )
        self._daemons = {name: self._daemon(name) for name in names}

    async def run(self) -> None:
        """All steps, and then whatever the user does."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                await self._do_all(nursery)
                self._is_whole, self._nursery = True, nursery
                self._stage.show(self.report())
                if self._request.console:
                    await self._look()
                elif not self._request.once:
                    await trio.sleep_forever()
                self.end()

    async def _look(self) -> None:
        """Open the console on all nodes, at this terminal, until the user leaves it."""
        urls = [word for name in self._daemons for word in ("--url", self._url(name))]
        words = ("console", *urls, "--ca-cert", self._pem(AUTHORITY), "--client-cert", self._pem(VISITOR),
                 "--client-key", self._key(VISITOR))
        command = [*self._program.command, *words]
        decider = self._program.environ.get("AI_MEMORY_AGENT_ID", "operator")
        environ = {**self._program.plain(), "AI_MEMORY_AGENT_ID": decider}
        await trio.run_process(command, stdin=None, check=False, env=environ)

    async def _revive(self, daemon: Daemon) -> None:
        """Start a node again that the user took down, as a service manager would."""
        await trio.sleep(REVIVED_AFTER_S)
        await daemon.run()

    def end(self) -> None:
        """End the daemons in good order; at once, if that was asked for before."""
        if self._is_ending:
            for daemon in self._daemons.values():
                daemon.kill()
            return
        self._is_ending = True
        self._stage.tell("Ending the nodes.")
        self._scope.cancel()

    def report(self) -> demo.DemoReport:
        """What there is by now."""
        nodes = [
            demo.DemoNodeOut(name=name, url=self._url(name), pid=daemon.pid, db=str(self._db(name)))
            for name, daemon in self._daemons.items()
        ]
        return demo.DemoReport(
            folder=str(self._folder), is_whole=self._is_whole, nodes=tuple(nodes), steps=tuple(self._steps),
            commands=tuple(self._commands()),
        )

    # -- steps

    async def _do_all(self, nursery: trio.Nursery) -> None:
        names = list(self._daemons)
        first, second, last = names[0], names[1], names[-1]
        witness = names[2] if len(names) > 2 else first
        await self._step(self._certify)
        await self._step(partial(self._start_all, nursery))
        await self._step(partial(self._turn_away, first))
        tide = await self._step(partial(self._store, first, "Tide", "High water is at noon."))
        await self._step(partial(self._read, last, tide))
        await self._step(partial(self._delete, second, witness, tide))
        missed = await self._step(partial(self._miss, first, last))
        await self._step(partial(self._come_back, nursery, last, missed))
        await self._step(partial(self._rotate, second, first))

    async def _step(self, act: Callable[[], Awaitable[tuple[str, T]]]) -> T:
        """Do something, and tell what it was and how long it took. Raises: Unavailable if it takes two minutes."""
        began = trio.current_time()
        try:
            with trio.fail_after(STEP_MAX_S):
                what, found = await act()
        except trio.TooSlowError:
            raise Unavailable(f"step {len(self._steps) + 1} of the demonstration took more than {STEP_MAX_S:g} s; "
                              f"the nodes' logs are in {self._folder}") from None
        ms = round(1000.0 * (trio.current_time() - began), 1)
        self._steps.append(demo.DemoStepOut(what=what, ms=ms))
        self._stage.tell(f"{len(self._steps)}. {what} ({ms:.0f} ms)")
        return found

    async def _certify(self) -> tuple[str, None]:
        def certify() -> None:
            self._pki.init(pki.InitRequest(name="ai-memory demo"))
            for name in (*self._daemons, VISITOR):
                self._pki.issue(pki.IssueRequest(name=name, addresses=(LOOPBACK,)))

        await self._outside.threads.run(certify, limiter=trio.CapacityLimiter(1))
        count = len(self._daemons)
        return f"Made an authority, and a certificate for each of {count} nodes, in {self._certificates}", None

    async def _start_all(self, nursery: trio.Nursery) -> tuple[str, None]:
        with self._stage.progress("starting nodes", len(self._daemons)) as advance:
            async with trio.open_nursery() as starting:
                for daemon in self._daemons.values():
                    starting.start_soon(self._start, nursery, daemon, advance)
        for name in self._daemons:
            async with self._connected(name) as connection:
                while not is_settled(await connection.ask(MeshDocument, "POST", "/api/v1/mesh")):
                    pass    # each answer waits for what the peers have
        return f"Started {len(self._daemons)} nodes that have found each other; a write waits for {_WRITES} disks", None

    async def _start(self, nursery: trio.Nursery, daemon: Daemon, advance: Callable[[int], None]) -> None:
        await nursery.start(daemon.run)
        advance(1)

    async def _turn_away(self, name: str) -> tuple[str, None]:
        """Knock at a node as a stranger, who trusts its certificate and has none to show."""
        stranger = client_context(PeerMaterial(ca=self._outside.files.read(Path(self._pem(AUTHORITY)))))
        tcp = await trio.open_tcp_stream(LOOPBACK, self._ports[name])
        async with trio.SSLStream(tcp, stranger, server_hostname=LOOPBACK) as stream:
            try:
                await stream.send_all(f"GET {_MEMORIES} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode())
                answer = await stream.receive_some()
            except trio.BrokenResourceError as error:
                return f"Knocked at {name} without a certificate, and was turned away: {_alert(error)}", None
        raise Unavailable(f"{name} let a stranger in, who was told {answer[:100]!r}")

    async def _store(self, name: str, title: str, content: str, headers: str = "") -> tuple[str, Stored]:
        row = CreateMemory(title=title, content=content, namespace=NAMESPACE)
        async with self._connected(name) as connection:
            stored = await connection.ask(Stored, "POST", _MEMORIES, encode(row), headers)
        return f'Stored "{title}" through {name}: it is on {stored.quorum_acks} disks', stored

    async def _read(self, name: str, stored: Stored) -> tuple[str, MemoryOut]:
        async with self._connected(name) as connection:
            found = await connection.ask(
                MemoryOut, "GET", f"{_MEMORIES}/{stored.id}", headers=f"X-Min-Version: {stored.version}\r\n"
            )
        return f'Read it through {name}: "{found.content}"', found

    async def _delete(self, name: str, witness: str, stored: Stored) -> tuple[str, None]:
        async with self._connected(name) as connection:
            deleted = await connection.ask(Deleted, "DELETE", f"{_MEMORIES}/{stored.id}")
        async with self._connected(witness) as connection:
            page = await connection.ask(
                MemoryPage, "GET", f"{_MEMORIES}?namespace={NAMESPACE}", headers=f"X-Min-Version: {deleted.version}\r\n"
            )
        if any(memory.id == stored.id for memory in page.memories):
            raise Unavailable(f"{witness} still shows what was deleted through {name}")
        return f"Deleted it through {name}, and {witness} shows it no longer", None

    async def _miss(self, name: str, away: str) -> tuple[str, Stored]:
        """Take a node down, and store what it misses."""
        await self._daemons[away].stop()
        # Of two nodes none is left to wait for.
        headers = "" if len(self._daemons) > _WRITES else "X-Consistency: local\r\n"
        missed = [
            await self._store(name, f"Missed {number}", f"What {away} did not hear, {number}.", headers)
            for number in range(1, _MISSED + 1)
        ]
        return f"Took {away} down, and stored {_MISSED} memories through {name} meanwhile", missed[-1][1]

    async def _come_back(self, nursery: trio.Nursery, away: str, missed: Stored) -> tuple[str, None]:
        began = trio.current_time()
        await nursery.start(self._daemons[away].run)
        serves = trio.current_time()
        dot = parse_dot(missed.version, field="version")
        async with self._connected(away) as connection:
            known = await connection.ask(MeshDocument, "GET", "/api/v1/mesh")
            while known.vector.get(dot.stream, 0) < dot.seq:
                known = await connection.ask(MeshDocument, "POST", "/api/v1/mesh")    # waits for what the peers have
            page = await connection.ask(MemoryPage, "GET", f"{_MEMORIES}?namespace={NAMESPACE}")
        if page.count != _MISSED:
            raise Unavailable(f"{away} came back with {page.count} memories, and not with the {_MISSED} that it missed")
        start_ms, behind_ms = 1000.0 * (serves - began), 1000.0 * (trio.current_time() - serves)
        told = f"Started {away} again: it served after {start_ms:.0f} ms, and had all of them {behind_ms:.0f} ms later"
        return told, None

    async def _rotate(self, name: str, writer: str) -> tuple[str, None]:
        """Give a node another certificate, as its operator would: first all know the new one, then the old one goes."""
        on_disk = trio.CapacityLimiter(1)
        renewal = pki.IssueRequest(name=name, renews=True)
        await self._outside.threads.run(partial(self._pki.issue, renewal), limiter=on_disk)
        # A node that showed what another does not know yet would be turned away for a while.
        await self._reload([other for other in self._daemons if other != name])
        await self._reload([name])
        removal = pki.RemoveRequest(name=name, replaced_only=True)
        await self._outside.threads.run(partial(self._pki.remove, removal), limiter=on_disk)
        await self._reload(list(self._daemons))
        _, stored = await self._store(writer, "Rotated", f"{name} has another certificate.", "X-Consistency: all\r\n")
        return (f"Gave {name} another certificate, took the old one off all lists, and stored on "
                f"{stored.quorum_acks} disks; nothing was started again"), None

    async def _reload(self, names: Sequence[str]) -> None:
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(self._daemons[name].reload)

    # -- nodes

    def _db(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def _pem(self, name: str) -> str:
        return str(self._certificates / f"{name}.pem")

    def _key(self, name: str) -> str:
        return str(self._certificates / f"{name}.key")

    def _url(self, name: str) -> str:
        return f"https://{LOOPBACK}:{self._ports[name]}"

    def _daemon(self, name: str) -> Daemon:
        peers = ",".join(self._url(other) for other in self._ports if other != name)
        words = (
            "serve", "--bind", f"{LOOPBACK}:{self._ports[name]}", "--node-name", name, "--tier", self._request.tier,
            "--quorum-writes", str(_WRITES), "--quorum-peers", peers, "--tls-cert", self._pem(name), "--tls-key",
            self._key(name), "--mtls-allowlist", str(self._certificates / ALLOWLIST), "--quorum-client-cert",
            self._pem(name), "--quorum-client-key", self._key(name), "--quorum-ca-cert", self._pem(AUTHORITY),
        )
        return Daemon(
            name, self._program.line(self._db(name), *words), self._program.plain(), self._folder / f"{name}.log",
            self._has_ended,
        )

    def _has_ended(self, daemon: Daemon) -> None:
        """A node ended unasked: a failure of the demonstration, or the user's own doing once that is over."""
        if not self._is_whole:
            raise Unavailable(f"{daemon.name} ended during the demonstration: {daemon.last_words}")
        if self._request.console and self._nursery is not None:
            self._nursery.start_soon(self._revive, daemon)      # the terminal is the console's: it says what is so
            return
        left = [other.name for other in self._daemons.values() if other.is_running]
        self._stage.tell(f"{daemon.name} has ended; {', '.join(left) or 'none'} left.")
        if not left:
            self.end()

    @asynccontextmanager
    async def _connected(self, name: str) -> AsyncIterator[Connection]:
        """A connection to a node's socket: whoever owns its files needs no certificate."""
        async with await trio.open_unix_socket(f"{self._db(name)}{SOCKET_SUFFIX}") as stream:
            yield Connection(stream)

    # -- to try

    def _commands(self) -> Iterator[demo.DemoCommandOut]:
        first, second, *_ = self._daemons

        def command(what: str, name: str, *words: str) -> demo.DemoCommandOut:
            line = shlex.join([*self._program.shown, "--db", str(self._db(name)), *words])
            return demo.DemoCommandOut(what=what, line=line)

        yield command(f"store through {first}", first, "store", "-T", "Try", "-c", "Stored by hand.")
        yield command(f"read it through {second}", second, "list")
        yield command("who is behind, and why", first, "mesh", "status")
        yield command("compare all copies", second, "mesh", "verify")
        yield demo.DemoCommandOut(what="by HTTP", line=shlex.join(self._curl(first)))
        yield demo.DemoCommandOut(
            what=f"take {second} down, the hard way", line=f"kill -9 {self._daemons[second].pid}"
        )

    def _curl(self, name: str) -> Sequence[str]:
        return (
            "curl", "--cacert", self._pem(AUTHORITY), "--cert", self._pem(VISITOR), "--key", self._key(VISITOR),
            f"{self._url(name)}{_MEMORIES}",
        )


def _alert(error: BaseException) -> str:
    """What TLS said, in words."""
    reason = getattr(error.__cause__, "reason", None) or "the connection was closed"
    return str(reason).lower().rpartition("alert_")[2].replace("_", " ")
