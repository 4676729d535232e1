"""`python -m tests.bench.recall --rows 100000`: what a recall's time is spent on, stage by stage.

A stage is a read of the store, or a call of the recaller; `rest` is everything else (parsing, fusion, boosts, wire
values, waiting for a thread). `--db FILE` keeps the database, so that a second run only opens it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio
from msgspec import Struct

from aimem.model import Instant, format_instant
from aimem.operations.benchnode import NAMESPACE, WHO, embed_all, fill, open_bench_node
from aimem.operations.corpus import Corpus
from aimem.ports import Connection, Threads
from aimem.search import ClusteredEmbedder, open_minilm
from aimem.service import Node, index_status, recall, stats
from aimem.wire import RecallRequest
from tests.bench.ports import bench_ports

SMALL_NAMESPACE, SMALL_ROWS = "small", 20
CHILD_NAMESPACE = f"{NAMESPACE}/child"
WARMUP = 20


class Spent(Struct):
    """Seconds: by the clock on the wall, and of processors."""

    wall: float = 0.0
    processor: float = 0.0


_stage: ContextVar[Spent | None] = ContextVar("stage", default=None)
"""Where a thread's work counts; unset for what others do meanwhile, such as the indexer."""


class CountingThreads:
    """Threads that count the processor time of their work."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self.is_late = threads.is_late

    async def run(self, fn: Callable[[], Any], *, limiter: trio.CapacityLimiter) -> Any:
        """As the port has it."""
        stage = _stage.get()
        return await self._threads.run(fn if stage is None else partial(self._counted, fn, stage), limiter=limiter)

    def _counted(self, fn: Callable[[], Any], stage: Spent) -> Any:
        began = time.thread_time()
        try:
            return fn()
        finally:
            stage.processor += time.thread_time() - began


class Stages:
    """What one recall spent on each of its stages; two may run at once."""

    def __init__(self, node: Node) -> None:
        self.now: defaultdict[str, Spent] = defaultdict(Spent)
        store, recaller = node.store, node.recaller
        store.read = self._timed(store.read, self._name_of_read)  # type: ignore[method-assign]
        for name in ("embed_query", "nearest", "similarities"):
            setattr(recaller, name, self._timed(getattr(recaller, name), lambda *_, _name=name: f"recaller.{_name}"))

    def _name_of_read(self, fn: Callable[..., Any], *_: Any, **__: Any) -> str:
        fn = fn.func if isinstance(fn, partial) else fn
        return f"{fn.__module__.removeprefix('aimem.')}.{fn.__name__}"

    def _timed(
        self, call: Callable[..., Awaitable[Any]], name_of: Callable[..., str]
    ) -> Callable[..., Awaitable[Any]]:
        async def timed(*args: Any, **kwargs: Any) -> Any:
            if _stage.get() is None:
                return await call(*args, **kwargs)
            spent = self.now[name_of(*args)]
            token, began = _stage.set(spent), trio.current_time()
            try:
                return await call(*args, **kwargs)
            finally:
                spent.wall += trio.current_time() - began
                _stage.reset(token)

        return timed


async def measure(rows: int, questions: int, limit: int, db: Path) -> None:
    ports, corpus = bench_ports(), Corpus()
    counting = msgspec.structs.replace(ports, threads=CountingThreads(ports.threads))
    async with open_bench_node(db, counting, ClusteredEmbedder()) as node:
        await prepare(node, corpus, rows)
        stages = Stages(node)
        asked = [corpus.question(number, rows) for number in range(questions + WARMUP)]
        few = asked[: WARMUP + max(1, questions // 5)]
        begin, end = await node.store.read(creation)
        for title, some, narrowed in (
            (f"{rows:,} rows", asked, {}),
            (f"{SMALL_ROWS} rows among them", few, {"namespace": SMALL_NAMESPACE}),
            ("all of them, by a child's name", few, {"namespace": CHILD_NAMESPACE}),
            ("a twentieth of them, by time", few, {"since": format_instant(Instant(end - (end - begin) // 20))}),
            ("none of them, by a tag", few, {"tags": "nothing"}),
        ):
            request = msgspec.convert({"context": "", "limit": limit, "touch": False, **narrowed}, RecallRequest)
            print("\n".join(await ask(node, stages, some, title, request)), flush=True)
    await real_model(asked[:40])


def creation(conn: Connection) -> tuple[int, int]:
    """When the first row was created, and when the last."""
    row = conn.execute("SELECT min(created_at), max(created_at) FROM memory_view WHERE state = 'live'").fetchone()
    assert row is not None
    return int(str(row[0])), int(str(row[1]))


async def prepare(node: Node, corpus: Corpus, rows: int) -> None:
    if (await stats(node, WHO)).total == 0:
        began = trio.current_time()
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if done % max(1_000, rows // 20) < count:
                say(f"{done:,} of {rows:,} after {trio.current_time() - began:.0f} s")

        await fill(node, corpus, rows, advance, NAMESPACE)
        await fill(node, Corpus(seed=2), SMALL_ROWS, advance, SMALL_NAMESPACE)
        say(f"stored in {trio.current_time() - began:.0f} s")
    began = trio.current_time()
    await recall(node, WHO, RecallRequest(context="is the index open?", touch=False))
    await embed_all(node, lambda _: None)
    status = await index_status(node)
    say(f"{status.embedded:,} embedded; index ready after {trio.current_time() - began:.0f} s, {resident_mb():.0f} MB")


async def ask(
    node: Node, stages: Stages, questions: Sequence[str], title: str, request: RecallRequest
) -> Iterator[str]:
    taken: defaultdict[str, list[Spent]] = defaultdict(list)
    for number, question in enumerate(questions):
        stages.now.clear()
        rest = Spent()
        _stage.set(rest)
        began, worked, looped = trio.current_time(), time.process_time(), time.thread_time()
        await recall(node, WHO, msgspec.structs.replace(request, context=question))
        whole = Spent(trio.current_time() - began, time.process_time() - worked)
        rest.processor += time.thread_time() - looped
        rest.wall = whole.wall - sum(spent.wall for spent in stages.now.values())
        _stage.set(None)
        if number >= WARMUP:
            for name, spent in {"recall": whole, "rest": rest, **stages.now}.items():
                taken[name].append(spent)
    return table(title, taken)


def table(title: str, taken: dict[str, list[Spent]]) -> Iterator[str]:
    """Milliseconds: on the wall, then of processors. Stages that run at once make the wall's `rest` negative."""
    head = "".join(f"{word:>9}" for word in ("p50", "p95", "p99", "| cpu p50", "p95", "p99", "samples"))
    yield f"\n{title:<40}{head}"
    sums = {name: sum(spent.wall for spent in rows) for name, rows in taken.items()}
    order = sorted(taken, key=lambda name: (name != "recall", name == "rest", -sums[name]))
    for name in order:
        rows = taken[name]
        wall, processor = _quantiles([row.wall for row in rows]), _quantiles([row.processor for row in rows])
        yield f"{'  ' * (name != 'recall') + name:<40}{wall}{processor}{len(rows):>9}"


def _quantiles(seconds: Sequence[float]) -> str:
    values = sorted(seconds)
    return "".join(f"{1_000 * values[min(len(values) - 1, len(values) * p // 100)]:>9.2f}" for p in (50, 95, 99))


async def real_model(questions: Sequence[str]) -> None:
    """What the embedding of a question costs with the model that is shipped: the figure beside the others."""
    model, taken = open_minilm(None), []
    for question in questions:
        began, worked = trio.current_time(), time.process_time()
        model.embed([model.chunk(question)[0]])
        taken.append(Spent(trio.current_time() - began, time.process_time() - worked))
    print("\n".join(table("apart", {"embedding a question, MiniLM": taken})))


def resident_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recall", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--db", type=Path, help="a database to keep: it is filled the first time, and then only opened")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        db = options.db or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aimem-recall-")), "recall.db")
        db.parent.mkdir(parents=True, exist_ok=True)
        trio.run(measure, options.rows, options.questions, options.limit, db)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
