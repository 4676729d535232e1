"""Four real nodes on loopback: one is killed and comes back, one hangs for a while, and no promise is broken."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.system.processes import START_S, Process, ask, command, started

pytestmark = pytest.mark.slow

AGENTS = 8
WRITING_S = 12.0
STOPPED_S = 4.0
SETTLING_S = 60.0
JSON = {"Content-Type": "application/json"}


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on: peers have to be named before they start."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Mesh:
    """Daemons that know each other."""

    def __init__(self, folder: Path, count: int, nursery: trio.Nursery, environ: dict[str, str]) -> None:
        self.folder, self.nursery, self.environ = folder, nursery, environ
        self.ports = free_ports(count)
        self.processes: dict[int, Process] = {}
        self._ends: dict[int, trio.Event] = {}

    def db(self, number: int) -> Path:
        return self.folder / f"n{number}.db"

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.ports[number]}/api/v1"

    async def start(self, number: int) -> None:
        """Start a node and wait until it serves."""
        await self.nursery.start(self._run, number)

    async def _run(self, number: int, *, task_status: trio.TaskStatus[None]) -> None:
        peers = ",".join(f"http://127.0.0.1:{port}" for port in self.ports if port != self.ports[number])
        words = command(
            self.db(number), "serve", "--port", str(self.ports[number]), "--quorum-peers", peers,
            "--quorum-writes", "2", "--node-name", f"n{number}", "--catchup-interval-secs", "1",
        )
        async with started(words, **self.environ) as process:
            self.processes[number] = process
            with trio.fail_after(START_S):
                await process.stderr_line("listening on")
            task_status.started()
            with contextlib.suppress(AssertionError):       # it ended, as it was told to
                while True:
                    await process.stderr_line("nothing that it says")
            await process.wait()


class Promises:
    """What agents were told."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.refused: dict[str, int] = {}


async def run_agent(mesh: Mesh, number: int, said: Promises, until: float) -> None:
    """Store, now and then delete, through whatever node; ask again under the same key after a failure."""
    rng, mine = random.Random(number), []
    async with httpx.AsyncClient(timeout=10, headers={"X-Agent-Id": f"agent-{number}"}) as http:
        count = 0
        while trio.current_time() < until:
            count += 1
            target = rng.randrange(len(mesh.ports))
            if mine and rng.random() < 0.2:
                memory_id = mine.pop(rng.randrange(len(mine)))
                answer = await tried(http, "DELETE", f"{mesh.url(target)}/memories/{memory_id}", {}, said)
                if answer is not None and answer.status_code == 200:
                    said.deleted.add(memory_id)
                    said.stored.pop(memory_id, None)
                else:
                    said.stored.pop(memory_id, None)       # nobody knows; nothing was promised
                continue
            body = {"title": f"{number}-{count}", "content": f"What agent {number} saw the {count}th time."}
            key = {"Idempotency-Key": f"{number}-{count}"}
            for _ in range(3):
                answer = await tried(http, "POST", f"{mesh.url(target)}/memories", key, said, body)
                if answer is not None and answer.status_code == 201:
                    memory_id = answer.json()["id"]
                    said.stored[memory_id] = body["title"]
                    mine.append(memory_id)
                    break
                target = rng.randrange(len(mesh.ports))


async def tried(
    http: httpx.AsyncClient, method: str, url: str, headers: dict[str, str], said: Promises, body: object = None
) -> httpx.Response | None:
    try:
        content = None if body is None else json.dumps(body).encode()
        answer = await http.request(method, url, content=content, headers={**JSON, **headers})
    except httpx.TransportError as error:
        word = type(error).__name__
        answer = None
    else:
        word = "" if answer.is_success else str(answer.json().get("code", answer.status_code))
    if word:
        said.refused[word] = said.refused.get(word, 0) + 1
    return answer


@contextlib.asynccontextmanager
async def running(folder: Path, count: int, **environ: str) -> AsyncIterator[Mesh]:
    async with trio.open_nursery() as nursery:
        mesh = Mesh(folder, count, nursery, environ)
        async with trio.open_nursery() as starting:
            for number in range(count):
                starting.start_soon(mesh.start, number)
        yield mesh
        nursery.cancel_scope.cancel()


async def settled(mesh: Mesh) -> dict[str, Any]:
    """The mesh as its first node sees it, once every copy is equal."""
    async with httpx.AsyncClient(timeout=30) as http:
        with trio.fail_after(SETTLING_S):
            while True:
                document: dict[str, Any] = (await http.get(f"{mesh.url(0)}/mesh", params={"verify": "true"})).json()
                if {found["verdict"] for found in document["verified"]} == {"equal"}:
                    return document
                assert "differs" not in {found["verdict"] for found in document["verified"]}, document
                await trio.sleep(0.5)


async def shown(http: httpx.AsyncClient, url: str) -> set[str]:
    """Ids of all that a node shows."""
    ids: set[str] = set()
    cursor = ""
    while True:
        page = (await http.get(f"{url}/memories", params={"limit": 1000, "cursor": cursor})).json()
        ids |= {memory["id"] for memory in page["memories"]}
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return ids


async def test_nothing_acknowledged_is_lost_and_nothing_deleted_returns(tmp_path: Path) -> None:
    said = Promises()
    async with running(tmp_path, 4) as mesh:
        until = trio.current_time() + WRITING_S
        async with trio.open_nursery() as agents:
            for number in range(AGENTS):
                agents.start_soon(run_agent, mesh, number, said, until)
            await trio.sleep(2)
            await mesh.processes[1].kill()
            mesh.processes[2].signal(signal.SIGSTOP)
            await trio.sleep(STOPPED_S)
            mesh.processes[2].signal(signal.SIGCONT)
            await mesh.start(1)
        document = await settled(mesh)
        assert len(said.stored) > AGENTS, said.refused
        assert said.deleted
        assert not document["alarms"], document
        async with httpx.AsyncClient(timeout=30) as http:
            for number in range(4):
                ids = await shown(http, mesh.url(number))
                assert not said.stored.keys() - ids, f"node {number} lost acknowledged writes"
                assert not said.deleted & ids, f"node {number} shows what was deleted"
                assert len(ids) == len(await shown(http, mesh.url(0)))


async def test_a_node_that_comes_new_fetches_everything_and_a_command_without_a_daemon_stores_nothing(
    tmp_path: Path
) -> None:
    key = {"X-API-Key": "shared"}
    async with (
        running(tmp_path, 2, AI_MEMORY_API_KEY="shared") as mesh, httpx.AsyncClient(timeout=30, headers=key) as http,
    ):
        for count in range(40):
            body = {"title": f"t{count}", "content": "text"}
            answer = await http.post(f"{mesh.url(count % 2)}/memories", json=body)
            assert answer.status_code == 201, answer.text
        peers = f"{mesh.url(0)},{mesh.url(1)}".replace("/api/v1", "")
        new = tmp_path / "new.db"
        words = command(new, "sync-daemon", "--peers", peers, "--interval", "1", "--api-key", "shared")
        async with started(words) as process:
            # All of the others' writes, and the beginnings of the three streams.
            await process.stdout_line("43 writes known here")
            assert len(await shown_by_command(new)) == 40
            assert await process.stop() == 0
        environ = {"AI_MEMORY_QUORUM_PEERS": peers, "AI_MEMORY_QUORUM_WRITES": "2"}
        refused = await ask(new, "store", "-T", "Alone", "-c", "text", **environ)
        assert refused.returncode == 7
        assert b"no daemon runs" in refused.stderr
        stored = await ask(new, "store", "-T", "Alone", "-c", "text", "--consistency", "local", **environ)
        assert stored.returncode == 0, stored.stderr


async def shown_by_command(db: Path) -> list[Any]:
    done = await ask(db, "list", "--limit", "1000", "--json")
    assert done.returncode == 0, done.stderr.decode()
    found: list[Any] = json.loads(done.stdout)["memories"]
    return found
