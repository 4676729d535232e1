"""What a case is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from msgspec import Struct

Arguments = dict[str, Any]


class World:
    """A daemon as seen over HTTP, and a namespace that belongs to one case of one client."""

    def __init__(self, http: httpx.AsyncClient, space: str, agent_id: str = "watcher") -> None:
        self.http, self.space = http, space
        self._headers = {"X-Agent-Id": agent_id}

    @property
    def mark(self) -> str:
        """The last part of the namespace, for names that no other case of this daemon has."""
        return self.space.rpartition("/")[2]

    def asked_by(self, agent_id: str) -> World:
        """The same, asked by another agent."""
        return World(self.http, self.space, agent_id)

    async def store(self, title: str, content: str = "A fact.", **fields: Any) -> str:
        """Keep a memory here; its id."""
        body = {"title": title, "content": content, "namespace": self.space, **fields}
        answer = await self.http.post("/api/v1/memories", json=body, headers=self._headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def read(self, path: str, **query: Any) -> Any:
        """A GET below /api/v1; its JSON."""
        answer = await self.http.get(f"/api/v1{path}", params=query, headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def send(self, path: str, **body: Any) -> Any:
        """A POST below /api/v1; its JSON."""
        answer = await self.http.post(f"/api/v1{path}", json=body, headers=self._headers)
        assert answer.is_success, answer.text
        return answer.json()

    async def memory(self, memory_id: str) -> Any:
        """A memory; None if there is none."""
        answer = await self.http.get(f"/api/v1/memories/{memory_id}", headers=self._headers)
        return None if answer.status_code == 404 else answer.json()

    async def titles(self) -> set[str]:
        """Of the memories here."""
        page = await self.read("/memories", namespace=self.space, limit=1000)
        return {memory["title"] for memory in page["memories"]}


class Case(Struct, frozen=True, kw_only=True):
    """One call of one tool.

    Attributes:
      arguments: makes what the tool needs, and says what to call it with.
      check: looks over HTTP for what the call did; is handed the arguments and the answer (its JSON, else its text).
      refusal: the code that the call is refused with, if it must be; its answer is the refusal.
    """

    arguments: Callable[[World], Awaitable[Arguments]]
    check: Callable[[World, Arguments, Any], Awaitable[None]]
    refusal: str = ""
