"""What a mesh costs: four processes of this program on loopback, and callers that write through one of them."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE  # noqa: TID251 - a bench starts this very program, as its user would
from typing import Final, TypeVar

import trio

from aimem.errors import Unavailable
from aimem.model import rules
from aimem.operations.corpus import Corpus
from aimem.operations.latency import Progress
from aimem.operations.processes import Program, drain, listening
from aimem.operations.timing import percentile
from aimem.wire import (
    CreateMemory,
    MeshDocument,
    SinceAnswer,
    decode_body,
    encode,
    meshbench,
)

T = TypeVar("T")

NODES: Final = 4
_CONSISTENCIES: Final = ((2, "quorum"), (3, "majority"), (4, "all"))
_BULK: Final = 1000
_BULKS: Final = 3
_SETTLE_S: Final = 120.0
_NO_SYNC: Final = (
    "a slower sync is not injected into processes of their own; `ai-memory bench` tells what it costs one node"
)


async def run_mesh_bench(
    request: meshbench.MeshBenchRequest, program: Program, progress: Progress
) -> meshbench.MeshBenchReport:
    """Measure acknowledged writes, bulk stores and catching up in a mesh of four, in a temporary folder.

    Raises: InvalidRequest if a figure is out of bounds; Unavailable, in a group, if a node fails.
    """
    rules.bounded(request.seconds, 1, 600, field="seconds")
    for writers in request.writers:
        rules.bounded(writers, 1, 1000, field="writers")
    with tempfile.TemporaryDirectory(prefix="ai-memory-bench-") as name:
        async with _open_mesh(Path(name), program, request.tier) as ports:
            rates = []
            for needed, word in _CONSISTENCIES:
                for writers in request.writers:
                    with progress(f"writing from {writers}, {needed} of {NODES}", request.seconds) as advance:
                        rates.append(await _rate(ports[0], writers, needed, word, request.seconds))
                        advance(request.seconds)
            with progress("storing in bulk", _BULKS) as advance:
                bulk = await _bulk_rows_per_s(ports[0], advance)
            op_bytes = await _bytes_per_op(ports[0])
            with progress("catching up", 1) as advance:
                caught_up = await _catch_up(Path(name), program, request.tier, ports)
                advance(1)
    return meshbench.MeshBenchReport(
        nodes=NODES, seconds=request.seconds, tier=request.tier, rates=tuple(rates), bulk_rows_per_s=round(bulk, 1),
        catch_up_ops_per_s=round(caught_up, 1), bytes_per_op=round(op_bytes, 1), notes=(_NO_SYNC,),
    )


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on: peers have to be named before they start."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@asynccontextmanager
async def _open_mesh(folder: Path, program: Program, tier: str) -> AsyncIterator[list[int]]:
    ports = _free_ports(NODES)
    async with AsyncExitStack() as running:
        for port in ports:
            peers = [other for other in ports if other != port]
            await running.enter_async_context(_node(folder / f"{port}.db", program, tier, port, peers))
        await _settled(ports)
        yield ports


@asynccontextmanager
async def _node(db: Path, program: Program, tier: str, port: int, peers: list[int]) -> AsyncIterator[None]:
    named = ",".join(f"http://127.0.0.1:{peer}" for peer in peers)
    words = ("serve", "--port", str(port), "--quorum-peers", named, "--quorum-writes", "2", "--node-name", str(port))
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(partial(
            trio.run_process, program.line(db, *words), stdin=b"", stdout=PIPE, stderr=PIPE, check=False,
            env=program.surroundings(tier),
        ))
        try:
            await listening(process)
            nursery.start_soon(drain, process)
            yield
        finally:
            process.terminate()


class _Connection:
    """One kept-alive connection: no client is needed to time answers, and none is to be timed with them."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream, self._buffer = stream, bytearray()

    async def ask(self, kind: type[T], method: str, path: str, body: bytes = b"", headers: str = "") -> T:
        """One request. Raises: Unavailable if it is refused."""
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
            raise Unavailable(f"{path} was refused during the bench: {content[:200].decode(errors='replace')}")
        return decode_body(kind, content)

    async def _more(self) -> None:
        data = await self._stream.receive_some()
        if not data:
            raise Unavailable("a node closed its connection during the bench")
        self._buffer += data


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[_Connection]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield _Connection(stream)


async def _rate(port: int, writers: int, needed: int, word: str, seconds: float) -> meshbench.MeshRate:
    """Writes that so many callers get acknowledged in a while, and how long each took."""
    corpus, spent, failed = Corpus(), list[float](), 0

    async def write(writer: int, until: float) -> None:
        nonlocal failed
        number = writer
        async with _connected(port) as connection:
            while (began := trio.current_time()) < until:
                title = f"{needed} of {NODES}, {writers} writers, {number}"
                body = encode(CreateMemory(title=title, content=corpus.turn(number).text, namespace="bench"))
                try:
                    await connection.ask(dict, "POST", "/api/v1/memories", body, f"X-Consistency: {word}\r\n")
                    spent.append(1000.0 * (trio.current_time() - began))
                except Unavailable:
                    failed += 1
                number += writers

    until = trio.current_time() + seconds
    async with trio.open_nursery() as nursery:
        for writer in range(writers):
            nursery.start_soon(write, writer, until)
    if not spent:
        raise Unavailable(f"no write of {writers} writers was acknowledged by {needed} of {NODES} nodes")
    return meshbench.MeshRate(
        operation=f"write_{needed}_of_{NODES}_{writers}", label=f"{writers} writers, {needed} of {NODES}",
        writers=writers, needed=needed, per_s=round(len(spent) / seconds, 1), p50_ms=round(percentile(spent, 50), 2),
        p99_ms=round(percentile(spent, 99), 2), failed=failed,
    )


async def _bulk_rows_per_s(port: int, advance: Callable[[int], None]) -> float:
    corpus, began = Corpus(), trio.current_time()
    async with _connected(port) as connection:
        for turn in range(_BULKS):
            numbers = range(turn * _BULK, (turn + 1) * _BULK)
            rows = [
                CreateMemory(title=f"bulk {n}", content=corpus.turn(n).text, namespace="bench") for n in numbers
            ]
            body = encode({"memories": rows})
            await connection.ask(dict, "POST", "/api/v1/memories/bulk", body)
            advance(1)
    return _BULK * _BULKS / (trio.current_time() - began)


async def _bytes_per_op(port: int) -> float:
    async with _connected(port) as connection:
        page = await connection.ask(SinceAnswer, "GET", "/api/v1/sync/since?clock=10&limit=200")
    return len(encode(page.ops)) / max(1, len(page.ops))


async def _catch_up(folder: Path, program: Program, tier: str, ports: list[int]) -> float:
    """Ops a second that a node with an empty database takes from the others."""
    await _settled(ports)
    async with _connected(ports[0]) as connection:
        document = await connection.ask(MeshDocument, "GET", "/api/v1/mesh")
    known = sum(document.vector.values())
    [port] = _free_ports(1)
    async with _node(folder / "new.db", program, tier, port, ports):
        began = trio.current_time()
        async with _connected(port) as connection:
            with trio.fail_after(_SETTLE_S):
                while True:
                    there = await connection.ask(MeshDocument, "POST", "/api/v1/mesh")
                    if sum(there.vector.values()) >= known:
                        return known / (trio.current_time() - began)


async def _settled(ports: list[int]) -> None:
    """Wait until every node has what every other has."""
    try:
        with trio.fail_after(_SETTLE_S):
            for port in ports:
                async with _connected(port) as connection:
                    while True:
                        document = await connection.ask(MeshDocument, "POST", "/api/v1/mesh")
                        if all(peer.state == "reachable" and not peer.lag_ops for peer in document.peers):
                            break
    except trio.TooSlowError:
        raise Unavailable(f"the mesh did not settle within {_SETTLE_S:g} s during the bench") from None
