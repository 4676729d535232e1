"""What a write costs against the number of nodes: processes of this program on loopback, as far as the machine goes."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from aimem.errors import Unavailable
from aimem.model import rules
from aimem.operations.benchnode import BenchPorts
from aimem.operations.latency import Progress
from aimem.operations.meshbench import new_nodes, warm, write_rows
from aimem.operations.meshnodes import Nodes, running
from aimem.operations.processes import Program
from aimem.operations.timing import available_mb, percentile, processor_s, resident_mb
from aimem.wire import meshbench

_NODE_MB: Final = 150
"""What a daemon takes, with room for what it keeps of the bench."""
_REQUESTS: Final = "ai_memory_mesh_requests_total"
_BYTES: Final = "ai_memory_mesh_bytes_total"
_TAIL_S: Final = 2.0
"""After this nothing more is said of a write."""
_SAMPLE: Final = re.compile(rf'^({_REQUESTS}|{_BYTES})\{{[^}}]*route="push"[^}}]*\}} (\S+)$', re.MULTILINE)


async def run_scale_bench(
    request: meshbench.ScaleRequest, program: Program, ports: BenchPorts, progress: Progress
) -> meshbench.ScaleReport:
    """Measure acknowledged writes in meshes of growing size, one after the other, in a temporary folder.

    Raises: InvalidRequest if a figure is out of bounds; Unavailable, in a group, if a node fails.
    """
    rules.bounded(request.seconds, 1, 600, field="seconds")
    for writers in request.writers:
        rules.bounded(writers, 1, 1000, field="writers")
    for count in request.nodes:
        rules.bounded(count, 2, meshbench.SCALE_NODES_MAX, field="nodes")
    memory_mb, rows, notes = int(available_mb()), list[meshbench.ScaleRow](), list[str]()
    for count in request.nodes:
        if 0 < memory_mb < count * _NODE_MB:
            notes.append(f"{count} nodes were left out: they may take {count * _NODE_MB} MiB, and {memory_mb} are free")
            continue
        with tempfile.TemporaryDirectory(prefix="ai-memory-bench-") as name:
            nodes = await new_nodes(Path(name), program, "keyword", count, ports if request.tls else None)
            async with running(nodes):
                with contextlib.suppress(Unavailable):      # a node that is slow to begin is none to give up for
                    await warm(nodes, nodes.ports[0])
                rows += await _measure(nodes, request, progress)
    return meshbench.ScaleReport(
        seconds=request.seconds, tls=request.tls, cores=len(os.sched_getaffinity(0)), memory_mb=memory_mb,
        rows=tuple(rows), notes=tuple(notes),
    )


class _Spent(Struct, frozen=True):
    """What the daemons of a mesh have used so far, all together."""

    requests: float
    wire_bytes: float
    processor_s: float


async def _measure(nodes: Nodes, request: meshbench.ScaleRequest, progress: Progress) -> list[meshbench.ScaleRow]:
    """The rows of one mesh."""
    majority = len(nodes.ports) // 2 + 1
    wishes = {2: "quorum", majority: "majority"}
    rows = []
    for writers in request.writers:
        for needed, word in sorted(wishes.items()):
            label = f"{len(nodes.ports)} nodes, {writers} writer{'s' if writers > 1 else ''}, {needed} acknowledge"
            with progress(label, request.seconds) as advance:
                rows.append(await _row(nodes, writers, (needed, word), request.seconds))
                advance(request.seconds)
            await nodes.settled()
    return rows


async def _row(nodes: Nodes, writers: int, wish: tuple[int, str], seconds: float) -> meshbench.ScaleRow:
    needed, word = wish
    before = await _spent(nodes)
    spent_ms, failed = await write_rows(nodes, nodes.ports, writers, word, seconds, f"{needed} {writers}")
    await trio.sleep(_TAIL_S)
    after = await _spent(nodes)
    count = max(1, len(spent_ms))
    return meshbench.ScaleRow(
        nodes=len(nodes.ports), needed=needed, writers=writers, per_s=round(len(spent_ms) / seconds, 1),
        p50_ms=round(percentile(spent_ms, 50), 2) if spent_ms else 0.0,
        p99_ms=round(percentile(spent_ms, 99), 2) if spent_ms else 0.0, failed=failed,
        requests=round((after.requests - before.requests) / count, 2),
        wire_bytes=round((after.wire_bytes - before.wire_bytes) / count, 1),
        processor_ms=round(1000.0 * (after.processor_s - before.processor_s) / count, 2),
        node_mb=round(sum(map(resident_mb, nodes.pids.values())) / len(nodes.ports), 1),
    )


async def _spent(nodes: Nodes) -> _Spent:
    requests = wire_bytes = 0.0
    used_s = sum(map(processor_s, nodes.pids.values()))     # before the daemons are asked for the rest
    for port in nodes.ports:
        async with nodes.connected(port) as connection:
            metrics = (await connection.fetch("GET", "/metrics")).decode()
        for name, value in _SAMPLE.findall(metrics):
            requests += float(value) if name == _REQUESTS else 0.0
            wire_bytes += float(value) if name == _BYTES else 0.0
    return _Spent(requests, wire_bytes, used_s)
