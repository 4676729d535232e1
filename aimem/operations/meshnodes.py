"""Meshes of this program's own processes on loopback, for benches, and plain connections to them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE  # noqa: TID251 - a bench starts this very program, as its user would
from typing import Final, TypeVar

import trio

from aimem.errors import Unavailable
from aimem.operations.meshroads import Road
from aimem.operations.processes import Program, drain, listening
from aimem.wire import MeshDocument, decode_body

T = TypeVar("T")

SETTLE_S: Final = 120.0


class Connection:
    """One kept-alive connection: no client is needed to time answers, and none is to be timed with them."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream, self._buffer = stream, bytearray()

    async def ask(self, kind: type[T], method: str, path: str, body: bytes = b"", headers: str = "") -> T:
        """One request.

        Args:
          headers: further lines, each with its end.
        Raises: Unavailable if it is refused, or the node closes the connection.
        """
        return decode_body(kind, await self.fetch(method, path, body, headers))

    async def fetch(self, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
        """As `ask`; the body of the answer as it is."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        await self._stream.send_all(head.encode() + body)
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._more()
        lines = bytes(self._buffer[:end]).lower().split(b"\r\n")
        [length] = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
        while len(self._buffer) < end + 4 + length:
            await self._more()
        content = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        if not lines[0].startswith(b"http/1.1 2"):
            raise Unavailable(f"{path} was refused: {content[:200].decode(errors='replace')}")
        return content

    async def _more(self) -> None:
        data = await self._stream.receive_some()
        if not data:
            raise Unavailable("a node closed its connection")
        self._buffer += data


class Nodes:
    """The nodes of a mesh, by their ports; each may be ended and started again.

    Attributes:
      pids: of those that run.
    """

    def __init__(self, folder: Path, program: Program, tier: str, ports: Sequence[int], road: Road) -> None:
        self._folder, self._program, self._tier, self._road = folder, program, tier, road
        self.ports = ports
        self.pids: dict[int, int] = {}

    @asynccontextmanager
    async def connected(self, port: int) -> AsyncIterator[Connection]:
        """A connection to a node."""
        async with await self._road.open(port) as stream:
            yield Connection(stream)

    @asynccontextmanager
    async def node(self, port: int) -> AsyncIterator[None]:
        """A node that serves; it is told to end with the block, which waits for that. Raises: Unavailable."""
        peers = ",".join(f"{self._road.scheme}://127.0.0.1:{peer}" for peer in self.ports if peer != port)
        words = (
            "serve", "--port", str(port), "--quorum-peers", peers, "--quorum-writes", "2", "--node-name", str(port),
            *self._road.words(str(port)),
        )
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(partial(
                trio.run_process, self._program.line(self._folder / f"{port}.db", *words), stdin=b"", stdout=PIPE,
                stderr=PIPE, check=False, env=self._program.surroundings(self._tier),
            ))
            self.pids[port] = process.pid
            try:
                await listening(process)
                nursery.start_soon(drain, process)
                yield
            finally:
                del self.pids[port]
                process.terminate()

    async def settled(self) -> None:
        """Wait until every node has what every other has. Raises: Unavailable after two minutes."""
        try:
            with trio.fail_after(SETTLE_S):
                for port in self.ports:
                    async with self.connected(port) as connection:
                        while not is_settled(await connection.ask(MeshDocument, "POST", "/api/v1/mesh")):
                            pass    # each answer waits for what the peers have
        except trio.TooSlowError:
            raise Unavailable(f"the mesh did not settle within {SETTLE_S:g} s during the bench") from None


@asynccontextmanager
async def running(nodes: Nodes) -> AsyncIterator[None]:
    """All of them serve and know each other until the block ends. Raises: Unavailable, in a group."""
    async with AsyncExitStack() as stack:
        for port in nodes.ports:
            await stack.enter_async_context(nodes.node(port))
        await nodes.settled()
        yield


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on: peers have to be named before they start."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def is_settled(document: MeshDocument) -> bool:
    """Whether a node has reached all others, and they have what it has."""
    return all(peer.state == "reachable" and not peer.lag_ops for peer in document.peers)
