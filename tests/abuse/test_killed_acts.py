"""Promises P1 and P2 for acts on many memories: a daemon killed among them has each as a whole or not at all."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.system.processes import START_S, daemon

pytestmark = pytest.mark.slow

COUNT = 12
LIVES = 3
State = tuple[frozenset[str], frozenset[str]]
"""Ids of what is live, and of what is in the archive."""


class Caller:
    """One who does one act after the other in namespaces of its own.

    Attributes:
      told: namespace -> what it is, as far as answers told.
      next: what the act that is under way makes of its namespace; the ids of new memories are not known before.
      is_done: whether the answer to that act came.
      dead: ids that it deleted, or has begun to delete.
    """

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name, self.rng, self.count = name, rng, 0
        self.told: dict[str, State] = {}
        self.next: tuple[str, int, int] | None = None
        self.is_done = False
        self.dead: set[str] = set()
        self.http: httpx.AsyncClient

    async def ask(self, namespace: str, live: int, archived: int, path: str, body: object, method: str = "POST") -> Any:
        """Do one act, after which so many are live and so many archived; then look, and remember."""
        self.next, self.is_done = (namespace, live, archived), False
        answer = await self.http.request(
            method, f"/api/v1/{path}", json=body, headers={"Idempotency-Key": f"{self.rng.getrandbits(128):032x}"}
        )
        answer.raise_for_status()
        self.is_done = True
        self.told.setdefault(namespace, (frozenset(), frozenset()))
        state = await look(self.http, namespace)
        assert (len(state[0]), len(state[1])) == (live, archived), (path, body)
        self.told[namespace], self.next = state, None
        return answer.json()

    async def live(self) -> None:
        """Until the daemon is no more."""
        while True:
            self.count += 1
            namespace = f"{self.name}/{self.count}"
            async for _ in getattr(self, self.name)(namespace):
                pass

    async def store(self, namespace: str) -> None:
        rows = [{"title": f"t{n}", "content": f"word {n}", "namespace": namespace, "tags": ["x"]} for n in range(COUNT)]
        await self.ask(namespace, COUNT, 0, "memories/bulk", rows)

    async def forget(self, namespace: str) -> AsyncIterator[None]:
        await self.store(namespace)
        count = COUNT
        for _ in range(3):
            yield
            done = await self.ask(namespace, 0, count, "forget", {"namespace": namespace})
            await self.ask(namespace, count, 0, "forget", {"undo": done["forget_id"]})
            victim = min(self.told[namespace][0])
            self.dead.add(victim)
            count -= 1
            await self.ask(namespace, count, 0, f"memories/{victim}", None, "DELETE")

    async def consolidate(self, namespace: str) -> AsyncIterator[None]:
        await self.store(namespace)
        yield
        body = {"ids": sorted(self.told[namespace][0]), "title": "t0", "summary": "all", "namespace": namespace}
        await self.ask(namespace, 1, COUNT, "consolidate", body)

    async def auto(self, namespace: str) -> AsyncIterator[None]:
        await self.store(namespace)
        yield
        await self.ask(namespace, 1, COUNT, "auto_consolidate", {"namespace": namespace, "min_count": 2})

    async def bring(self, namespace: str) -> AsyncIterator[None]:
        ids = [f"{namespace}-{n:02}".replace("/", "-") for n in range(COUNT)]
        rows = [{"id": i, "title": i, "content": "a text", "namespace": namespace} for i in ids]
        links = [{"source_id": one, "target_id": other} for one, other in pairwise(ids)]
        await self.ask(namespace, COUNT, 0, "import", {"memories": rows, "links": links})
        for count, victim in enumerate(self.rng.sample(ids, 3), start=1):
            yield
            self.dead.add(victim)
            await self.ask(namespace, COUNT - count, 0, f"memories/{victim}", None, "DELETE")
            await self.ask(namespace, COUNT - count, 0, "import", {"memories": rows, "links": links})

    async def check(self) -> None:
        """What was told is there; what was under way when the daemon was killed is done, or not begun."""
        for namespace in {*self.told, *([self.next[0]] if self.next else [])}:
            told = self.told.get(namespace, (frozenset(), frozenset()))
            state = await look(self.http, namespace)
            is_next = self.next is not None and self.next[0] == namespace
            if state != told or (is_next and self.is_done):
                assert self.next == (namespace, len(state[0]), len(state[1])), (namespace, told, state)
                self.told[namespace] = state
        self.next = None
        for memory_id in self.dead:
            known = await self.http.get(f"/api/v1/memories/{memory_id}")
            assert known.status_code == 404 or memory_id in self.told_live(), f"{memory_id} came back"

    def told_live(self) -> set[str]:
        """Ids that are live by the last look: a deletion that was under way may not have begun."""
        return {memory_id for live, _ in self.told.values() for memory_id in live}


async def look(http: httpx.AsyncClient, namespace: str) -> State:
    shown = await http.get("/api/v1/memories", params={"namespace": namespace, "limit": 1000})
    away = await http.get("/api/v1/archive", params={"namespace": namespace, "limit": 1000})
    found = shown.raise_for_status().json()["memories"], away.raise_for_status().json()["archived"]
    live, archived = (frozenset(row["id"] for row in rows) for rows in found)
    return live, archived


async def live_until_killed(caller: Caller) -> None:
    try:
        await caller.live()
    except httpx.TransportError:
        return


async def test_a_daemon_killed_among_acts_on_many_memories_has_each_whole_or_not_at_all(tmp_path: Path) -> None:
    rng = random.Random(4)
    callers = [Caller(name, random.Random(n)) for n, name in enumerate(("forget", "consolidate", "auto", "bring"))]
    for life in range(LIVES + 1):
        async with (
            daemon(tmp_path / "m.db") as (process, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http
        ):
            for caller in callers:
                caller.http = http
                await caller.check()
            if life == LIVES:
                break
            async with trio.open_nursery() as nursery:
                for caller in callers:
                    nursery.start_soon(live_until_killed, caller)
                await trio.sleep(rng.uniform(0.5, 1.5))
                await process.kill()
    assert all(caller.told for caller in callers)
