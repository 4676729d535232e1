"""Agents with keys of their own, who do everything at once through all nodes and ask again where they were not told."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import trio
from msgspec import Struct

from tests.mesh.ledger import Fate, Ledger, Question, Row
from tests.system.members import Mesh

ASKED: Final = "asked/here"
JUDGE: Final = "judge"
ATTEMPTS_MAX: Final = 12
REQUEST_S: Final = 6.0
"""Longer than a node waits for its peers, much shorter than one is stopped."""
RETRIED: Final = frozenset({412, 429, 503, 504})
WAITING_MAX: Final = 10_000


class Told(Struct, frozen=True):
    """The last answer; and whether an attempt before it may have been carried out, or may still be."""

    status: int
    body: dict[str, Any]
    is_doubtful: bool

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300


class Caller:
    """Somebody with a key, who asks any of the nodes."""

    def __init__(self, name: str, key: str, mesh: Mesh, ledger: Ledger) -> None:
        self.name, self.rng, self.ledger = name, random.Random(f"of {name}"), ledger
        self.urls, self._count, self.version = [mesh.url(number) for number in range(len(mesh.ports))], 0, ""
        self.http = mesh.client({"X-API-Key": key}, REQUEST_S)

    async def tell(
        self, act: str, method: str, path: str, body: object = None, *, seen: str = ""
    ) -> Told | None:
        """Ask one node after the other under one key, until one says what became of it; None if patience ends.

        Args:
          seen: a version that the node has to know, besides what this caller saw.
        """
        self._count += 1
        headers = {"Idempotency-Key": f"{self.name}-{self._count}"}
        versions = [version for version in (self.version, seen) if version]
        if versions:
            headers["X-Min-Version"] = ",".join(versions)
        is_doubtful = False
        for _ in range(ATTEMPTS_MAX):
            url = self.rng.choice(self.urls)
            try:
                answer = await self.http.request(method, url + path, json=body, headers=headers)
            except httpx.TransportError as error:
                self._note(act, type(error).__name__)
                is_doubtful |= not isinstance(error, httpx.ConnectError)
            else:
                told = answer.json()
                self._note(act, str(answer.status_code) if answer.is_success else told["code"])
                if answer.status_code not in RETRIED:
                    self.version = _version_of(told) or self.version
                    return Told(answer.status_code, told, is_doubtful)
                is_doubtful |= told.get("outcome") == "indeterminate"
            await trio.sleep(self.rng.uniform(0.05, 0.5))
        return None

    def _note(self, act: str, word: str) -> None:
        self.ledger.answers[act, word] += 1

    def be_surprised(self, act: str, told: Told) -> None:
        """Note an answer that nothing explains; after a doubtful attempt there may be any."""
        if not told.is_doubtful:
            self.ledger.surprises.append(f"{self.name} {act}: {told.status} {told.body}, having seen {self.version}")


class Agent(Caller):
    """One of the twenty. It acts on what is its own, one thing after the other, so that it knows what must be so."""

    def __init__(
        self, number: int, key: str, mesh: Mesh, ledger: Ledger, to_judge: trio.MemorySendChannel[str]
    ) -> None:
        super().__init__(name_of(number), key, mesh, ledger)
        self.home, self._to_judge, self._mine, self._serial = home_of(number), to_judge, list[Row](), 0
        self._is_registering, self._subscriptions = True, list[str]()
        self._acts: tuple[tuple[Callable[[], Awaitable[None]], int], ...] = (
            (self._store, 30), (self._store_many, 4), (self._update, 16), (self._delete, 12), (self._link, 8),
            (self._unlink, 3), (self._archive, 5), (self._restore, 5), (self._promote, 4), (self._forget, 3),
            (self._rule, 2), (self._ask, 7), (self._subscribe, 3), (self._unsubscribe, 1), (self._register, 2),
            (self._notify, 4), (self._look, 12),
        )

    async def work(self, until: trio.Event) -> None:
        """Do something of everything; then act until it is set, and finish what is begun."""
        for act in (
            self._store, self._store, self._store_many, self._ask, self._link, self._archive, self._delete, self._rule,
            self._subscribe, self._register, self._notify,
        ):
            await act()
        acts, weights = zip(*self._acts, strict=True)
        while not until.is_set():
            await self.rng.choices(acts, weights)[0]()
            await trio.sleep(self.rng.expovariate(20))

    def _mark(self) -> str:
        self._serial += 1
        return f"{self.name.replace('-', '')}x{self._serial}q"     # so that none is the beginning of another

    def _one(self, fate: Fate = Fate.LIVE) -> Row | None:
        found = [row for row in self._mine if row.fate is fate and row.is_settled]
        return self.rng.choice(found[-20:]) if found else None

    def _keep(self, memory_id: str, title: str, content: str, told: Told) -> None:
        row = Row(memory_id=memory_id, title=title, content=content, is_settled=not told.is_doubtful)
        self.ledger.rows[memory_id] = row
        self._mine.append(row)

    def _body(self) -> dict[str, str]:
        mark = self._mark()
        return {"title": mark, "content": f"word {mark}", "namespace": self.home}

    async def _store(self) -> None:
        body = self._body()
        told = await self.tell("store", "POST", "/memories", body)
        if told is not None and told.is_done:
            self._keep(told.body["id"], body["title"], body["content"], told)
        elif told is not None:
            self.be_surprised("store", told)

    async def _store_many(self) -> None:
        bodies = [self._body() for _ in range(10)]
        told = await self.tell("bulk", "POST", "/memories/bulk", {"memories": bodies})
        if told is None:
            return
        if told.is_done and not told.body["errors"]:
            for memory_id, body in zip(told.body["ids"], bodies, strict=True):
                self._keep(memory_id, body["title"], body["content"], told)
        else:
            self.be_surprised("bulk", told)

    async def _on(self, row: Row | None, act: str, method: str, path: str, body: object = None) -> Told | None:
        """Act on a row of this agent's. Returns: what it was told, if it was done."""
        if row is None:
            return None
        told = await self.tell(act, method, path.format(row.memory_id), body)
        if told is None:
            self.ledger.unknown.add(row.memory_id)
        if told is None or told.is_doubtful:
            row.is_settled = False
        if told is not None and not told.is_done:
            self.be_surprised(act, told)
            self.ledger.unknown.add(row.memory_id)
            row.is_settled = False
        return told if told is not None and told.is_done else None

    async def _update(self) -> None:
        row, content = self._one(), f"word {self._mark()} anew"
        if row is not None and await self._on(row, "update", "PUT", "/memories/{}", {"content": content}):
            row.content = content

    async def _delete(self) -> None:
        rows = [row for row in self._mine if row.fate is Fate.LIVE and row.memory_id not in self.ledger.unknown]
        row = self.rng.choice(rows) if rows and self.rng.random() < 0.7 else self._one()
        if row is not None and await self._on(row, "delete", "DELETE", "/memories/{}"):
            row.fate = Fate.GONE

    async def _link(self) -> None:
        source, target = self._one(), self._one()
        if source is None or target is None or source is target:
            return
        body = {"source_id": source.memory_id, "target_id": target.memory_id, "relation": "related_to"}
        told = await self.tell("link", "POST", "/links", body)
        self._note_link(body, "link", told, stands=True)

    async def _unlink(self) -> None:
        mine = {row.memory_id for row in self._mine if row.fate is Fate.LIVE and row.is_settled}
        standing = [ends for ends, stands in self.ledger.links.items() if stands and mine.issuperset(ends[:2])]
        if not standing:
            return
        source, target, relation = self.rng.choice(standing)
        body = {"source_id": source, "target_id": target, "relation": relation}
        self._note_link(body, "unlink", await self.tell("unlink", "DELETE", "/links", body), stands=False)

    def _note_link(self, body: dict[str, str], act: str, told: Told | None, *, stands: bool) -> None:
        ends = (body["source_id"], body["target_id"], body["relation"])
        if told is None or told.is_doubtful:
            self.ledger.links.pop(ends, None)
            self.ledger.unknown.add(body["source_id"])      # so that no later act on this link is judged either
        elif told.is_done:
            self.ledger.links[ends] = stands
        else:
            self.be_surprised(act, told)

    async def _archive(self) -> None:
        row = self._one()
        if row is not None and await self._on(row, "archive", "POST", "/archive", {"ids": [row.memory_id]}):
            row.fate = Fate.ARCHIVED

    async def _restore(self) -> None:
        row = self._one(Fate.ARCHIVED)
        if row is not None and await self._on(row, "restore", "POST", "/archive/{}/restore?mode=keep"):
            row.fate = Fate.LIVE

    async def _promote(self) -> None:
        row = self._one()
        if row is not None and await self._on(row, "promote", "POST", "/memories/{}/promote"):
            row.tier = "long"

    async def _forget(self) -> None:
        row = self._one()
        if row is None:
            return
        body = {"namespace": self.home, "pattern": row.content.split()[1]}
        told = await self._on(row, "forget", "POST", "/forget", body)
        if told is None:
            return
        if told.body["deleted"] == 1:
            row.fate = Fate.ARCHIVED
        else:
            # Another node may have put it away, and this one not know of it: nobody knows where it is.
            self.ledger.unknown.add(row.memory_id)
            self.be_surprised("forget", told)

    async def _rule(self) -> None:
        namespace, level = f"{self.home}/p{self._serial}", self.rng.choice(["any", "registered", "owner"])
        self._serial += 1
        body = {"namespace": namespace, "governance": {"write": level}}
        told = await self.tell("policy", "POST", "/namespaces", body)
        if told is not None and told.is_done:
            self.ledger.policies[namespace] = level
        elif told is not None:
            self.be_surprised("policy", told)

    async def _ask(self) -> None:
        body = {**self._body(), "namespace": ASKED}
        told = await self.tell("ask", "POST", "/memories", body)
        if told is not None and told.status == httpx.codes.ACCEPTED:
            pending_id = told.body["pending_id"]
            self.ledger.questions[pending_id] = Question(title=body["title"], version=told.body["version"])
            self._to_judge.send_nowait(pending_id)
        elif told is not None:
            self.be_surprised("ask", told)

    async def _subscribe(self) -> None:
        told = await self.tell("subscribe", "POST", "/subscriptions", {"namespace": f"{self.home}/s{self._mark()}"})
        if told is not None and told.is_done:
            self.ledger.subscriptions[told.body["id"]] = True
            if not told.is_doubtful:
                self._subscriptions.append(told.body["id"])
        elif told is not None:
            self.be_surprised("subscribe", told)

    async def _unsubscribe(self) -> None:
        if not self._subscriptions:
            return
        subscription = self._subscriptions.pop()
        told = await self.tell("unsubscribe", "DELETE", f"/subscriptions/{subscription}")
        if told is not None and told.is_done:
            self.ledger.subscriptions[subscription] = False
            return
        del self.ledger.subscriptions[subscription]
        if told is not None:
            self.be_surprised("unsubscribe", told)

    async def _register(self) -> None:
        if not self._is_registering:
            return
        capabilities = [self._mark()]
        body = {"agent_id": self.name, "agent_type": "ai:worker", "capabilities": capabilities}
        told = await self.tell("register", "POST", "/agents", body)
        if told is not None and told.is_done and not told.is_doubtful:
            self.ledger.registered[self.name] = capabilities
            return
        # An attempt may come late, after another one: nobody knows any more which of the two is the last.
        self._is_registering = False
        self.ledger.registered.pop(self.name, None)
        if told is not None and not told.is_done:
            self.be_surprised("register", told)

    async def _notify(self) -> None:
        told = await self.tell("notify", "POST", "/notify", {"to": JUDGE, "title": self._mark(), "payload": "look"})
        if told is not None and told.is_done:
            self.ledger.messages[told.body["id"]] = JUDGE
        elif told is not None:
            self.be_surprised("notify", told)

    async def _look(self) -> None:
        row = self._one()
        if row is None:
            return
        told = await self.tell("look", "GET", f"/memories/{row.memory_id}")
        if told is not None and (told.status != 200 or told.body["content"] != row.content):
            self.ledger.surprises.append(f"{self.name} did not read its own write {row}: {told}")


class Judge(Caller):
    """Decides on what the others ask for."""

    async def work(self, waiting: trio.MemoryReceiveChannel[str]) -> None:
        """Vote on everything that comes, until nobody asks any more."""
        count = 0
        async for pending_id in waiting:
            count += 1
            question = self.ledger.questions[pending_id]
            question.vote = "rejected" if count % 3 == 0 else "approved"
            verb = "approve" if question.vote == "approved" else "reject"
            told = await self.tell(verb, "POST", f"/pending/{pending_id}/{verb}", seen=question.version)
            question.told = "nothing" if told is None else str(told.status)
            if told is None:
                question.vote = ""
            elif not told.is_done:
                self.be_surprised(verb, told)
            elif told.status == 200 and told.body["status"] != question.vote:
                self.ledger.surprises.append(f"{verb} {pending_id}: {told.body}")


def _version_of(told: dict[str, Any]) -> str:
    """What a reader has to name to see what was just written; a bulk store has a version for each row."""
    rows = [row["version"] for row in told.get("results", ()) if "version" in row]
    return str(rows[-1] if rows else told.get("version", ""))


def name_of(number: int) -> str:
    return f"agent-{number}"


def home_of(number: int) -> str:
    return f"fleet/a{number}"
