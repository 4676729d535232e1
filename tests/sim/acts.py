"""What a client may think of: every kind of act, as the request that asks for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final
from uuid import UUID

from msgspec import Struct

from tests.sim.badges import NO_KEY, Key
from tests.sim.history import Deed
from tests.sim.hooks import HOST

AGENTS: Final = ("ann", "ben", "cy")
NAMESPACES: Final = ("a", "a/b", "c")
GOVERNED: Final = "g"
TITLES: Final = ("one", "two", "three", "four", "five", "six")
QUESTION: Final = "word red"
RELATIONS: Final = ("related_to", "contradicts", "supersedes", "derived_from")
KNOWN_MAX: Final = 60
HOT: Final = 6
OFTEN: Final = 6
GOVERNING: Final = frozenset({"govern", "register", "ask", "approve", "reject"})
OF_KEYS: Final = frozenset({"add_key", "rotate_key", "revoke_key"})
"""Acts of an operator, in a mesh whose agents have keys."""
MAKING_MEMORIES: Final = frozenset({
    "store", "bulk", "update", "rename", "archive", "restore", "promote", "forget", "consolidate", "entity", "bring",
    "resolve", "ask",
})
"""Acts whose answers name memories."""
_IDS: Final = ("id", "entity_id", "clone_id", "result_id")


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
        self.subscriptions: list[str] = []
        self.pendings: list[str] = []
        self.links: list[tuple[str, str, str]] = []
        self.keys: list[Key] = []

    def learn(self, deed: Deed, answer: Mapping[str, object]) -> None:
        """Take up what an acknowledged act made."""
        if deed.kind in MAKING_MEMORIES:
            ids = answer.get("ids")
            for one in (*(answer.get(name) for name in _IDS), *(ids if isinstance(ids, list) else ())):
                self._add(self.memories, one)
        for known, name in ((self.pendings, "pending_id"), (self.forgets, "forget_id")):
            self._add(known, answer.get(name))
        match deed.kind:
            case "notify":
                self._add(self.messages, answer.get("id"))
            case "subscribe":
                self._add(self.subscriptions, answer.get("id"))
            case "add_key" | "rotate_key":
                self._add(self.keys, Key(*(str(answer.get(name)) for name in ("key_id", "agent_id", "key"))))
            case "link" if {"source_id", "target_id", "relation"} <= answer.keys():
                self._add(self.links, (answer["source_id"], answer["target_id"], answer["relation"]))

    @staticmethod
    def _add(known: list, one: object) -> None:  # type: ignore[type-arg]
        if one is not None and one not in known:
            known.append(one)
            del known[:-KNOWN_MAX]


class Acts:
    """What a client may think of next."""

    def __init__(
        self, rng: random.Random, known: Known, *, often: AbstractSet[str], never: AbstractSet[str] = frozenset()
    ) -> None:
        """Prepare.

        Args:
          often, never: names of acts that are thought of far more often than else, or not at all.
        """
        self.rng, self.known = rng, known
        self.by_weight: tuple[tuple[Callable[[str], Ask], int], ...] = (
            (self.store, 24), (self.bulk, 4), (self.update, 14), (self.rename, 4), (self.delete, 10),
            (self.archive, 5), (self.restore, 5), (self.link, 7), (self.unlink, 4), (self.invalidate, 2),
            (self.promote, 3), (self.recall, 3), (self.forget, 2), (self.unforget, 1), (self.consolidate, 3),
            (self.entity, 5), (self.register, 4), (self.leave, 1), (self.notify, 4), (self.read, 3),
            (self.drop_message, 1), (self.collect, 2), (self.purge, 1), (self.bring, 2), (self.resolve, 2),
            (self.govern, 2), (self.ungovern, 1), (self.ask, 5), (self.approve, 6), (self.reject, 2), (self.remark, 1),
            (self.again, 1), (self.subscribe, 2), (self.unsubscribe, 1), (self.add_key, 3), (self.rotate_key, 1),
            (self.revoke_key, 2), (self.push, 3),
        )
        self.weights = [
            0 if act.__name__ in never else weight * (OFTEN if act.__name__ in often else 1)
            for act, weight in self.by_weight
        ]

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

    def subscribe(self, mark: str) -> Ask:
        return Ask(method="POST", path="/subscriptions", body={"url": f"https://{HOST}/{mark}", "secret": mark})

    def unsubscribe(self, _: str) -> Ask:
        target = self.rng.choice(self.known.subscriptions) if self.known.subscriptions else "0" * 36
        return Ask(method="DELETE", path="/subscriptions", query={"id": target}, subjects=(target,))

    def add_key(self, _: str) -> Ask:
        return Ask(method="POST", path="/agents/keys", body={"agent_id": self.rng.choice(AGENTS)})

    def _key(self) -> str:
        return self.rng.choice(self.known.keys or [NO_KEY]).key_id

    def rotate_key(self, _: str) -> Ask:
        return Ask(method="POST", path=f"/agents/keys/{self._key()}/rotate")

    def revoke_key(self, _: str) -> Ask:
        target = self._key()
        return Ask(method="DELETE", path=f"/agents/keys/{target}", subjects=(target,))

    def push(self, mark: str) -> Ask:
        """What a node of v0.6.3 sends to its peers, which it has not all of itself."""
        rows = [{**self._memory(f"{mark}z{number}"), "id": str(UUID(int=self.rng.getrandbits(128), version=4))}
                for number in range(self.rng.randint(0, 2))]
        ids = {name: [self._id()] for name in ("deletions", "archives", "restores") if self.rng.random() < 0.3}
        links = [{**self._link(), "created_at": "2026-01-01T00:00:00Z"}] if self.rng.random() < 0.3 else []
        body = {"sender_agent_id": "old", "memories": rows, "links": links, **ids}
        return Ask(method="POST", path="/sync/push", body=body, mark=mark)
