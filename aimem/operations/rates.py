"""How many stores a second callers get done together: what group commit gains, above all where syncs are slow."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import trio
from msgspec.structs import replace

from aimem.operations.benchnode import NAMESPACE, WHO, BenchPorts, open_bench_node
from aimem.operations.corpus import Corpus
from aimem.operations.latency import Progress
from aimem.service import Node, remember
from aimem.wire import BenchRate, BenchRequest, CreateMemory

_CALLERS: Final = (1, 64)
_DELAYS_MS: Final = (0.0, 2.0)
_STORES_MAX: Final = 4_000


async def store_rates(
    folder: Path, ports: BenchPorts, request: BenchRequest, progress: Progress
) -> tuple[BenchRate, ...]:
    """Stores a second by one caller and by many, with and without a slower sync; at one delay, in one run."""
    corpus, rates = Corpus(), []
    for delay_ms in _DELAYS_MS:
        slowed = replace(ports, threads=ports.delayed_threads(delay_ms / 1_000)) if delay_ms else ports
        alone_per_s = 0.0
        async with open_bench_node(folder / f"rates-{delay_ms:.0f}.db", slowed, None) as node:
            for callers in _CALLERS:
                # Many callers get more done, and the first groups are small: give them more to do.
                count = callers * max(1, min(request.iterations, _STORES_MAX // callers))
                with progress(f"storing from {callers}", count) as advance:
                    per_s = count / await _store_all(node, corpus, callers, count)
                    advance(count)
                alone_per_s = alone_per_s or per_s
                rates.append(_rate(callers, delay_ms, per_s, alone_per_s))
    return tuple(rates)


def _rate(callers: int, delay_ms: float, per_s: float, alone_per_s: float) -> BenchRate:
    slow = f", sync {delay_ms:.0f} ms slower" if delay_ms else ""
    return BenchRate(
        operation=f"store_{callers}" + (f"_sync_{delay_ms:.0f}ms" if delay_ms else ""),
        label=f"{callers} caller{'s' if callers > 1 else ''}{slow}", callers=callers, sync_delay_ms=delay_ms,
        per_s=round(per_s, 1), gain=round(per_s / alone_per_s, 2),
    )


async def _store_all(node: Node, corpus: Corpus, callers: int, count: int) -> float:
    """Seconds that so many stores took, dealt out evenly to the callers."""
    first = callers * _STORES_MAX   # each round has texts of its own: a title that is there would be updated
    numbers = range(first, first + count)
    waiting = iter([
        CreateMemory(title=corpus.title(number), content=corpus.turn(number).text, namespace=NAMESPACE)
        for number in numbers
    ])

    async def caller() -> None:
        for request in waiting:
            await remember(node, WHO, request)

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    return trio.current_time() - began
