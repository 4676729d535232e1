"""Clients that do everything at once: each act is an HTTP request, retried under its idempotency key, here or there."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import httpx
import msgspec
import trio

from tests.sim.acts import AGENTS, GOVERNING, OF_KEYS, Acts, Ask, Known
from tests.sim.badges import Badge, choose
from tests.sim.history import Attempt, Deed, Outcome, read_answer
from tests.sim.network import Network
from tests.sim.swarm import Swarm
from tests.sim.trace import Trace

ATTEMPTS_MAX: Final = 4
READ_OWN: Final = 0.2
TOLD_OF: Final = 2
VOTES: Final = ("approve", "reject")
QUARREL: Final = 0.5


class Ears(Protocol):
    """Who is told at once what clients are told."""

    def on_ack(self, deed: Deed) -> None:
        """A deed was acknowledged."""
        ...

    def on_read(self, node: str, version: str) -> None:
        """A node answered a reader who had seen these versions, divided by commas."""
        ...

    def on_missing(self, node: str, memory_id: str) -> None:
        """A node did not find what whoever asks had stored, which it was to know."""
        ...

    def is_ended(self, node: str, key_id: str) -> bool:
        """Whether a node knows that a key was revoked, and somebody was told so."""
        ...

    def on_ended(self, node: str, key_id: str, status: int) -> None:
        """A node answered a request under a key of which it knew that it is revoked."""
        ...


class Clients:
    """Everybody who uses the mesh, and what they were told.

    Attributes:
      deeds: the history.
    """

    def __init__(
        self, swarm: Swarm, network: Network, trace: Trace, names: list[str], ears: Ears
    ) -> None:
        self.deeds: list[Deed] = []
        self.known = Known()
        self._swarm, self._network, self._trace, self._names = swarm, network, trace, names
        self._ears = ears
        self._versions: list[str] = []

    async def work(self, number: int, until: float) -> None:
        """Be one client until a moment, and finish what is begun."""
        rng, counts = self._swarm.rng(f"client {number}"), itertools.count()
        often = (GOVERNING if self._swarm.governed else frozenset()) | (OF_KEYS if self._swarm.secured else frozenset())
        at = rng.choice(self._names)
        http = httpx.AsyncClient(transport=self._network.transport(f"c{number}"), timeout=None)
        while trio.current_time() < until:
            await trio.sleep(rng.expovariate(1 / self._swarm.think_s))
            if rng.random() < 0.1:
                at = rng.choice(self._names)
            act = f"{number}.{next(counts):04d}"
            if self._swarm.asks(act):
                at = await self._act(http, act, at, often)

    async def _act(self, http: httpx.AsyncClient, act: str, at: str, often: AbstractSet[str]) -> str:
        """Do one thing, drawn from a generator of its own. Returns: whom it asked last."""
        rng = self._swarm.rng(f"act {act}")
        acts = Acts(rng, self.known, often=often, never=OF_KEYS - often)
        kind, ask = acts.next(f"m{act.replace('.', '')}q")
        deed = self._deed(rng, act, kind, ask)
        if kind in VOTES and rng.random() < QUARREL:
            await self._quarrel(http, rng, deed, ask)
            return at
        return await self.perform(http, rng, deed, ask, at, self._badge(rng, kind, rng.choice(AGENTS)))

    def _badge(self, rng: random.Random, kind: str, agent: str) -> Badge:
        """Under whose name a deed is done, all attempts at it."""
        return choose(rng, agent, self.known.keys if self._swarm.secured else None, as_operator=kind in OF_KEYS)

    def _deed(self, rng: random.Random, act: str, kind: str, ask: Ask) -> Deed:
        key = f"key-{act}-{rng.getrandbits(48):012x}"
        deed = Deed(number=len(self.deeds), act=act, kind=kind, key=key, mark=ask.mark, subjects=ask.subjects)
        self.deeds.append(deed)
        return deed

    async def _quarrel(self, http: httpx.AsyncClient, rng: random.Random, deed: Deed, ask: Ask) -> None:
        """Two agents vote on one action at once, at two nodes."""
        kind, other = deed.kind, rng.choice(VOTES)
        against = msgspec.structs.replace(ask, path=ask.path.replace(kind, other))
        one, two = (self._badge(rng, kind, agent) for agent in rng.sample(AGENTS, 2))
        nodes = rng.sample(self._names, min(2, len(self._names)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.perform, http, rng, deed, ask, nodes[0], one)
            opposed = self._deed(rng, deed.act, other, against)
            nursery.start_soon(self.perform, http, rng, opposed, against, nodes[-1], two)

    async def perform(
        self, http: httpx.AsyncClient, rng: random.Random, deed: Deed, ask: Ask, at: str, badge: Badge
    ) -> str:
        """Try until it is told what became of it, or patience ends. Returns: whom it asked last."""
        for _ in range(rng.randint(1, ATTEMPTS_MAX)):
            attempt = await self._attempt(http, deed, ask, at, badge, patience_s=rng.choice([0.5, 3.0, 10.0]))
            deed.attempts.append(attempt)
            self._trace.note("told", deed.number, deed.kind, at, attempt.status, attempt.answer.get("code", ""))
            if attempt.outcome is Outcome.DONE:
                self.known.learn(deed, attempt.answer)
                self._ears.on_ack(deed)
                await self._read_own(http, rng, deed, attempt.answer, badge)
                break
            if 400 <= attempt.status < 500:
                break
            await trio.sleep(rng.uniform(0.05, 1.0))
            if rng.random() < 0.6:
                at = rng.choice(self._names)
        return at

    async def _read_own(
        self, http: httpx.AsyncClient, rng: random.Random, deed: Deed, answer: Mapping[str, object], badge: Badge
    ) -> None:
        """Now and then, ask any node for something that is as new as what this client did and was told of.

        What it stored it asks for by its id, else for any memory.
        """
        version, at = answer.get("version"), rng.choice(self._names)
        if not isinstance(version, str) or rng.random() > READ_OWN:
            return
        self._versions.append(version)
        version = ",".join(sorted({version, *rng.sample(self._versions, min(TOLD_OF, len(self._versions)))}))
        own = f"/{answer['id']}" if deed.kind == "store" and "id" in answer else "?limit=1"
        try:
            with trio.move_on_after(8):
                response = await http.get(
                    f"http://{at}/api/v1/memories{own}", headers={**badge.headers, "X-Min-Version": version}
                )
                self._trace.note("read", at, response.status_code)
                if response.status_code == httpx.codes.NOT_FOUND:
                    self._ears.on_missing(at, str(answer["id"]))
                if response.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND):
                    self._ears.on_read(at, version)
        except httpx.TransportError:
            return

    async def _attempt(
        self, http: httpx.AsyncClient, deed: Deed, ask: Ask, at: str, badge: Badge, *, patience_s: float
    ) -> Attempt:
        headers = {**badge.headers, "Idempotency-Key": deed.key}
        is_ended = self._ears.is_ended(at, badge.key_id)
        content = None
        if ask.body is not None:
            content, headers["Content-Type"] = msgspec.json.encode(ask.body), "application/json"
        began, status, answer = trio.current_time(), 0, {}
        try:
            with trio.move_on_after(patience_s):
                response = await http.request(
                    ask.method, f"http://{at}/api/v1{ask.path}", params=dict(ask.query), content=content,
                    headers=headers,
                )
                status, answer = response.status_code, read_answer(response.content)
        except httpx.TransportError:
            pass
        if is_ended:
            self._ears.on_ended(at, badge.key_id, status)
        return Attempt(at, began, trio.current_time(), status, answer)
