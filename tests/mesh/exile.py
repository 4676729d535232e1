"""A node that the others removed: it gets nothing and acknowledges nothing, and keeps what it has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import trio

from tests.mesh.certified import NAMES, CertifiedMesh, vector_of
from tests.mesh.ledger import Shown

NOTICING_S: Final = 10.0
LOCAL: Final = {"X-Consistency": "local"}
ALL: Final = {"X-Consistency": "all"}
KEPT: Final = "what the removed node stored alone"


class Exile:
    """One node, out of the mesh for a while."""

    def __init__(self, mesh: CertifiedMesh, number: int) -> None:
        self._mesh, self._number = mesh, number
        self._others = [other for other in range(len(mesh.ports)) if other != number]
        self._kept = ""

    @asynccontextmanager
    async def lasting(self) -> AsyncIterator[None]:
        """The node is removed for as long as the block is open; its end checks what it was good for meanwhile."""
        await self._mesh.remove(self._number)
        async with self._mesh.owner(self._number) as away, self._mesh.owner(self._others[0]) as first:
            await self._noticed()
            heard, told, went_on = await self._of_others(away), await self._of_it(first), await written(first)
            await self._keeps(away)
            await self._acknowledges_nothing(first)
            yield
            await self._acknowledges_nothing(first)
            assert await self._of_others(away) == heard, "it got something"
            assert await self._of_it(first) == told, "the others took something from it"
            assert await written(first) > went_on, "nobody wrote meanwhile"
        await self._mesh.put_back(self._number)

    def assert_its_own_came_back(self, shown: list[Shown]) -> None:
        """What it stored alone is everywhere."""
        assert self._kept, "it never was away"
        assert [one.live[self._kept]["title"] for one in shown] == [KEPT] * len(shown)

    async def _noticed(self) -> None:
        """Wait until none of the others counts on it."""
        with trio.fail_after(NOTICING_S):
            for other in self._others:
                await self._forgotten_by(other)

    async def _forgotten_by(self, other: int) -> None:
        async with self._mesh.owner(other) as http:
            while True:
                document = (await http.get("/mesh")).raise_for_status().json()
                [seen] = [peer for peer in document["peers"] if f"//{NAMES[self._number]}:" in peer["url"]]
                if seen["state"] != "reachable":
                    return
                await trio.sleep(0.1)

    async def _of_others(self, away: httpx.AsyncClient) -> dict[str, int]:
        """How much of the others' streams it knows."""
        document = (await away.get("/mesh")).raise_for_status().json()
        return {stream: head for stream, head in document["vector"].items() if stream != document["stream"]}

    async def _of_it(self, first: httpx.AsyncClient) -> int:
        """How much another knows of its stream."""
        async with self._mesh.owner(self._number) as away:
            stream = (await away.get("/mesh")).raise_for_status().json()["stream"]
        return (await vector_of(first)).get(stream, 0)

    async def _keeps(self, away: httpx.AsyncClient) -> None:
        """It goes on for itself alone, and does not promise more."""
        stored = await away.post("/memories", json={"title": KEPT, "content": "text"}, headers=LOCAL)
        assert stored.status_code == 201, stored.text
        self._kept = stored.json()["id"]
        refused = await away.post("/memories", json={"title": "promised", "content": "text"})
        assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied"), refused.text

    async def _acknowledges_nothing(self, first: httpx.AsyncClient) -> None:
        refused = await first.post("/memories", json={"title": "for all", "content": "text"}, headers=ALL)
        assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied"), refused.text


async def written(http: httpx.AsyncClient) -> int:
    """How many writes a node knows."""
    return sum((await vector_of(http)).values())
