"""What a mesh costs: processes of this program on loopback, and callers that write through one of them."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.model import rules
from aimem.operations.benchnode import BenchPorts
from aimem.operations.corpus import Corpus
from aimem.operations.latency import Progress
from aimem.operations.meshnodes import SETTLE_S, Nodes, free_ports, running
from aimem.operations.meshroads import PlainRoad, certified_road
from aimem.operations.processes import Program
from aimem.operations.timing import percentile
from aimem.wire import CreateMemory, Health, MeshDocument, SinceAnswer, encode, meshbench

GOAL_NODES: Final = 3
NODES: Final = 4
_CONSISTENCIES: Final = ((2, "quorum"), (3, "majority"), (4, "all"))
_GOAL_WRITERS: Final = (1, 64)
_BULK: Final = 1000
_MISSED: Final = 4
"""A node that is away misses imports for so many times as long as bulk stores are timed for."""
_STORE: Final = "/api/v1/memories/bulk"
_IMPORT: Final = "/api/v1/import"
"""Bulk stores are timed as such; imports give what is to be caught up with, as each of their rows is an op."""
_WARM_WRITES: Final = 20
_SIGNED_BYTES: Final = 96
"""Of each op in the log beside its entries: the hash before it and the signature."""
_NO_MODEL: Final = "with the embedder nothing is measured: there is no model"


async def run_mesh_bench(
    request: meshbench.MeshBenchRequest, make_program: Callable[[int], Program], ports: BenchPorts,
    progress: Progress,
) -> meshbench.MeshBenchReport:
    """Measure acknowledged writes, bulk stores and catching up in meshes of three and four, in a temporary folder.

    Args:
      make_program: this program, with the syncs of its disk slowed by so many milliseconds.
    Raises: InvalidRequest if a figure is out of bounds; Unavailable, in a group, if a node fails.
    """
    rules.bounded(request.seconds, 1, 600, field="seconds")
    for writers in request.writers:
        rules.bounded(writers, 1, 1000, field="writers")
    for delay_ms in request.sync_delays_ms:
        rules.bounded(delay_ms, 0, 1000, field="sync_delay")
    with tempfile.TemporaryDirectory(prefix="ai-memory-bench-") as name:
        bench = _Bench(request, make_program, ports, progress, Path(name))
        await bench.measure_goals()
        for delay_ms in request.sync_delays_ms:
            for tier in request.tiers:
                await bench.measure_rates(tier, delay_ms)
    return bench.report()


class _Bench:
    """Collects figures, one mesh after the other."""

    def __init__(
        self, request: meshbench.MeshBenchRequest, make_program: Callable[[int], Program], ports: BenchPorts,
        progress: Progress, folder: Path,
    ) -> None:
        self._request, self._make_program, self._progress, self._folder = request, make_program, progress, folder
        self._ports = ports
        self._rates: list[meshbench.MeshRate] = []
        self._notes: list[str] = []
        self._bulk_per_s = self._caught_up_per_s = 0.0
        self._caught_up_ops = 0
        self._op_bytes = (0.0, 0.0, 0.0)

    async def measure_goals(self) -> None:
        """Three nodes without an embedder: what the goals are about."""
        nodes = await self._new_nodes("keyword", 0, GOAL_NODES)
        first, second, away = nodes.ports
        async with nodes.node(first), nodes.node(second):
            async with nodes.node(away):
                await nodes.settled()
                await warm(nodes, first)
                for writers in _GOAL_WRITERS:
                    await self._rate(nodes, "keyword", 0, writers, 2, "quorum")
                self._op_bytes = await _bytes_per_op(nodes, first)
                with self._progress("storing in bulk", self._request.seconds) as advance:
                    self._bulk_per_s = await _rows_per_s(nodes, first, _STORE, self._request.seconds)
                    advance(self._request.seconds)
                await nodes.settled()
            with self._progress("storing while a node is away, and letting it catch up", 2) as advance:
                before = await _known(nodes, first)
                await _rows_per_s(nodes, first, _IMPORT, _MISSED * self._request.seconds)
                self._caught_up_ops = await _known(nodes, first) - before
                advance(1)
                self._caught_up_per_s = await _catch_up(nodes, away, self._caught_up_ops, before)
                advance(1)

    async def measure_rates(self, tier: str, delay_ms: int) -> None:
        """Four nodes: every number of writers with every number of nodes that they wait for."""
        nodes = await self._new_nodes(tier, delay_ms, NODES)
        async with running(nodes):
            async with nodes.connected(nodes.ports[0]) as connection:
                health = await connection.ask(Health, "GET", "/api/v1/health")
            if tier == "semantic" and health.mode != "hybrid":
                self._notes = [_NO_MODEL]
                return
            await warm(nodes, nodes.ports[0])
            for needed, word in _CONSISTENCIES:
                for writers in self._request.writers:
                    await self._rate(nodes, tier, delay_ms, writers, needed, word)

    def report(self) -> meshbench.MeshBenchReport:
        """All of it."""
        plain, packed, logged = (round(size, 1) for size in self._op_bytes)
        goals = self._goals()
        return meshbench.MeshBenchReport(
            seconds=self._request.seconds, tls=self._request.tls, rates=tuple(self._rates),
            bulk_rows_per_s=round(self._bulk_per_s, 1),
            catch_up_ops_per_s=round(self._caught_up_per_s, 1), caught_up_ops=self._caught_up_ops, bytes_per_op=plain,
            packed_bytes_per_op=packed, log_bytes_per_op=logged, goals=goals,
            met={goal.figure: goal.is_met for goal in goals}, notes=tuple(self._notes),
        )

    def _goals(self) -> tuple[meshbench.MeshGoal, ...]:
        alone, many = self._rates[: len(_GOAL_WRITERS)]

        def goal(figure: str, label: str, wanted: float, measured: float) -> meshbench.MeshGoal:
            bound = "at_most" if figure.endswith("_ms") else "at_least"
            return meshbench.MeshGoal(
                figure=figure, label=label, bound=bound, goal=wanted, measured=round(measured, 1)  # type: ignore[arg-type]
            )

        return (
            goal("one_writer_p50_ms", "one writer, 2 of 3, p50 ms", 15.0, alone.p50_ms),
            goal("one_writer_p99_ms", "one writer, 2 of 3, p99 ms", 75.0, alone.p99_ms),
            goal("writes_per_s", "64 writers, 2 of 3, acked per s", 300.0, many.per_s),
            goal("bulk_rows_per_s", "bulk rows per s", 3000.0, self._bulk_per_s),
            goal("catch_up_ops_per_s", "caught up, ops per s", 5000.0, self._caught_up_per_s),
        )

    async def _new_nodes(self, tier: str, delay_ms: int, count: int) -> Nodes:
        """Nodes in a folder of their own; none is started."""
        folder, program = Path(tempfile.mkdtemp(dir=self._folder)), self._make_program(delay_ms)
        return await new_nodes(folder, program, tier, count, self._ports if self._request.tls else None)

    async def _rate(self, nodes: Nodes, tier: str, delay_ms: int, writers: int, needed: int, word: str) -> None:
        count, seconds = len(nodes.ports), self._request.seconds
        beside = (", embedding" if tier == "semantic" else "") + (f", sync {delay_ms} ms slower" if delay_ms else "")
        label = f"{writers} writer{'s' if writers > 1 else ''}, {needed} of {count}{beside}"
        with self._progress(label, seconds) as advance:
            spent, failed = await write_rows(
                nodes, nodes.ports[:1], writers, word, seconds, f"{len(self._rates)}"
            )
            advance(seconds)
        name = f"write_{needed}_of_{count}_{writers}" + ("_embedding" if tier == "semantic" else "")
        self._rates.append(meshbench.MeshRate(
            operation=name + (f"_sync_{delay_ms}ms" if delay_ms else ""), label=label, nodes=count, needed=needed,
            writers=writers, tier=tier, sync_delay_ms=delay_ms, per_s=round(len(spent) / seconds, 1),
            p50_ms=round(percentile(spent, 50), 2) if spent else 0.0,
            p99_ms=round(percentile(spent, 99), 2) if spent else 0.0, failed=failed,
        ))
        await nodes.settled()      # what this row left to do must not slow the next


async def new_nodes(folder: Path, program: Program, tier: str, count: int, papers: BenchPorts | None) -> Nodes:
    """Nodes in a folder of their own; none is started.

    Args:
      papers: what certificates are made with; None for a mesh without any.
    """
    ports = free_ports(count)
    names = [str(port) for port in ports]
    road = PlainRoad() if papers is None else await certified_road(folder, names, papers)
    return Nodes(folder, program, tier, ports, road)


async def write_rows(
    nodes: Nodes, ports: Sequence[int], writers: int, word: str, seconds: float, series: str
) -> tuple[list[float], int]:
    """Let so many callers write one row after the other.

    Args:
      ports: of the nodes at which they take turns; each stays at one.
      word: how many nodes a write waits for, as in X-Consistency.
    Returns: the milliseconds of each write, and the failures.
    """
    corpus, spent, failed = Corpus(), list[float](), 0
    connected_count, all_connected = 0, trio.Event()

    async def write(writer: int) -> None:
        nonlocal connected_count, failed
        number = writer
        async with nodes.connected(ports[writer % len(ports)]) as connection:
            # The clock runs from when all are connected: handshakes are not what is measured.
            connected_count += 1
            if connected_count == writers:
                all_connected.set()
            await all_connected.wait()
            until = trio.current_time() + seconds
            while (began := trio.current_time()) < until:
                row = CreateMemory(
                    title=f"series {series}, {number}", content=corpus.turn(number).text, namespace="bench"
                )
                try:
                    await connection.ask(
                        dict, "POST", "/api/v1/memories", encode(row), f"X-Consistency: {word}\r\n"
                    )
                    spent.append(1000.0 * (trio.current_time() - began))
                except Unavailable:
                    failed += 1
                number += writers

    async with trio.open_nursery() as nursery:
        for writer in range(writers):
            nursery.start_soon(write, writer)
    return spent, failed


async def warm(nodes: Nodes, port: int) -> None:
    """Write a little: the first writes open connections between the nodes and load what is loaded late."""
    async with nodes.connected(port) as connection:
        for number in range(_WARM_WRITES):
            row = CreateMemory(title=f"warm {number}", content="warm", namespace="bench")
            await connection.ask(dict, "POST", "/api/v1/memories", encode(row), "X-Consistency: all\r\n")


async def _rows_per_s(nodes: Nodes, port: int, path: str, seconds: float) -> float:
    """Rows that one caller has stored by the thousand, acknowledged by two nodes."""
    # Made before the clock runs: to make a text takes a fifth of what it takes two nodes to store it.
    corpus = Corpus()
    texts = [corpus.turn(number).text for number in range(_BULK)]
    began, count = trio.current_time(), 0
    title = f"bulk {int(began) % 10_000}"
    async with nodes.connected(port) as connection:
        while trio.current_time() < began + seconds:
            rows = [
                CreateMemory(title=f"{title} {n}", content=f"{n}: {text}", namespace="bench")
                for n, text in enumerate(texts, count)
            ]
            await connection.ask(dict, "POST", path, encode({"memories": rows}))
            count += _BULK
    return count / (trio.current_time() - began)


async def _bytes_per_op(nodes: Nodes, port: int) -> tuple[float, float, float]:
    """Of single stores: as they travel, packed in a batch, and as the log keeps them."""
    async with nodes.connected(port) as connection:
        page = await connection.ask(SinceAnswer, "GET", "/api/v1/sync/since?clock=10&limit=200")
    body, count = encode(page.ops), max(1, len(page.ops))
    kept = sum(len(entry.encode()) for op in page.ops for entry in op.entries)
    return len(body) / count, len(gzip.compress(body, 1)) / count, kept / count + _SIGNED_BYTES


async def _known(nodes: Nodes, port: int) -> int:
    """How many writes a node knows."""
    async with nodes.connected(port) as connection:
        return sum((await connection.ask(MeshDocument, "GET", "/api/v1/mesh")).vector.values())


async def _catch_up(nodes: Nodes, port: int, missed: int, before: int) -> float:
    """Writes a second that a node takes when it comes back, from the moment at which it serves."""
    async with nodes.node(port):
        began = trio.current_time()
        with trio.fail_after(SETTLE_S):
            async with nodes.connected(port) as connection:
                known = 0
                while known < before + missed:      # each answer waits for what the peers have
                    known = sum((await connection.ask(MeshDocument, "POST", "/api/v1/mesh")).vector.values())
        return missed / (trio.current_time() - began)
