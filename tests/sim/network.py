"""The network between machines: messages are lost, late, doubled and cut off, each way on its own.

The handler of a request runs in the destination's nursery, so that a caller who gives up does not stop it: on a real
network the work goes on, and only its answer is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any  # ASGI messages

import httpx
import msgspec
import trio
from msgspec import Struct

from aimem.api import TRANSPORT_EXTENSION, Transport
from aimem.model import SERVER_CERTIFICATE
from aimem.supervisor.trust import TLS_EXTENSION, Gate
from tests.sim.certificates import CLIENTS, Registry, presented, tls_scope
from tests.sim.liar import Liar
from tests.sim.lies import Headers, lie, read_message
from tests.sim.machine import Process
from tests.sim.ports import Died
from tests.sim.swarm import Swarm
from tests.sim.trace import Trace

SNAPSHOT = "/api/v1/sync/snapshot"
PATIENCE_S = 75.0
"""A connection on which nothing comes breaks after this, whatever its user thinks of it."""
KEPT = 60
"""Requests of peers that are kept for the replay."""


class Parcel(Struct, frozen=True):
    """A request on its way.

    Attributes:
      door: by which it comes in, if not over the network.
      certificate: fingerprint of what is shown on the connection; asked for in a mesh with certificates alone.
    """

    source: str
    target: str
    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    door: str = Transport.TCP.value
    certificate: str = CLIENTS


def is_client(name: str) -> bool:
    """Whether somebody is no node."""
    return name.startswith("c")


class _Call:
    """One request that somebody waits for."""

    def __init__(self) -> None:
        self.done, self.hung_up = trio.Event(), trio.Event()
        self.answer: tuple[int, Headers, bytes] | None = None
        self.is_reset = False
        self.server: str | None = None

    def cut(self) -> None:
        """The connection is closed under it, on both sides."""
        if not self.done.is_set():
            self.is_reset = True
            self.done.set()
        self.hung_up.set()


class Network:
    """Who reaches whom, and how.

    Attributes:
      outside: who else serves, by address; not a node.
      abroad: requests of clients that are worked on, or travel as copies.
      cut: (source, target) pairs on which nothing passes.
      clogged: pair -> until when messages wait.
      is_calm: nothing is lost, doubled or late any more.
      app_of: what takes a request at a process.
      on_stranger: told who was let in, and by whom, without being on the list.
      liar: a node whose words are changed as they leave it.
      doubled: idempotency keys of requests of which a copy travels on, whatever the first was told.
    """

    def __init__(self, swarm: Swarm, trace: Trace, machines: Mapping[str, Any], registry: Registry) -> None:
        self.cut: set[tuple[str, str]] = set()
        self.clogged: dict[tuple[str, str], float] = {}
        self.is_calm = False
        self.doubled: set[str] = set()
        self.abroad = 0
        self.kept: list[Parcel] = []
        self.liar: Liar | None = None
        self.nursery: trio.Nursery | None = None
        self._swarm, self._trace, self._machines, self._registry = swarm, trace, machines, registry
        self.on_stranger: Callable[[str, str], None] = lambda source, target: None
        self._chunks = trio.Event()
        self._joins = ("", "")
        self.app_of: Callable[[Any, Parcel], Any] = lambda process, parcel: process.app
        self.outside: dict[str, Any] = {}
        self._rng = swarm.rng("network")
        self._seen = 0

    def transport(
        self, source: str, process: Process | None = None, *, door: Transport = Transport.TCP
    ) -> httpx.AsyncBaseTransport:
        """The way into the network for one client, or for one process of a node."""
        return _Transport(self, source, process, door)

    async def next_join(self) -> tuple[str, str]:
        """Wait until a node asks another one for some of its snapshot. Returns: both."""
        await self._chunks.wait()
        return self._joins

    def _note_join(self, parcel: Parcel) -> None:
        if parcel.path == SNAPSHOT and not is_client(parcel.source):
            self._trace.counts["snapshot"] += 1
            self._joins = parcel.source, parcel.target
            self._chunks.set()
            self._chunks = trio.Event()

    async def travel(self, source: str, target: str) -> bool:
        """Wait as long as a message takes. Returns: whether it arrives."""
        swarm, rng = self._swarm, self._rng
        delay_s = swarm.delay_s * 0.2 + rng.expovariate(1 / swarm.delay_s)
        if not self.is_calm and rng.random() < swarm.leaves_late:
            delay_s += rng.uniform(0.5, 8.0)
        is_lost = not self.is_calm and rng.random() < self._loss(source, target)
        await trio.sleep(delay_s)
        until = self.clogged.get((source, target), 0.0)
        if until > trio.current_time():
            await trio.sleep(until - trio.current_time() + rng.uniform(0, 0.1))
        return not is_lost and (source, target) not in self.cut

    def _loss(self, source: str, target: str) -> float:
        # A client beside its node loses less than a peer far away.
        return self._swarm.loss * (0.3 if is_client(source) or is_client(target) else 1.0)

    def cut_short(self, body: bytes) -> bytes:
        """Now and then a message breaks off on its way."""
        if body and not self.is_calm and self._rng.random() < self._swarm.breaks:
            self._trace.note("short")
            return body[: self._rng.randrange(len(body))]
        return body

    def told(
        self, parcel: Parcel, headers: Headers, body: bytes, asked: bytes | None = None
    ) -> tuple[Headers, bytes]:
        """Now and then somebody changes what nodes say to each other; `asked` is the body of what is answered."""
        is_theirs = not is_client(parcel.source) and parcel.target in self._machines
        if not is_theirs or self.is_calm or self._rng.random() >= self._swarm.lies:
            return headers, body
        self._trace.note("lie")
        known = None if asked is None else read_message(parcel.headers, asked)
        return lie(self._rng, parcel.path, headers, body, known)

    def said(self, parcel: Parcel) -> Parcel:
        """A request as whoever sends it words it, and tells the liar what is said to it."""
        liar = self.liar
        if liar is None or is_client(parcel.source) or parcel.target in self.outside:
            return parcel
        if parcel.target == liar.name:
            liar.hear(parcel)
        return liar.ask(parcel) if parcel.source == liar.name else parcel

    def answered(self, parcel: Parcel, status: int, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        """An answer as whoever gives it words it."""
        liar = self.liar
        if liar is None or is_client(parcel.source) or parcel.target in self.outside:
            return headers, body
        return liar.answer(parcel, status, headers, body) if parcel.target == liar.name else (headers, body)

    def heard(self, parcel: Parcel, status: int, headers: Headers, body: bytes) -> Headers:
        """An answer as it comes to whoever made this request."""
        liar = self.liar
        if liar is None or parcel.source != liar.name or parcel.target in self.outside:
            return headers
        return liar.take(parcel, status, headers, body)

    def is_doubled(self) -> bool:
        """Whether a message arrives twice."""
        return not self.is_calm and self._rng.random() < self._swarm.duplicates

    def keep(self, parcel: Parcel) -> None:
        """Remember a fair sample of what nodes sent each other."""
        if parcel.target in self.outside:
            return
        self._seen += 1
        if len(self.kept) < KEPT:
            self.kept.append(parcel)
        elif (at := self._rng.randrange(self._seen)) < KEPT:
            self.kept[at] = parcel

    def process(self, name: str) -> Process | None:
        """Who serves under a name now."""
        machine = self._machines.get(name) or self.outside.get(name)
        return None if machine is None else machine.running

    async def deliver(self, parcel: Parcel, call: _Call) -> bool:
        """Hand a request to its destination; the answer travels back by itself. Returns: whether it got there."""
        process = self.process(parcel.target)
        if process is not None and process.power.is_paused:
            try:
                await process.power.wait_going()    # the kernel of its machine takes it meanwhile
            except Died:
                return False
        return process is not None and self._admits(process, parcel) and process.spawn(
            self._serve, process, parcel, call
        )

    def _admits(self, process: Process, parcel: Parcel) -> bool:
        """The handshake, at whoever is asked."""
        gate = self._gate(process, parcel)
        if gate is None:
            return True
        if gate.admits(self._registry.client(parcel.source, parcel.certificate)):
            if process.wallet is None or parcel.certificate not in (process.wallet.credentials.allowlist or ()):
                self.on_stranger(parcel.source, parcel.target)
            return True
        self._trace.note("unlisted", parcel.source, parcel.target)
        return False

    @staticmethod
    def _gate(process: Process, parcel: Parcel) -> Gate | None:
        is_secured = isinstance(process, Process) and process.wallet is not None and parcel.door == Transport.TCP
        return process.wallet.gate if is_secured and process.wallet is not None else None

    async def deliver_again(self, parcel: Parcel) -> None:
        """The doubled message, some time later; nobody waits for its answer."""
        with self._abroad(parcel):
            await trio.sleep(self._rng.expovariate(1 / 0.5) if self._rng.random() < 0.7 else self._rng.uniform(1, 20))
            if (parcel.source, parcel.target) not in self.cut:
                self._trace.note("again", parcel.source, parcel.target, parcel.path)
                await self.deliver(parcel, _Call())

    @contextmanager
    def _abroad(self, parcel: Parcel) -> Iterator[None]:
        """Count what clients asked for and what nobody waits for any more."""
        weight = int(is_client(parcel.source))
        self.abroad += weight
        try:
            yield
        finally:
            self.abroad -= weight

    async def _serve(self, process: Process, parcel: Parcel, call: _Call) -> None:
        gate, client = self._gate(process, parcel), self._registry.client(parcel.source, parcel.certificate)
        with self._abroad(parcel), nullcontext() if gate is None else gate.entered(client, call.cut):
            call.server = process.wallet.shown if gate is not None and process.wallet is not None else None
            await self._handle(process, parcel, call)

    async def _handle(self, process: Process, parcel: Parcel, call: _Call) -> None:
        parts: list[Any] = []
        messages = [{"type": "http.request", "body": parcel.body, "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await call.hung_up.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            parts.append(message)

        try:
            scope = _scope(parcel)
            if self._gate(process, parcel) is not None:
                scope["scheme"] = "https"
                scope["extensions"][TLS_EXTENSION] = tls_scope(
                    self._registry.client(parcel.source, parcel.certificate)
                )
            await self.app_of(process, parcel)(scope, receive, send)
        except Exception as error:  # as the connection layer does: it breaks the connection, not the node
            self._trace.note("broke", parcel.target, parcel.path, type(error).__name__)
            parts.clear()
        finally:
            if process.power.is_dead and self.nursery is not None:
                self.nursery.start_soon(self._reset, parcel, call)
        await process.power.wait_going()
        arrives = await self.travel(parcel.target, parcel.source) and bool(parts)
        status = parts[0]["status"] if parts else 0
        self._trace.note("answer", parcel.target, parcel.source, parcel.path, status, arrives)
        if arrives and not process.power.is_dead and not call.is_reset:
            body = b"".join(part.get("body", b"") for part in parts[1:])
            headers, body = self.answered(parcel, status, tuple(parts[0]["headers"]), body)
            headers, body = self.told(parcel, headers, self.cut_short(body), parcel.body)
            call.answer = status, headers, body
            call.done.set()

    async def _reset(self, parcel: Parcel, call: _Call) -> None:
        """The kernel of a process that ended closes its connections; a machine that ended closes nothing."""
        if await self.travel(parcel.target, parcel.source) and self._rng.random() < 0.6:
            call.is_reset = True
            call.done.set()

    async def hang_up(self, parcel: Parcel, call: _Call) -> None:
        """Tell the other side that the caller has gone."""
        if await self.travel(parcel.source, parcel.target):
            call.hung_up.set()

    async def ask(self, parcel: Parcel, process: Process | None) -> _Call:
        """Send a request and wait for its answer. Raises: httpx.TransportError."""
        call = _Call()
        if self.nursery is None or (process is not None and process.power.is_dead):
            raise httpx.ConnectError("there is no network")
        if process is not None:
            await process.power.wait_going()
            parcel = self.said(parcel)
            self.keep(parcel)
        if parcel.door == Transport.TCP.value and self.is_doubled():     # nothing comes twice out of a socket
            self.doubled.update(value.decode() for name, value in parcel.headers if name == b"idempotency-key")
            self.nursery.start_soon(self.deliver_again, parcel)
        arrives = await self.travel(parcel.source, parcel.target)
        headers, body = self.told(parcel, parcel.headers, self.cut_short(parcel.body))
        parcel = msgspec.structs.replace(parcel, headers=headers, body=body)
        self._trace.note("ask", parcel.source, parcel.target, parcel.method, parcel.path, len(parcel.body), arrives)
        self._note_join(parcel)
        try:
            with trio.fail_after(PATIENCE_S):
                if not arrives:
                    await trio.sleep_forever()
                if not await self.deliver(parcel, call):
                    raise httpx.ConnectError("connection refused")
                await call.done.wait()
        except trio.TooSlowError:
            raise httpx.ReadTimeout("no answer") from None
        except trio.Cancelled:
            self.nursery.start_soon(self.hang_up, parcel, call)
            raise
        if process is not None:
            await process.power.wait_going()
        if call.is_reset:
            raise httpx.ReadError("connection reset")
        return call


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: Network, source: str, process: Process | None, door: Transport) -> None:
        self._network, self._source, self._process, self._door = network, source, process, door

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        parcel = Parcel(
            source=self._source, target=request.url.host, method=request.method, path=request.url.path,
            raw_path=request.url.raw_path.partition(b"?")[0], query=request.url.query,
            headers=_headers(request, self._process), body=await request.aread(),
            door=self._door.value, certificate=_shown(self._process),
        )
        call = await self._network.ask(parcel, self._process)
        if call.answer is None:
            raise httpx.RemoteProtocolError("no answer")
        status, headers, body = call.answer
        headers = self._network.heard(parcel, status, headers, body)
        shown = {} if call.server is None else {SERVER_CERTIFICATE: presented(parcel.target, call.server)}
        return httpx.Response(status, headers=list(headers), content=body, request=request, extensions=shown)


def _headers(request: httpx.Request, process: Process | None) -> Headers:
    """As they are sent; where nodes have certificates, these open what else the key does that they share."""
    hidden = b"x-api-key" if process is not None and process.wallet is not None else None
    return tuple((name.lower(), value) for name, value in request.headers.raw if name.lower() != hidden)


def _shown(process: Process | None) -> str:
    """The certificate of whoever asks."""
    return CLIENTS if process is None or process.wallet is None else process.wallet.shown


def _scope(parcel: Parcel) -> Any:
    return {
        "type": "http", "asgi": {"spec_version": "2.1", "version": "3.0"}, "http_version": "1.1",
        "method": parcel.method, "scheme": "http", "path": parcel.path, "raw_path": parcel.raw_path,
        "query_string": parcel.query, "root_path": "", "headers": list(parcel.headers),
        "client": (parcel.source, 1), "server": (parcel.target, 80), "state": {},
        "extensions": {TRANSPORT_EXTENSION: parcel.door},
    }


def random_cuts(rng: random.Random, names: list[str]) -> set[tuple[str, str]]:
    """A partition: two sides, one node alone, or single links; each direction may be left open."""
    if len(names) < 2:
        return set()
    match rng.choice(["sides", "sides", "alone", "links", "ring"]):
        case "alone":
            side = {rng.choice(names)}
        case "links":
            pairs = [(a, b) for a in names for b in names if a != b]
            return set(rng.sample(pairs, rng.randint(1, len(pairs) // 2)))
        case "ring":    # everybody hears only the next one
            heard = {(name, names[(at + 1) % len(names)]) for at, name in enumerate(names)}
            return {(a, b) for a in names for b in names if a != b and (a, b) not in heard}
        case _:
            side = set(rng.sample(names, rng.randint(1, len(names) - 1)))
    is_whole = rng.random() < 0.6
    return {
        (a, b) for a in names for b in names if (a in side) != (b in side) and (is_whole or rng.random() < 0.7)
    }
