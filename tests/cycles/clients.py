"""Callers who store, change, delete and read all the time, at any node, and note what they were told."""

from __future__ import annotations

import random
from enum import Enum
from typing import Any, Final

import httpx
import trio

from tests.cycles.book import Book, Row
from tests.cycles.nodes import COUNT, Nodes

CLIENTS: Final = 5
REQUEST_S: Final = 6.0
PAUSE_S: Final = 0.05
ROWS_MAX: Final = 40
"""Of a caller: with more it deletes rather than stores."""
ATTEMPTS: Final = 3
PAD_CHARS: Final = 2000


class Outcome(Enum):
    """What became of an act, as far as its caller was told."""

    ACKED = "acked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Client:
    """One that acts on what it stored itself, one thing after the other."""

    def __init__(self, name: str, nodes: Nodes, book: Book, seed: str) -> None:
        self._name, self._nodes, self._book = name, nodes, book
        self._rng = random.Random(f"{seed} of {name}")
        self._serial = 0
        self._version = ""
        self._mine: dict[str, Row] = {}
        self._told: dict[str, Any] = {}

    async def work(self, http: httpx.AsyncClient, until: trio.Event) -> None:
        """Act until it is set, and finish what is begun."""
        while not until.is_set():
            kinds = (self._store, self._update, self._delete, self._look)
            weights = (4, 3, 5 if len(self._mine) > ROWS_MAX else 1, 2)
            await self._rng.choices(kinds, weights)[0](http)
            await trio.sleep(self._rng.expovariate(1 / PAUSE_S))

    async def _act(self, http: httpx.AsyncClient, method: str, path: str, body: object = None) -> Outcome:
        """Ask any node; where nobody knows what became of it, mostly ask again under the same key."""
        self._serial += 1
        headers = {"Idempotency-Key": f"{self._name}-{self._serial}"}
        if self._version:
            headers["X-Min-Version"] = self._version
        is_doubtful = False
        for _ in range(ATTEMPTS):
            outcome = await self._try(http, method, path, body, headers, is_again=is_doubtful)
            if outcome is Outcome.ACKED:
                break
            is_doubtful |= outcome is Outcome.UNKNOWN
            if not is_doubtful or self._rng.random() < 0.2:
                break
        if outcome is not Outcome.ACKED and is_doubtful:
            outcome = Outcome.UNKNOWN
        self._book.acked += outcome is Outcome.ACKED
        self._book.refusals += outcome is Outcome.REFUSED
        self._book.unknown += outcome is Outcome.UNKNOWN
        return outcome

    async def _try(
        self, http: httpx.AsyncClient, method: str, path: str, body: object, headers: dict[str, str], *,
        is_again: bool,
    ) -> Outcome:
        url = self._nodes.url(self._rng.randrange(COUNT)) + path
        try:
            answer = await http.request(method, url, json=body, headers=headers)
            told = answer.json()
        except (httpx.TransportError, ValueError) as error:
            self._book.answers[type(error).__name__] += 1
            return Outcome.REFUSED if isinstance(error, httpx.ConnectError) else Outcome.UNKNOWN
        self._book.answers[str(answer.status_code) if answer.is_success else told["code"]] += 1
        if answer.is_success:
            self._told = told
            self._version = told.get("version") or self._version
            return Outcome.ACKED
        # After an attempt of which nobody knows there may be any answer: what was to be deleted may be gone.
        if answer.status_code not in {412, 429, 503, 507} and not is_again:
            self._book.surprises.append(f"{self._name} {method} {url}: {answer.status_code} {told}, as {headers}")
        is_applied = told.get("outcome", "not_applied") != "not_applied"
        return Outcome.UNKNOWN if is_applied or is_again else Outcome.REFUSED

    def _text(self) -> str:
        return f"{self._name} wrote {self._serial} {'-' * self._rng.randrange(PAD_CHARS)}"

    async def _store(self, http: httpx.AsyncClient) -> None:
        text = self._text()
        body = {"title": f"{self._name} {self._serial}", "content": text, "namespace": self._name, "tier": "long"}
        outcome = await self._act(http, "POST", "/memories", body)
        if outcome is Outcome.ACKED:
            self._mine[self._told["id"]] = self._book.rows[self._told["id"]] = Row(text)
        else:
            (self._book.maybe if outcome is Outcome.UNKNOWN else self._book.refused).add(text)

    def _one(self) -> tuple[str, Row] | None:
        return self._rng.choice(list(self._mine.items())) if self._mine else None

    async def _update(self, http: httpx.AsyncClient) -> None:
        if (found := self._one()) is None:
            return
        memory_id, row = found
        text = self._text()
        row.doubtful.add(text)      # before it is asked for: a look may come first
        outcome = await self._act(http, "PUT", f"/memories/{memory_id}", {"content": text})
        if outcome is not Outcome.UNKNOWN:
            row.doubtful.discard(text)
        if outcome is Outcome.ACKED:
            row.text = text
        elif outcome is Outcome.REFUSED:
            self._book.refused.add(text)

    async def _delete(self, http: httpx.AsyncClient) -> None:
        if (found := self._one()) is None:
            return
        memory_id, row = found
        outcome = await self._act(http, "DELETE", f"/memories/{memory_id}")
        if outcome is Outcome.REFUSED:
            return
        del self._mine[memory_id]
        row.is_gone, row.is_retired = outcome is Outcome.ACKED, outcome is Outcome.UNKNOWN

    async def _look(self, http: httpx.AsyncClient) -> None:
        if (found := self._one()) is None:
            return
        memory_id, row = found
        outcome = await self._act(http, "GET", f"/memories/{memory_id}")
        if outcome is Outcome.ACKED and not row.may_be(self._told["content"]):
            self._book.surprises.append(f"{self._name} read {self._told} of its own, which is {row}")
