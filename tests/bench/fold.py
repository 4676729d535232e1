"""`python -m tests.bench.fold`: what an op costs on its way from a bulk store into another node, in processor time.

Everything runs in one thread of this process: a bulk door stores rows, then their ops are read from the log, packed as
they travel, unpacked, judged and folded into a second database, as many at a time as one exchange carries. Processor
time says how fast that can go at best; on a busy machine the clock says nothing.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

from aimem import service
from aimem.model import Dot
from aimem.operations.corpus import Corpus
from aimem.replication import examine
from aimem.service import Node
from aimem.store import Store, inbound, outbound
from aimem.wire import (
    EXCHANGE_MAX_BYTES,
    EXCHANGE_MAX_OPS,
    PROTOCOL,
    SYNC_BODY_MAX_BYTES,
    BulkMemories,
    CreateMemory,
    ExchangeRequest,
    decode_body,
    encode,
    op_in,
    op_out,
    packing,
)
from tests.nodes import InlineThreads, open_node, open_store, principal

BULK = 1000


class Meter:
    """Adds up processor time by stage."""

    def __init__(self, profiler: cProfile.Profile | None) -> None:
        self.spent_s: dict[str, float] = defaultdict(float)
        self.counted: dict[str, int] = defaultdict(int)
        self.logged_bytes = self.wire_bytes = 0
        self.profiler = profiler

    @contextmanager
    def stage(self, name: str, count: int, *, profiled: str = "") -> Iterator[None]:
        """Count what the block takes for so many rows."""
        if self.profiler is not None and profiled == name:
            self.profiler.enable()
        began = time.process_time()
        try:
            yield
        finally:
            self.spent_s[name] += time.process_time() - began
            self.counted[name] += count
            if self.profiler is not None:
                self.profiler.disable()

    def table(self) -> str:
        """One line a stage: microseconds a row, and how many rows a second one core can do."""
        lines = []
        for name, spent_s in self.spent_s.items():
            count = self.counted[name]
            lines.append(f"{name:<34}{1e6 * spent_s / count:>10.1f} us{count / spent_s:>12.0f}/s")
        shipped = self.counted["encode"]
        lines.append(f"bytes a row: {self.logged_bytes / shipped:.0f} in the log, {self.wire_bytes / shipped:.0f} sent")
        return "\n".join(lines)


async def fill(node: Node, corpus: Corpus, first: int, meter: Meter, profiled: str) -> None:
    """Store rows by the bulk door."""
    numbers = range(first, first + BULK)
    rows = [CreateMemory(title=f"bulk {n}", content=corpus.turn(n).text, namespace="bench") for n in numbers]
    body = encode({"memories": rows})
    with meter.stage("bulk store, at its origin", BULK, profiled=profiled):
        request = decode_body(BulkMemories, body)
        answer = await service.remember_many(node, principal(), request)
    assert answer.created == BULK, answer.errors[:3]


async def ship(node: Node, store: Store, meter: Meter, profiled: str) -> None:
    """One exchange of as many ops as it may carry, of those that the second store lacks. Counted are rows."""
    known = store.log.vector
    with meter.stage("read from the log", 0, profiled=profiled):
        page = await node.store.read(outbound.lacking, known, EXCHANGE_MAX_OPS, EXCHANGE_MAX_BYTES)
    count = sum(len(op.entries) for op in page.ops)     # rows: new ones of a bulk store share ops
    meter.counted["read from the log"] += count
    with meter.stage("encode", count, profiled=profiled):
        body = encode(ExchangeRequest(
            protocol=PROTOCOL, node="origin", stream=node.store.stream, ops=tuple(map(op_out, page.ops))
        ))
    with meter.stage("gzip", count, profiled=profiled):
        packed = packing.gzipped(body) or body
    with meter.stage("gunzip", count, profiled=profiled):
        plain = packing.unzipped(packed, SYNC_BODY_MAX_BYTES) if packed is not body else body
    with meter.stage("decode", count, profiled=profiled):
        ops = tuple(map(op_in, decode_body(ExchangeRequest, plain).ops))
    with meter.stage("take: judge, log, fold, index", count, profiled=profiled):
        received = (await store.write(inbound.take, ops, partial(examine, writer=node.store.stream))).value
    assert received.taken == len(page.ops), received
    meter.logged_bytes += sum(len(data) for op in ops for data in op.entries)
    meter.wire_bytes += len(packed)


async def measure(known: int, rows: int, profiled: str) -> tuple[Meter, cProfile.Profile | None]:
    """Bring both databases to `known` rows, then measure `rows` more."""
    corpus, profiler = Corpus(), cProfile.Profile() if profiled else None
    with tempfile.TemporaryDirectory(prefix="aimem-fold-") as folder:
        origin = open_node(Path(folder) / "origin.db", threads=InlineThreads())
        other = open_store(Path(folder) / "other.db", threads=InlineThreads())
        async with origin as node, other as store:
            spans = (Meter(None), range(0, known, BULK)), (Meter(profiler), range(known, known + rows, BULK))
            for meter, span in spans:
                for first in span:
                    await fill(node, corpus, first, meter, profiled)
                while not store.log.covers([_last(node.store)]):
                    await ship(node, store, meter, profiled)
    return meter, profiler


def _last(store: Store) -> Dot:
    """What it wrote last."""
    return Dot(store.stream, store.log.vector[store.stream])


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fold", description=__doc__)
    parser.add_argument("--known", type=int, default=10_000, help="rows that both databases hold already")
    parser.add_argument("--rows", type=int, default=4_000, help="rows that are measured")
    parser.add_argument("--profile", default="", help="the stage to profile")
    options = parser.parse_args(arguments)
    meter, profiler = trio.run(measure, options.known, options.rows, options.profile)
    print(meter.table())
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
