"""The bench: everything that is measured, in one report."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import msgspec

from aimem.model import rules
from aimem.operations.benchnode import BenchPorts
from aimem.operations.latency import Progress, large_recall, question_embedding, small_operations
from aimem.operations.processes import Program, cold_starts, daemon_memory
from aimem.operations.rates import store_rates
from aimem.operations.timing import regressions
from aimem.operations.walking import graph_operations
from aimem.wire import BenchReport, BenchRequest

ITERATIONS_MAX: Final = 100_000
WARMUP_MAX: Final = 10_000
ROWS_MAX: Final = 2_000_000

_NO_MODEL: Final = "embed_question, cold_recall_semantic and a daemon's memory are left out: there is no model"


async def run_bench(request: BenchRequest, ports: BenchPorts, program: Program, progress: Progress) -> BenchReport:
    """Measure operations, throughput, memory and cold starts, on databases in a temporary folder.

    Args:
      program: this program, for what only a process of its own can tell.
      progress: told of each part as it goes on.

    Raises: InvalidRequest if the rows are out of bounds; Unavailable if a command that is measured fails.
    """
    rules.bounded(request.rows, 1, ROWS_MAX, field="rows")
    request = msgspec.structs.replace(
        request, iterations=min(max(request.iterations, 1), ITERATIONS_MAX),
        warmup=min(max(request.warmup, 0), WARMUP_MAX),
    )
    with tempfile.TemporaryDirectory(prefix="ai-memory-bench-") as name:
        folder = Path(name)
        # Processes first: the memory of this one, which is about to grow, must not slow them.
        cold = await cold_starts(folder, ports, program, request, progress)
        has_model = any(result.operation == "cold_recall_semantic" for result in cold)
        sizes = await daemon_memory(folder, ports, program, request, progress) if has_model else ()
        small = await small_operations(folder, ports, request, progress)
        graph = await graph_operations(folder, ports, request, progress)
        rates = await store_rates(folder, ports, request, progress)
        large, here = await large_recall(folder, ports, request, progress)
    asked = await question_embedding(ports, request, progress)
    notes = () if has_model else (_NO_MODEL,)
    results = (*small, *graph, *large, *asked, *cold)
    before = request.baseline
    return BenchReport(
        iterations=request.iterations, warmup=request.warmup, results=results,
        regressions=None if before is None
        else regressions(results, before.results, threshold_pct=request.regression_threshold),
        rows=request.rows, rates=rates, sizes=(*sizes, here), notes=notes,
    )
