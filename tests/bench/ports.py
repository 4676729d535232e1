"""The machine's ports, for benches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from aimem.operations import BenchPorts
from aimem.ports import delayed_threads, system_chance, system_clock, system_files, trio_threads
from aimem.search import open_minilm


def bench_ports() -> BenchPorts:
    """As `ai-memory bench` has them."""
    return BenchPorts(
        clock=system_clock(), chance=system_chance(), threads=trio_threads(), files=system_files(),
        delayed_threads=delayed_threads, open_embedder=partial(open_minilm, None),
    )


@contextmanager
def silent(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Progress that nobody sees."""
    yield lambda _: None
