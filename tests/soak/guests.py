"""Who comes to the nodes: callers at their leisure, readers, agents by MCP, whoever errs or leaves, an operator."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import trio

from aimem.wire import PROTOCOL
from tests.cycles.book import Book
from tests.cycles.clients import Client
from tests.cycles.nodes import COUNT, Nodes
from tests.mesh.certified import HOSTS, NAMES

ROWS_MAX: Final = 20
"""Of a caller: with more it deletes rather than stores, so that what lives stays as much."""
BUSY: Final = {429, 503}
STAY_S: Final = 3.0
"""How long at most whoever says nothing stays."""
FOLLOWED_S: Final = 40.0
"""How long at most somebody reads what happens before it comes again."""
READS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("POST", "/recall", {"context": "what was wrote 7"}), ("GET", "/recall?context=wrote", None),
    ("GET", "/search?q=wrote", None), ("GET", "/memories?limit=20", None), ("GET", "/stats", None),
    ("GET", "/taxonomy", None), ("GET", "/namespaces", None), ("GET", "/health", None), ("GET", "/metrics", None),
    ("GET", "/mesh", None), ("GET", "/agents", None), ("GET", "/openapi.json", None),
)
WRONG: Final[tuple[tuple[str, str, bytes], ...]] = (
    ("POST", "/memories", b"{"), ("POST", "/memories", b"{}"), ("POST", "/memories", b"\xff" * 2_000),
    ("GET", "/memories/nobody", b""), ("DELETE", "/stats", b""), ("GET", "/nowhere", b""),
    ("GET", "/memories?limit=-1", b""), ("POST", "/links", b'{"source_id": "a", "target_id": "b"}'),
    ("POST", "/sync/push", b'{"protocol": 0}'),
)
GARBAGE: Final = (b"", b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 500)


class Caller(Client):
    """One who acts every `pause_s` seconds in the mean, and links its memories, too."""

    def __init__(self, name: str, nodes: Nodes, book: Book, seed: str, pause_s: float) -> None:
        super().__init__(name, nodes, book, seed)
        self._pause_s = pause_s

    async def work(self, http: httpx.AsyncClient, until: trio.Event) -> None:
        while not until.is_set():
            kinds = (self._store, self._update, self._delete, self._look, self._link)
            weights = (4, 3, 6 if len(self._mine) > ROWS_MAX else 1, 2, 1)
            await self._rng.choices(kinds, weights)[0](http)
            await wait(until, self._rng.expovariate(1 / self._pause_s))

    async def _link(self, http: httpx.AsyncClient) -> None:
        if len(self._mine) < 2:
            return
        source, target = self._rng.sample(list(self._mine), 2)
        await self._act(http, "POST", "/links", {"source_id": source, "target_id": target})


class Guests:
    """All others, at any node.

    Attributes:
      visits: how often each kind came.
    """

    def __init__(self, nodes: Nodes, book: Book, seed: str) -> None:
        self._nodes, self._book = nodes, book
        self._rng = random.Random(f"{seed} of guests")
        self.visits: Counter[str] = Counter()

    async def visit(self, http: httpx.AsyncClient, pause_s: float, until: trio.Event) -> None:
        """One after the other, every `pause_s` seconds in the mean."""
        kinds = (self._read, self._ask_tool, self._err, self._leave, self._hang_up, self._show_nothing)
        while not until.is_set():
            act = self._rng.choices(kinds, (8, 2, 2, 1, 1, 1))[0]
            async with self._noted(act.__name__.removeprefix("_")):
                await act(http)
            await wait(until, self._rng.expovariate(1 / pause_s))

    async def follow(self, http: httpx.AsyncClient, until: trio.Event) -> None:
        """Read what happens at some node for a while, and then at another one."""
        while not until.is_set():
            with trio.move_on_after(self._rng.uniform(0.1, 1.0) * FOLLOWED_S):
                async with self._noted("follow"), trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_once, until, nursery.cancel_scope)
                    await self._follow(http)
                    nursery.cancel_scope.cancel()

    async def operate(self, round_s: float, until: trio.Event) -> None:
        """Every so often exchange a node's certificates, compare two nodes, make a snapshot and read it all."""
        while not until.is_set():
            await wait(until, round_s)
            one, other = self._rng.sample(range(COUNT), 2)
            async with self._noted("operate"), self._nodes.owner(one) as owner:
                await self._nodes.rotate(one)
                await self._verify(owner, f"https://{NAMES[other]}:{self._nodes.ports[other]}")
                await self._snapshot(owner)
                await self._nodes.shown(other)

    @contextlib.asynccontextmanager
    async def _noted(self, kind: str) -> AsyncIterator[None]:
        """A visit; who gets no answer in time goes, as callers do."""
        self.visits[kind] += 1
        try:
            yield
        except* httpx.TransportError as group:
            for error in group.exceptions:
                self._book.answers[f"{kind}: {type(error).__name__}"] += 1

    async def _follow(self, http: httpx.AsyncClient) -> None:
        async with http.stream("GET", f"{self._url()}/events", timeout=FOLLOWED_S) as answer:
            async for _ in answer.aiter_raw():
                pass

    async def _verify(self, owner: httpx.AsyncClient, peer: str) -> None:
        after: str | None = None
        while True:
            answer = await owner.post("/mesh/verify", json={"peer": peer, "after": after})
            if answer.status_code in BUSY:
                return
            found = answer.raise_for_status().json()
            if found["differing"]:
                self._book.surprises.append(f"{found['node']} differs: {found}")
            if (after := found.get("after")) is None:
                return

    async def _snapshot(self, owner: httpx.AsyncClient) -> None:
        """Have one made anew, and fetch its first chunk."""
        body: dict[str, Any] = {"protocol": PROTOCOL, "begin": {}, "anew": True}
        while True:
            answer = await owner.post("/sync/snapshot", json=body)
            if answer.status_code in BUSY:
                return
            found = answer.raise_for_status().json()
            if manifest := found.get("manifest"):
                break
            body["snapshot"] = found["making"]
        answer = await owner.post("/sync/snapshot", json={"protocol": PROTOCOL, "snapshot": manifest["id"]})
        self._expect(answer, 200)

    async def _read(self, http: httpx.AsyncClient) -> None:
        method, path, body = self._rng.choice(READS)
        self._expect(await http.request(method, self._url() + path, json=body), 200)

    async def _err(self, http: httpx.AsyncClient) -> None:
        method, path, body = self._rng.choice(WRONG)
        headers = {"Content-Type": "application/json"}
        answer = await http.request(method, self._url() + path, content=body, headers=headers)
        if not 400 <= answer.status_code < 500:
            self._expect(answer)

    async def _ask_tool(self, http: httpx.AsyncClient) -> None:
        """An agent shakes hands, and recalls something."""
        url = self._url().removesuffix("/api/v1") + "/mcp"
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "guest", "version": "1"}}
        answer = await http.post(url, json=_message("initialize", hello))
        self._expect(answer, 200)
        call = {"name": "memory_recall", "arguments": {"context": "wrote"}}
        headers = {"Mcp-Session-Id": answer.headers.get("mcp-session-id", "")}
        answer = await http.post(url, json=_message("tools/call", call), headers=headers)
        self._expect(answer, 200)
        if answer.is_success and "result" not in answer.json():
            self._book.surprises.append(f"a tool said {answer.text}")

    async def _leave(self, _: httpx.AsyncClient) -> None:
        """Connect, say nothing or nonsense, and be gone after a while."""
        number = self._rng.randrange(COUNT)
        stream = await trio.open_tcp_stream(HOSTS[NAMES[number]], self._nodes.ports[number])
        with contextlib.suppress(trio.BrokenResourceError), trio.move_on_after(self._rng.uniform(0, STAY_S)):
            async with stream:
                await stream.send_all(self._rng.choice(GARBAGE))
                await stream.receive_some()
                await trio.sleep_forever()

    async def _hang_up(self, http: httpx.AsyncClient) -> None:
        """Ask, and do not wait for the answer."""
        with trio.move_on_after(self._rng.uniform(0, 0.02)):
            await http.post(f"{self._url()}/recall", json={"context": "wrote"})

    async def _show_nothing(self, _: httpx.AsyncClient) -> None:
        """Come without a certificate."""
        async with httpx.AsyncClient(verify=False) as http:
            try:
                answer = await http.get(f"{self._url()}/health")
            except httpx.TransportError:
                return
        self._book.surprises.append(f"{answer.url} answered somebody without a certificate: {answer.status_code}")

    def _url(self) -> str:
        return self._nodes.url(self._rng.randrange(COUNT))

    def _expect(self, answer: httpx.Response, *allowed: int) -> None:
        if answer.status_code not in {*allowed, *BUSY}:
            told = answer.text[:500]
            self._book.surprises.append(f"{answer.request.method} {answer.url}: {answer.status_code} {told}")


async def wait(until: trio.Event, most_s: float) -> None:
    """Wait for it, but no longer than so many seconds."""
    with trio.move_on_after(most_s):
        await until.wait()


async def _cancel_once(until: trio.Event, scope: trio.CancelScope) -> None:
    await until.wait()
    scope.cancel()


def _message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
