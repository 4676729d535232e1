"""What agents do for years, in quick motion: stores, changes, deletes and links through the services of all nodes."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import msgspec
import trio

from aimem.model import Dot
from aimem.service import Node, Once, forget, link, purge_archive, remember_many, update
from aimem.service.edit import delete
from aimem.wire import ForgetRequest, LinkRequest, PurgeQuery, UpdateMemory
from tests.meshes import OPERATOR
from tests.nodes import principal

WHO = principal("alice")
AT_ONCE = 32
LOG_BATCHES, LOGS = 2, 1000
NOTES, CHANGES, DELETES, LINKS = 300, 400, 300, 100
"""Objects of each sort in a round; logs are archived and deleted again, each of which is a write, too."""

_WORDS = [f"{a}{b}{c}" for a in ("ka", "ro", "mi", "ten", "sul", "ver", "dra", "pol", "qui", "bar")
          for b in ("lo", "ne", "si", "gra", "tu", "xa", "ri", "mo", "be", "du")
          for c in ("n", "rt", "s", "m", "ck", "ld", "", "ng", "th", "x")]


class Load:
    """Memories of two sorts, so that there are about `live` of each half of them: logs, which come and go by the
    batch (bulk, forget, purge), and notes, which are changed, linked and deleted one by one.

    Attributes:
      done: writes of objects that were acknowledged, by what they were.
    """

    def __init__(self, nodes: Sequence[Node], rng: random.Random, live: int) -> None:
        self.done: dict[str, int] = {}
        self._nodes, self._rng, self._live = nodes, rng, live
        self._notes: list[str] = []
        self._logs: deque[str] = deque()
        self._no = count()

    @property
    def total(self) -> int:
        """Writes of objects so far."""
        return sum(self.done.values())

    @property
    def _node(self) -> Node:
        return self._rng.choice(self._nodes)

    async def round(self) -> None:
        """Some of everything; afterwards all nodes know it."""
        for _ in range(LOG_BATCHES):
            await self._store_logs()
        await self._store_notes()
        await self._settled()
        await self._each("update", self._chosen(CHANGES), self._change)
        await self._settled()
        while len(self._logs) * LOGS > self._live // 2:
            await self._forget_logs()
        surplus = max(0, len(self._notes) - self._live // 2)
        await self._each("delete", [self._notes.pop(self._rng.randrange(len(self._notes)))
                                    for _ in range(min(surplus, DELETES))], self._delete)
        await self._settled()
        await self._each("link", self._chosen(LINKS), self._link)
        await self._settled()

    def _count(self, what: str, by: int) -> None:
        self.done[what] = self.done.get(what, 0) + by

    def _chosen(self, most: int) -> list[str]:
        return self._rng.sample(self._notes, min(most, len(self._notes)))

    def _text(self) -> str:
        words = self._rng.choices(_WORDS, k=self._rng.randint(20, 90))
        if self._rng.random() < 0.3:
            words.append(f"req-{next(self._no)}/{self._rng.randrange(1 << 20):x}")
        return " ".join(words)

    def _once(self) -> Once:
        return Once(f"key-{next(self._no)}", self._rng.randbytes(32))

    async def _bulk(self, namespace: str, how_many: int) -> list[str]:
        raw = [
            msgspec.Raw(msgspec.json.encode({
                "title": f"{' '.join(self._rng.choices(_WORDS, k=3))} {next(self._no)}", "content": self._text(),
                "namespace": namespace, "tier": "long", "tags": self._rng.choices(_WORDS, k=2),
            })) for _ in range(how_many)
        ]
        answer = await remember_many(self._node, WHO, raw, self._once())
        self._count("store", answer.created)
        return list(answer.ids)

    async def _store_logs(self) -> None:
        namespace = f"logs/day-{next(self._no)}"
        await self._bulk(namespace, LOGS)
        self._logs.append(namespace)

    async def _store_notes(self) -> None:
        self._notes += await self._bulk("notes", NOTES)

    async def _forget_logs(self) -> None:
        node = self._node
        gone = await forget(node, WHO, ForgetRequest(namespace=self._logs.popleft()), self._once())
        self._count("archive", gone.deleted)
        self._count("delete", (await purge_archive(node, OPERATOR, PurgeQuery(all=True))).purged)

    async def _change(self, memory_id: str) -> None:
        change = UpdateMemory(content=self._text()) if self._rng.random() < 0.7 else UpdateMemory(
            priority=self._rng.randint(1, 10))
        await update(self._node, WHO, memory_id, change, self._once())
        if self._rng.random() < 0.02:       # another node that does not know of it
            await update(self._node, WHO, memory_id, UpdateMemory(priority=self._rng.randint(1, 10)), self._once())

    async def _delete(self, memory_id: str) -> None:
        await delete(self._node, WHO, memory_id, self._once())

    async def _link(self, memory_id: str) -> None:
        target = self._rng.choice(self._notes)
        if target != memory_id:
            await link(self._node, WHO, LinkRequest(source_id=memory_id, target_id=target), self._once())

    async def _each(self, what: str, ids: Sequence[str], act: Callable[[str], Awaitable[None]]) -> None:
        """Do something with each, some at once, as many agents do."""
        left = deque(ids)

        async def run() -> None:
            while left:
                await act(left.popleft())

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(run)
        self._count(what, len(ids))

    async def _settled(self) -> None:
        for node in self._nodes:
            for other in self._nodes:
                heads = other.store.log.heads.values()
                await node.store.log.wait_covered([Dot(head.stream, head.seq) for head in heads])
