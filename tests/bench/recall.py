"""`python -m tests.bench.recall --rows 100000`: what a recall's time is spent on, stage by stage.

A stage is a read of the store, or a call of the recaller; `rest` is everything else (parsing, fusion, boosts, wire
values, waiting for a thread). `--keep DIR` keeps the database, so that a second run only opens it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import trio

from aimem.operations.benchnode import NAMESPACE, WHO, embed_all, fill, open_bench_node
from aimem.operations.corpus import Corpus
from aimem.search import ClusteredEmbedder, open_minilm
from aimem.service import Node, index_status, recall, stats
from aimem.wire import RecallRequest
from tests.bench.ports import bench_ports

SMALL_NAMESPACE, SMALL_ROWS = "small", 20
CHILD_NAMESPACE = f"{NAMESPACE}/child"
WARMUP = 20


_is_recalling = ContextVar("is_recalling", default=False)


class Stages:
    """Seconds by stage: of each, one figure a recall. What others do meanwhile, such as the indexer, is left out."""

    def __init__(self, node: Node) -> None:
        self.now: defaultdict[str, float] = defaultdict(float)
        store, recaller = node.store, node.recaller
        store.read = self._timed(store.read, self._name_of_read)  # type: ignore[method-assign]
        for name in ("embed_query", "nearest"):
            setattr(recaller, name, self._timed(getattr(recaller, name), lambda *_, _name=name: f"recaller.{_name}"))

    def _name_of_read(self, fn: Callable[..., Any], *_: Any, **__: Any) -> str:
        fn = fn.func if isinstance(fn, partial) else fn
        return f"{fn.__module__.removeprefix('aimem.')}.{fn.__name__}"

    def _timed(
        self, call: Callable[..., Awaitable[Any]], name_of: Callable[..., str]
    ) -> Callable[..., Awaitable[Any]]:
        async def timed(*args: Any, **kwargs: Any) -> Any:
            if not _is_recalling.get():
                return await call(*args, **kwargs)
            began = trio.current_time()
            try:
                return await call(*args, **kwargs)
            finally:
                self.now[name_of(*args)] += trio.current_time() - began

        return timed


async def measure(rows: int, questions: int, limit: int, folder: Path) -> None:
    ports = bench_ports()
    corpus = Corpus()
    async with open_bench_node(folder / f"recall-{rows}.db", ports, ClusteredEmbedder()) as node:
        await prepare(node, corpus, rows)
        stages = Stages(node)
        asked = [corpus.question(number, rows) for number in range(questions + WARMUP)]
        print("\n".join(await ask(node, stages, asked, f"{rows:,} rows", limit, None)), flush=True)
        few = asked[: WARMUP + max(1, questions // 5)]
        print("\n".join(await ask(node, stages, few, f"{SMALL_ROWS} rows among them", limit, SMALL_NAMESPACE)))
        print("\n".join(await ask(node, stages, few, "all of them, by a child's name", limit, CHILD_NAMESPACE)))
    await real_model(asked[:40])


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
    node: Node, stages: Stages, questions: Sequence[str], title: str, limit: int, namespace: str | None
) -> Iterator[str]:
    spent: defaultdict[str, list[float]] = defaultdict(list)
    _is_recalling.set(True)
    for number, question in enumerate(questions):
        stages.now.clear()
        began = trio.current_time()
        await recall(node, WHO, RecallRequest(context=question, limit=limit, namespace=namespace, touch=False))
        whole = trio.current_time() - began
        if number < WARMUP:
            continue
        for name, seconds in {"recall": whole, "rest": whole - sum(stages.now.values()), **stages.now}.items():
            spent[name].append(1_000 * seconds)
    return table(title, spent)


def table(title: str, spent: dict[str, list[float]]) -> Iterator[str]:
    yield f"\n{title:<44}{'mean ms':>9}{'p50':>9}{'p95':>9}{'p99':>9}{'samples':>9}"
    order = sorted(spent, key=lambda name: (name != "recall", name == "rest", -sum(spent[name])))
    for name in order:
        values = sorted(spent[name])
        quantiles = "".join(f"{values[min(len(values) - 1, len(values) * p // 100)]:>9.2f}" for p in (50, 95, 99))
        yield f"{'  ' * (name != 'recall') + name:<44}{sum(values) / len(values):>9.2f}{quantiles}{len(values):>9}"


async def real_model(questions: Sequence[str]) -> None:
    """What the embedding of a question costs with the model that is shipped: the figure beside the others."""
    model, spent = open_minilm(None), []
    for question in questions:
        began = trio.current_time()
        model.embed([model.chunk(question)[0]])
        spent.append(1_000 * (trio.current_time() - began))
    print("\n".join(table("apart", {"embedding a question, MiniLM": spent})))


def resident_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recall", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the database in this folder")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aimem-recall-")))
        folder.mkdir(parents=True, exist_ok=True)
        trio.run(measure, options.rows, options.questions, options.limit, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
