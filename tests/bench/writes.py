"""`python -m tests.bench.writes`: what group commit gains where every sync takes 2 ms longer.

Writes a second of one caller and of 64: first `store.write` in this process, then POST /api/v1/memories over TCP, with
the daemon in a process of its own and its clients in another (raw sockets that are kept open, so that the clients cost
little). Ratios hold on a busy machine; the figures themselves do not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio
from msgspec.structs import replace

from aimem.config import ApiConfig, Config, FeatureTier, SearchConfig, StoreConfig
from aimem.model import AgentId, Lifetimes
from aimem.ports import delayed_threads, trio_threads
from aimem.service.drafts import creation_fields, draft_of
from aimem.store import MEMORY, Store, Transaction
from aimem.supervisor import run_daemon, system_ports
from aimem.wire import CreateMemory
from tests.nodes import open_store, principal
from tests.system.processes import Process, started

SYNC_S = 0.002
CALLERS = (1, 64)
TEXT = "We ship to production on Tuesdays, never before a holiday, and somebody stays until the graphs are flat."


async def write_rates(writes: int, sync_s: float) -> dict[int, float]:
    """Callers -> `store.write` a second."""
    rates = {}
    with tempfile.TemporaryDirectory(prefix="aimem-writes-") as folder:
        for callers in CALLERS:
            threads = delayed_threads(sync_s) if sync_s else trio_threads()
            async with open_store(Path(folder) / f"{callers}.db", threads=threads) as store:
                rates[callers] = await write_rate(store, callers, writes)
    return rates


async def write_rate(store: Store, callers: int, writes: int) -> float:
    numbers = iter(range(writes * callers))

    async def caller() -> None:
        for number in numbers:
            await store.write(put, f"memory {number}")

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return writes * callers / (trio.current_time() - began)


def put(transaction: Transaction, key: str) -> None:
    request = CreateMemory(title=key, content=TEXT, namespace="bench")
    draft = draft_of(request, principal(), transaction.now, Lifetimes())
    fields = creation_fields(draft, key, transaction.now)
    transaction.emit("store", [transaction.create(MEMORY, key, AgentId("bench"), fields)])


async def http_rates(writes: int, sync_s: float) -> dict[int, float]:
    """Callers -> POST /api/v1/memories a second."""
    rates = {}
    this = [sys.executable, "-m", "tests.bench.writes"]
    with tempfile.TemporaryDirectory(prefix="aimem-writes-") as folder:
        for callers in CALLERS:
            db = str(Path(folder) / f"{callers}.db")
            async with started([*this, "--serve", db, "--sync-ms", str(1_000 * sync_s)]) as server:
                port = (await server.stderr_line("listening on")).split("http://127.0.0.1:")[1].split()[0].rstrip(",")
                words = [*this, "--clients", str(callers), "--port", port, "--writes", str(writes)]
                async with started(words) as clients:
                    rates[callers] = json.loads(await clients_said(clients))
                await server.stop()
    return rates


async def clients_said(clients: Process) -> str:
    """The line that the clients end with."""
    return (await clients.stderr_line("per_s=")).partition("per_s=")[2]


async def serve(db: Path, sync_s: float) -> None:
    """A daemon whose disk is slow; it says where it listens."""
    config = Config(
        store=StoreConfig(db=db), api=ApiConfig(port=0), search=SearchConfig(tier=FeatureTier.KEYWORD)
    )
    ports = system_ports()
    if sync_s:
        ports = replace(ports, threads=delayed_threads(sync_s))
    await run_daemon(config, ports=ports, environ=os.environ)


async def ask_all(callers: int, port: int, writes: int) -> None:
    """So many clients, each on a connection of its own."""
    numbers = iter(range(writes * callers))
    streams = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(callers)]
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(partial(post_all, stream, numbers))
    print(f"per_s={writes * callers / (trio.current_time() - began)}", file=sys.stderr, flush=True)


async def post_all(stream: trio.SocketStream, numbers: Sequence[int]) -> None:
    for number in numbers:
        # Without a title, for which similar memories would be looked up: that is a read, and here writes are measured.
        body = json.dumps({"content": f"{number:x}. {TEXT}", "namespace": "bench"}).encode()
        await stream.send_all(
            b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"X-Agent-Id: bench\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < content_length(answer):
            answer += await stream.receive_some()
        assert answer.startswith(b"HTTP/1.1 201"), answer


def content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def table(rows: dict[str, dict[int, float]]) -> str:
    head = f"{'':<34}" + "".join(f"{callers:>5} caller{'s' if callers > 1 else ' '}" for callers in CALLERS)
    lines = [head + f"{'gain':>8}"]
    for name, rates in rows.items():
        cells = "".join(f"{rates[callers]:>10.0f}/s" for callers in CALLERS)
        lines.append(f"{name:<34}{cells}{rates[CALLERS[1]] / rates[CALLERS[0]]:>7.1f}x")
    return "\n".join(lines)


async def compare(writes: int) -> dict[str, dict[int, float]]:
    return {
        "store.write, sync 2 ms slower": await write_rates(writes, SYNC_S),
        "store.write": await write_rates(writes, 0),
        "POST /memories, sync 2 ms slower": await http_rates(writes, SYNC_S),
        "POST /memories": await http_rates(writes, 0),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.writes", description=__doc__)
    parser.add_argument("--writes", type=int, default=100, help="of each caller")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--sync-ms", type=float, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        trio.run(serve, options.serve, options.sync_ms / 1_000)
    elif options.clients:
        trio.run(ask_all, options.clients, options.port, options.writes)
    else:
        print(table(trio.run(compare, options.writes)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
