"""Clients that do everything at once: each act is an HTTP request, retried under its idempotency key, here or there."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import httpx
import msgspec
import trio
from msgspec import Struct

from tests.sim.history import Attempt, Deed, Outcome, read_answer
from tests.sim.network import Network
from tests.sim.swarm import Swarm
from tests.sim.trace import Trace

ATTEMPTS_MAX: Final = 4
AGENTS: Final = ("ann", "ben", "cy")
NAMESPACES: Final = ("a", "a/b", "c")
GOVERNED: Final = "g"
TITLES: Final = ("one", "two", "three", "four", "five", "six")
QUESTION: Final = "word red"
RELATIONS: Final = ("related_to", "contradicts", "supersedes", "derived_from")
KNOWN_MAX: Final = 60
HOT: Final = 6
READ_OWN: Final = 0.2
OFTEN: Final = 6
VOTES: Final = ("approve", "reject")
QUARREL: Final = 0.5
GOVERNING: Final = frozenset({"govern", "register", "ask", "approve", "reject"})


class Ask(Struct, frozen=True, kw_only=True):
    """One request, before anybody is asked."""

    method: str
    path: str
    body: object = None
    query: Mapping[str, str] = {}
    mark: str = ""
    subjects: tuple[str, ...] = ()


class Known:
    """What clients know of each other's work: ids, the latest last. Old ones fade, as they do in any fleet."""

    def __init__(self) -> None:
        self.memories: list[str] = []
        self.messages: list[str] = []
        self.forgets: list[str] = []
        self.pendings: list[str] = []
        self.links: list[tuple[str, str, str]] = []

    def learn(self, deed: Deed, answer: Mapping[str, object]) -> None:
        """Take up what an acknowledged act made."""
        for name in ("id", "entity_id", "clone_id", "result_id"):
            if deed.kind not in ("delete", "notify") and isinstance(answer.get(name), str):
                self._add(self.memories, answer[name])
        ids = answer.get("ids")
        if isinstance(ids, list):
            for one in ids:
                self._add(self.memories, one)
        if deed.kind == "notify":
            self._add(self.messages, answer.get("id"))
        if isinstance(answer.get("pending_id"), str):
            self._add(self.pendings, answer["pending_id"])
        if isinstance(answer.get("forget_id"), str):
            self._add(self.forgets, answer["forget_id"])
        if deed.kind == "link" and {"source_id", "target_id", "relation"} <= answer.keys():
            self._add(self.links, (answer["source_id"], answer["target_id"], answer["relation"]))

    @staticmethod
    def _add(known: list, one: object) -> None:  # type: ignore[type-arg]
        if one not in known:
            known.append(one)
            del known[:-KNOWN_MAX]


class Acts:
    """What a client may think of next."""

    def __init__(self, rng: random.Random, known: Known, *, often: AbstractSet[str]) -> None:
        """Prepare.

        Args:
          often: names of acts that are thought of far more often than else.
        """
        self.rng, self.known = rng, known
        self.by_weight: tuple[tuple[Callable[[str], Ask], int], ...] = (
            (self.store, 24), (self.bulk, 4), (self.update, 14), (self.rename, 4), (self.delete, 10),
            (self.archive, 5), (self.restore, 5), (self.link, 7), (self.unlink, 4), (self.invalidate, 2),
            (self.promote, 3), (self.recall, 3), (self.forget, 2), (self.unforget, 1), (self.consolidate, 3),
            (self.entity, 5), (self.register, 4), (self.leave, 1), (self.notify, 4), (self.read, 3),
            (self.drop_message, 1), (self.collect, 2), (self.purge, 1), (self.bring, 2), (self.resolve, 2),
            (self.govern, 2), (self.ungovern, 1), (self.ask, 5), (self.approve, 6), (self.reject, 2), (self.remark, 1),
            (self.again, 1),
        )
        self.weights = [weight * (OFTEN if act.__name__ in often else 1) for act, weight in self.by_weight]

    def next(self, mark: str) -> tuple[str, Ask]:
        """Choose one. Returns: its name and the request."""
        act = self.rng.choices(self.by_weight, self.weights)[0][0]
        return act.__name__, act(mark)

    def _id(self) -> str:
        """Often one that others have in hand as well."""
        if not self.known.memories:
            return "0" * 36
        return self.rng.choice(self.known.memories[-HOT:] if self.rng.random() < 0.5 else self.known.memories)

    def _memory(self, mark: str) -> dict[str, object]:
        rng = self.rng
        memory: dict[str, object] = {
            "title": rng.choice(TITLES) if rng.random() < 0.6 else f"about {mark}",
            "content": f"word {mark} {rng.choice(['red', 'green', 'blue'])}", "namespace": rng.choice(NAMESPACES),
            "tier": rng.choice(["short", "mid", "long"]), "priority": rng.randint(1, 10), "tags": [rng.choice("xyz")],
        }
        if rng.random() < 0.3:
            memory["scope"] = rng.choice(["private", "collective", "team"])
        if rng.random() < 0.2:
            memory["ttl_secs"] = rng.randint(2, 30)
        return memory

    def store(self, mark: str) -> Ask:
        return Ask(method="POST", path="/memories", body=self._memory(mark), mark=mark)

    def bulk(self, mark: str) -> Ask:
        memories = [self._memory(f"{mark}z{number}") for number in range(self.rng.randint(2, 6))]
        return Ask(method="POST", path="/memories/bulk", body={"memories": memories}, mark=mark)

    def update(self, mark: str) -> Ask:
        rng, target = self.rng, self._id()
        change: dict[str, object] = {"content": f"word {mark} again"}
        if rng.random() < 0.4:
            change = rng.choice([
                {"priority": rng.randint(1, 10)}, {"tags": [mark]}, {"scope": "private"}, {"expires_at": ""},
                {"metadata": {"seen": mark}}, {"tier": "long"},
            ])
        mark = mark if "content" in change else ""
        return Ask(method="PUT", path=f"/memories/{target}", body=change, mark=mark, subjects=(target,))

    def rename(self, _: str) -> Ask:
        target = self._id()
        change = {"title": self.rng.choice(TITLES), "namespace": self.rng.choice(NAMESPACES)}
        return Ask(method="PUT", path=f"/memories/{target}", body=change, subjects=(target,))

    def delete(self, _: str) -> Ask:
        target = self._id()
        return Ask(method="DELETE", path=f"/memories/{target}", subjects=(target,))

    def archive(self, _: str) -> Ask:
        ids = sorted({self._id() for _ in range(self.rng.randint(1, 3))})
        return Ask(method="POST", path="/archive", body={"ids": ids}, subjects=tuple(ids))

    def restore(self, _: str) -> Ask:
        target = self._id()
        query = {"mode": self.rng.choice(["keep", "long"])}
        return Ask(method="POST", path=f"/archive/{target}/restore", query=query, subjects=(target,))

    def link(self, _: str) -> Ask:
        ends = (self._id(), self._id())
        body = {"source_id": ends[0], "target_id": ends[1], "relation": self.rng.choice(RELATIONS)}
        return Ask(method="POST", path="/links", body=body, subjects=ends)

    def _link(self) -> dict[str, object]:
        nothing = ("0" * 36, "1" * 36, "related_to")
        source, target, relation = self.rng.choice(self.known.links) if self.known.links else nothing
        return {"source_id": source, "target_id": target, "relation": relation}

    def unlink(self, _: str) -> Ask:
        return Ask(method="DELETE", path="/links", body=self._link())

    def invalidate(self, mark: str) -> Ask:
        return Ask(method="POST", path="/kg/invalidate", body={**self._link(), "reason": f"no more {mark}"})

    def promote(self, _: str) -> Ask:
        target, above = self._id(), {"to_namespace": "a"} if self.rng.random() < 0.4 else None
        return Ask(method="POST", path=f"/memories/{target}/promote", body=above, subjects=(target,))

    def recall(self, _: str) -> Ask:
        return Ask(method="POST", path="/recall", body={"context": QUESTION})

    def forget(self, _: str) -> Ask:
        body = {"namespace": self.rng.choice(NAMESPACES), "pattern": self.rng.choice(TITLES)}
        return Ask(method="POST", path="/forget", body=body)

    def unforget(self, _: str) -> Ask:
        undo = self.rng.choice(self.known.forgets) if self.known.forgets else "0" * 36
        return Ask(method="POST", path="/forget", body={"undo": undo})

    def consolidate(self, mark: str) -> Ask:
        ids = sorted({self._id() for _ in range(3)})
        body = {"ids": ids, "title": self.rng.choice(TITLES), "summary": f"word {mark} in short", "namespace": "a"}
        return Ask(method="POST", path="/consolidate", body=body, mark=mark)

    def entity(self, _: str) -> Ask:
        names = self.rng.sample(["eins", "zwei", "drei", "vier"], 2)
        body = {"canonical_name": self.rng.choice(["Uno", "Due"]), "namespace": "a", "aliases": names}
        return Ask(method="POST", path="/entities", body=body)

    def register(self, _: str) -> Ask:
        body = {"agent_id": self.rng.choice(AGENTS), "agent_type": self.rng.choice(["human", "ai:x"])}
        return Ask(method="POST", path="/agents", body=body)

    def leave(self, _: str) -> Ask:
        return Ask(method="DELETE", path=f"/agents/{self.rng.choice(AGENTS)}")

    def notify(self, mark: str) -> Ask:
        body = {"to": self.rng.choice(AGENTS), "title": f"to do {mark}", "payload": f"word {mark}"}
        return Ask(method="POST", path="/notify", body=body, mark=mark)

    def _message(self) -> str:
        return self.rng.choice(self.known.messages) if self.known.messages else "0" * 36

    def read(self, _: str) -> Ask:
        return Ask(method="POST", path="/inbox/read", body={"ids": [self._message()]})

    def drop_message(self, _: str) -> Ask:
        target = self._message()
        return Ask(method="DELETE", path=f"/inbox/{target}", subjects=(target,))

    def collect(self, _: str) -> Ask:
        return Ask(method="POST", path="/gc")

    def purge(self, _: str) -> Ask:
        return Ask(method="DELETE", path="/archive", query={"older_than_days": "0"})

    def bring(self, mark: str) -> Ask:
        body = {"memories": [{**self._memory(f"{mark}z{number}")} for number in range(2)]}
        return Ask(method="POST", path="/import", body=body, mark=mark)

    def resolve(self, _: str) -> Ask:
        return Ask(method="POST", path="/resolve", body={"winner": self._id(), "loser": self._id()})

    def govern(self, _: str) -> Ask:
        levels = {"write": "approve", "delete": self.rng.choice(["approve", "any"]), "policy": "any"}
        approver = self.rng.choice(["human", {"consensus": 2}, {"consensus": 2}, {"agent": "ann"}])
        body = {"namespace": GOVERNED, "governance": {**levels, "approver": approver}}
        return Ask(method="POST", path="/namespaces", body=body)

    def ungovern(self, _: str) -> Ask:
        return Ask(method="DELETE", path="/namespaces", query={"namespace": GOVERNED})

    def ask(self, mark: str) -> Ask:
        return Ask(method="POST", path="/memories", body={**self._memory(mark), "namespace": GOVERNED}, mark=mark)

    def _pending(self) -> str:
        return self.rng.choice(self.known.pendings[-HOT:]) if self.known.pendings else "0" * 36

    def approve(self, _: str) -> Ask:
        target = self._pending()
        return Ask(method="POST", path=f"/pending/{target}/approve", subjects=(target,))

    def reject(self, _: str) -> Ask:
        target = self._pending()
        return Ask(method="POST", path=f"/pending/{target}/reject", subjects=(target,))

    def remark(self, mark: str) -> Ask:
        return Ask(method="POST", path=f"/pending/{self._pending()}/comment", body={"text": f"so {mark}"}, mark=mark)

    def again(self, _: str) -> Ask:
        return Ask(method="POST", path=f"/pending/{self._pending()}/again")


class Ears(Protocol):
    """Who is told at once what clients are told."""

    def on_ack(self, deed: Deed) -> None:
        """A deed was acknowledged."""
        ...

    def on_read(self, node: str, version: str) -> None:
        """A node answered a reader who had seen this version."""
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

    async def work(self, number: int, until: float) -> None:
        """Be one client until a moment, and finish what is begun."""
        rng = self._swarm.rng(f"client {number}")
        acts = Acts(rng, self.known, often=GOVERNING if self._swarm.governed else frozenset())
        at = rng.choice(self._names)
        http = httpx.AsyncClient(transport=self._network.transport(f"c{number}"), timeout=None)
        while trio.current_time() < until:
            await trio.sleep(rng.expovariate(1 / self._swarm.think_s))
            if rng.random() < 0.1:
                at = rng.choice(self._names)
            kind, ask = acts.next(f"m{len(self.deeds)}q")
            deed = self._deed(rng, kind, ask)
            if kind in VOTES and rng.random() < QUARREL:
                await self._quarrel(http, rng, (kind, ask, deed), acts)
            else:
                at = await self.perform(http, rng, deed, ask, at, rng.choice(AGENTS))

    def _deed(self, rng: random.Random, kind: str, ask: Ask) -> Deed:
        number = len(self.deeds)
        key = f"key-{number}-{rng.getrandbits(48):012x}"
        deed = Deed(number=number, kind=kind, key=key, mark=ask.mark, subjects=ask.subjects)
        self.deeds.append(deed)
        return deed

    async def _quarrel(
        self, http: httpx.AsyncClient, rng: random.Random, first: tuple[str, Ask, Deed], acts: Acts
    ) -> None:
        """Two agents vote on one action at once, at two nodes."""
        kind, ask, deed = first
        other = rng.choice(VOTES)
        against = msgspec.structs.replace(ask, path=ask.path.replace(kind, other))
        agents, nodes = rng.sample(AGENTS, 2), rng.sample(self._names, min(2, len(self._names)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.perform, http, rng, deed, ask, nodes[0], agents[0])
            nursery.start_soon(self.perform, http, rng, self._deed(rng, other, against), against, nodes[-1], agents[1])

    async def perform(
        self, http: httpx.AsyncClient, rng: random.Random, deed: Deed, ask: Ask, at: str, agent: str
    ) -> str:
        """Try until it is told what became of it, or patience ends. Returns: whom it asked last."""
        for _ in range(rng.randint(1, ATTEMPTS_MAX)):
            attempt = await self._attempt(http, deed, ask, at, agent, patience_s=rng.choice([0.5, 3.0, 10.0]))
            deed.attempts.append(attempt)
            self._trace.note("told", deed.number, deed.kind, at, attempt.status, attempt.answer.get("code", ""))
            if attempt.outcome is Outcome.DONE:
                self.known.learn(deed, attempt.answer)
                self._ears.on_ack(deed)
                await self._read_own(http, rng, attempt.answer)
                break
            if 400 <= attempt.status < 500:
                break
            await trio.sleep(rng.uniform(0.05, 1.0))
            if rng.random() < 0.6:
                at = rng.choice(self._names)
        return at

    async def _read_own(self, http: httpx.AsyncClient, rng: random.Random, answer: Mapping[str, object]) -> None:
        """Now and then, ask any node for something that is as new as what this client just did."""
        version, at = answer.get("version"), rng.choice(self._names)
        if not isinstance(version, str) or rng.random() > READ_OWN:
            return
        try:
            with trio.move_on_after(8):
                response = await http.get(
                    f"http://{at}/api/v1/memories", params={"limit": "1"}, headers={"X-Min-Version": version}
                )
                self._trace.note("read", at, response.status_code)
                if response.status_code == httpx.codes.OK:
                    self._ears.on_read(at, version)
        except httpx.TransportError:
            return

    async def _attempt(
        self, http: httpx.AsyncClient, deed: Deed, ask: Ask, at: str, agent: str, *, patience_s: float
    ) -> Attempt:
        headers = {"X-Agent-Id": agent, "Idempotency-Key": deed.key}
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
        return Attempt(at, began, trio.current_time(), status, answer)
