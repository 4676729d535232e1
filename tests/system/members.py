"""Daemons that know each other: started, killed, stopped for a while, and asked until all of them agree."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import trio

from tests.system.processes import START_S, Process, command, started

SETTLING_S = 120.0


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on: peers have to be named before they start."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Mesh:
    """Daemons that know each other, and perhaps peers that are none of ours."""

    def __init__(
        self, folder: Path, count: int, nursery: trio.Nursery, environ: dict[str, str], strangers: tuple[str, ...] = ()
    ) -> None:
        """Find ports; nothing is started.

        Args:
          strangers: addresses of further peers of every node.
        """
        self.folder, self.nursery, self.environ, self.strangers = folder, nursery, environ, strangers
        self.ports = free_ports(count)
        self.processes: dict[int, Process] = {}

    def db(self, number: int) -> Path:
        return self.folder / f"n{number}.db"

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.ports[number]}/api/v1"

    def client(self, headers: dict[str, str] | None = None, timeout: float = 60) -> httpx.AsyncClient:
        """A client of any of the nodes."""
        return httpx.AsyncClient(headers=headers, timeout=timeout, verify=False)

    def words(self, number: int) -> list[str]:
        """The command line of a node."""
        own = (f"http://127.0.0.1:{port}" for port in self.ports if port != self.ports[number])
        return command(
            self.db(number), "serve", "--port", str(self.ports[number]),
            "--quorum-peers", ",".join((*own, *self.strangers)), "--quorum-writes", "2", "--node-name", f"n{number}",
            "--catchup-interval-secs", "1",
        )

    def surroundings(self, number: int) -> dict[str, str]:
        """The variables that a node is started with."""
        return self.environ

    async def start(self, number: int) -> None:
        """Start a node and wait until it serves."""
        await self.nursery.start(self._run, number)

    async def _run(self, number: int, *, task_status: trio.TaskStatus[None]) -> None:
        async with started(self.words(number), **self.surroundings(number)) as process:
            self.processes[number] = process
            with trio.fail_after(START_S):
                await process.stderr_line("listening on")
            task_status.started()
            await process.stderr_rest_of_life()
            await process.wait()


@contextlib.asynccontextmanager
async def running(
    folder: Path, count: int, strangers: tuple[str, ...] = (), **environ: str
) -> AsyncIterator[Mesh]:
    """A mesh with W of 2 whose nodes all serve; they are killed with the block."""
    async with trio.open_nursery() as nursery:
        mesh = Mesh(folder, count, nursery, environ, strangers)
        await start_all(mesh)
        yield mesh
        nursery.cancel_scope.cancel()


async def start_all(mesh: Mesh) -> None:
    """Start every node, and wait until all of them serve."""
    async with trio.open_nursery() as starting:
        for number in range(len(mesh.ports)):
            starting.start_soon(mesh.start, number)


async def settled(mesh: Mesh, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The mesh as its first node sees it, once every copy is equal."""
    async with mesh.client(headers) as http:
        with trio.fail_after(SETTLING_S):
            while True:
                # Each answers once it has asked all others, so that the digests are asked for when they may be equal.
                for number in range(len(mesh.ports)):
                    (await http.post(f"{mesh.url(number)}/mesh")).raise_for_status()
                answer = await http.get(f"{mesh.url(0)}/mesh", params={"verify": "true"})
                document: dict[str, Any] = answer.raise_for_status().json()
                verdicts = {found["verdict"] for found in document["verified"]}
                assert "differs" not in verdicts, document
                if verdicts == {"equal"}:
                    return document
