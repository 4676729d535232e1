"""A fleet of agents with keys: each stores, recalls and tries what it must not, and judges each answer."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import trio

SEED: Final = 20_261_122
TEAMS_COUNT: Final = 20
VOLLEY_COUNT: Final = 12
REQUEST_TIMEOUT_S: Final = 45.0     # the node's own deadline is 30 s
SECRET: Final = re.compile(r"secret_(\w+?)_\d+")
"""In private memories: whose it is."""
INSIDE: Final = re.compile(r"inside_(\d+)_")
"""In memories for a team: which one."""
WORDS: Final = tuple(
    f"{first}{second}" for first in ("deploy", "index", "cache", "ledger", "schema", "queue", "token", "shard")
    for second in ("plan", "note", "rule", "fault", "window", "owner", "limit", "report")
)


@dataclass(kw_only=True)
class Findings:
    """What the fleet saw together.

    Attributes:
      latency_s: by what was asked.
      statuses: how often each status came.
      private: of everybody, id by id: whose it is. For those who try to reach it.
    """

    latency_s: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    private: list[tuple[str, str]] = field(default_factory=list)
    seen_of_others: int = 0

    def quantile_ms(self, act: str, share: float) -> float:
        """The latency that this share of the requests kept to, in milliseconds."""
        found = sorted(self.latency_s[act])
        return 1_000 * found[min(len(found) - 1, int(share * len(found)))]

    def report(self, seconds: float) -> str:
        """A table of latencies."""
        rows = [f"{'act':<10}{'count':>7}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}"]
        for act in sorted(self.latency_s):
            figures = "".join(f"{self.quantile_ms(act, share):>9.0f}" for share in (0.5, 0.99, 1.0))
            rows.append(f"{act:<10}{len(self.latency_s[act]):>7}{figures}")
        told = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        return "\n".join((*rows, f"{self.statuses.total() / seconds:.0f} requests a second; statuses {told}"))


class Agent:
    """One agent: its key, its connection, and what it was told that it stored.

    Attributes:
      think_s: the mean time between two of its requests.
      is_greedy: whether it sends a volley of requests where others send one.
      kept: private memories that were acknowledged, by their mark.
    """

    def __init__(
        self, number: int, key: str, http: httpx.AsyncClient, findings: Findings, *, think_s: float, is_greedy: bool
    ) -> None:
        self.number, self.name, self.home, self.team = number, name_of(number), home_of(number), team_of(number)
        self.think_s, self.is_greedy, self.kept = think_s, is_greedy, dict[str, str]()
        self._http, self._headers, self._findings = http, {"X-API-Key": key}, findings
        self._rng = random.Random(f"{SEED}:{number}")
        self._stored_count = 0

    async def work(self, until: float) -> None:
        """Ask until this moment of Trio's clock."""
        acts: tuple[tuple[Callable[[], Awaitable[None]], int], ...] = (
            (self._store, 35), (self._share, 8), (self._recall, 30), (self._search, 8), (self._list, 7),
            (self._pry, 8), (self._forge, 2), (self._count, 2),
        )
        chosen = [act for act, weight in acts for _ in range(weight)]
        await trio.sleep(self._rng.uniform(0, self.think_s))
        await self._store()
        while trio.current_time() < until:
            await (self._volley if self.is_greedy else self._rng.choice(chosen))()
            rest_s = min(self._rng.expovariate(1 / self.think_s), until - trio.current_time())
            await trio.sleep(max(0, rest_s))

    async def _volley(self) -> None:
        """Ask for the same so often at once that no rate allows it."""
        async with trio.open_nursery() as nursery:
            for _ in range(VOLLEY_COUNT):
                nursery.start_soon(self._search)

    async def ask(
        self, act: str, method: str, path: str, *allowed: int, json: Any = None, **params: Any
    ) -> httpx.Response:
        """Send a request; wait as long as the answer says, where it was too much. Whatever is shown is judged."""
        begun = trio.current_time()
        answer = await self._http.request(
            method, path, json=json, params=params, headers=self._headers, timeout=REQUEST_TIMEOUT_S
        )
        self._findings.latency_s.setdefault(act, []).append(trio.current_time() - begun)
        self._findings.statuses[answer.status_code] += 1
        assert answer.status_code in (*allowed, 429), f"{self.name}: {act} {path}: {answer.status_code} {answer.text}"
        self._judge(act, answer)
        if answer.status_code == 429:
            self._findings.throttled[self.name] += 1
            await trio.sleep(float(answer.headers.get("Retry-After", 1)))
        return answer

    def _judge(self, act: str, answer: httpx.Response) -> None:
        """Nothing of another's private memories may stand anywhere in an answer."""
        foreign = {owner for owner in SECRET.findall(answer.text) if owner != self.name}
        assert not foreign, f"{self.name} saw private memories of {sorted(foreign)} by {act}: {answer.text[:2000]}"
        teams = set(INSIDE.findall(answer.text)) - {str(self.number % TEAMS_COUNT)}
        assert not teams, f"{self.name} saw memories of the teams {sorted(teams)} by {act}: {answer.text[:2000]}"

    async def _store(self) -> None:
        self._stored_count += 1
        mark = f"secret_{self.name}_{self._stored_count}"
        answer = await self.ask("store", "POST", "/memories", 201, json={
            "title": f"{mark} {self._text(3)}", "content": f"{self._text(12)} {mark}", "namespace": self.home,
            "scope": "private", "tags": [mark],
        })
        if answer.status_code == 201:
            memory_id = answer.json()["id"]
            self.kept[mark] = memory_id
            self._findings.private.append((memory_id, self.name))

    async def _share(self) -> None:
        self._stored_count += 1
        scope = self._rng.choice(("team", "collective"))
        mark = f"inside_{self.number % TEAMS_COUNT}_" if scope == "team" else "for everybody"
        await self.ask("share", "POST", "/memories", 201, json={
            "title": f"shared by {self.name} {self._stored_count}", "content": f"{self._text(12)} {mark}",
            "namespace": self.team, "scope": scope,
        })

    async def _recall(self) -> None:
        answer = await self.ask("recall", "POST", "/recall", 200, json={"context": self._text(4), "limit": 20})
        self._note_others(answer)

    async def _search(self) -> None:
        self._note_others(await self.ask("search", "GET", "/search", 200, q=self._text(1), limit=50))

    async def _list(self) -> None:
        self._note_others(await self.ask("list", "GET", "/memories", 200, limit=50))

    async def _count(self) -> None:
        await self.ask("stats", "GET", self._rng.choice(("/stats", "/namespaces", "/taxonomy")), 200)

    async def _pry(self) -> None:
        """Reach for another's private memory by its id: there is no such memory."""
        others = [one for one in self._findings.private[-500:] if one[1] != self.name]
        if not others:
            return
        path = f"/memories/{self._rng.choice(others)[0]}"
        method = self._rng.choice(("GET", "PUT", "DELETE"))
        await self.ask("pry", method, path, 404, json={"content": "mine now"} if method == "PUT" else None)

    async def _forge(self) -> None:
        """Store under another's name: refused, whoever it is."""
        answer = await self.ask("forge", "POST", "/memories", 403, json={
            "title": "forged", "content": "forged", "agent_id": name_of(self._rng.randrange(1_000, 2_000))})
        assert answer.json()["code"] in ("identity_mismatch", "rate_limited", "writer_busy"), answer.text

    def _note_others(self, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            authors = {one["metadata"]["agent_id"] for one in answer.json()["memories"]}
            self._findings.seen_of_others += len(authors - {self.name})

    def _text(self, count: int) -> str:
        return " ".join(self._rng.choice(WORDS) for _ in range(count))


def name_of(number: int) -> str:
    """An agent's id."""
    return f"agent{number}"


def team_of(number: int) -> str:
    """The namespace of the agent's team."""
    return f"org{number % 4}/team{number % TEAMS_COUNT}"


def home_of(number: int) -> str:
    """The namespace that the agent lives in, alone."""
    return f"{team_of(number)}/{name_of(number)}"
