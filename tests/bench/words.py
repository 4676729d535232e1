"""`python -m tests.bench.words --rows 100000`: what finding by words costs, and what bounding it loses.

Rows are turns of conversations, made of the sentences of the quality sets (so words are as common as in real texts),
and one in ten holds an identifier. The questions are those of the sets, which ask for real words of these rows.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import trio

from aimem.model import AgentId, FieldValue, Instant, Namespace, Words, new_memory_id
from aimem.ports import Connection
from aimem.search import parse_query
from aimem.store import LIVE, MEMORY, Filters, Store, Transaction, fulltext, visible_to
from tests.nodes import START, InlineThreads, open_store, principal
from tests.quality.sets import SetName, load_set

BATCH, TURNS, LIMIT = 500, 10, 100
NOW = Instant(START + 1_000_000_000_000)
SMALL = Namespace("bench/small")


def sentences() -> list[str]:
    texts = " ".join(doc.text for name in (SetName.TURN, SetName.CRANFIELD) for doc in load_set(name).documents)
    return [part for part in re.split(r"(?<=[.?!])\s+", texts) if 20 < len(part) < 300]


def rows(count: int) -> Iterator[dict[str, FieldValue]]:
    rng, pool = random.Random(4), sentences()
    for i in range(count):
        content = " ".join(rng.choices(pool, k=rng.randint(1, 4)))
        content += f" build_{rng.randrange(100_000)}" if i % 10 == 0 else ""
        namespace = SMALL if i % max(1, count // 20) == 7 else f"bench/{i // TURNS % 50}"
        yield {
            "name": (namespace, f"turn {i}", True), "content": content, "tags": ("odd",) if i % 100 == 1 else (),
            "tier": "long", "priority": 5, "confidence": 1.0, "source": "api", "scope": None, "expires_at": None,
            "metadata": msgspec.json.encode({"conversation_id": f"talk {i // TURNS}"}).decode(),
            "created_at": START + i * 1_000_000, "updated_at": START + i * 1_000_000, "lifecycle": LIVE,
        }


def put(transaction: Transaction, batch: Sequence[tuple[str, dict[str, FieldValue]]]) -> None:
    entries = [transaction.create(MEMORY, key, AgentId("bench"), fields) for key, fields in batch]
    transaction.emit("store", entries)


async def build(store: Store, count: int) -> None:
    rng, batch = random.Random(5), []
    began = time.perf_counter()
    for fields in rows(count):
        batch.append((str(new_memory_id(rng)), fields))
        if len(batch) == BATCH:
            await store.write(put, batch)
            batch = []
    if batch:
        await store.write(put, batch)
    while (await store.write(fulltext.index_grams, BATCH)).value:
        pass
    stored = time.perf_counter() - began
    began = time.perf_counter()
    row_count, counts = await store.read(fulltext.count_terms)
    await store.write(fulltext.keep_terms, row_count, counts)
    print(f"{count:,} rows stored in {stored:.0f} s ({count / stored:,.0f}/s), {store.file_bytes() / 2**20:,.0f} MB; "
          f"{len(counts):,} common words counted in {time.perf_counter() - began:.1f} s", flush=True)


def worst_words() -> list[str]:
    """Questions of eight words each that stand in very many rows."""
    seen: dict[str, int] = {}
    for text in sentences():
        for word in parse_query(text).terms:
            seen[word] = seen.get(word, 0) + 1
    common = sorted(seen, key=lambda word: -seen[word])
    return [" ".join(common[i : i + 8]) for i in range(0, 160, 8)]


Found = list[tuple[float, dict[int, float]]]


def ask(conn: Connection, asked: Sequence[Words], filters: Filters) -> Found:
    found = []
    for words in asked:
        began = time.process_time()
        best = fulltext.hits(conn, words, filters, visible_to(principal()), NOW, LIMIT)
        found.append((1_000 * (time.process_time() - began), best))
    return found


def search(conn: Connection, asked: Sequence[Words]) -> Found:
    found: Found = []
    for words in asked:
        began = time.process_time()
        fulltext.search(conn, words, Filters(), visible_to(principal()), NOW, 20)
        found.append((1_000 * (time.process_time() - began), {}))
    return found


def line(title: str, found: Found, exact: Found | None = None) -> str:
    spent = sorted(ms for ms, _ in found)
    shown = "".join(f"{spent[min(len(spent) - 1, len(spent) * p // 100)]:>9.1f}" for p in (50, 95, 99))
    lost = ""
    if exact is not None:
        pairs = [(list(best)[:10], list(whole)[:10]) for (_, best), (_, whole) in zip(found, exact, strict=True)]
        same = sum(len({*best} & {*whole}) for best, whole in pairs) / max(1, sum(len(whole) for _, whole in pairs))
        first = sum(best[:1] == whole[:1] for best, whole in pairs) / len(pairs)
        lost = f"{100 * same:>9.1f} %{100 * first:>9.1f} %"
    return f"{title:<44}{shown}{len(found):>9}{lost}"


async def measure(count: int, questions: int, folder: Path) -> None:
    db = folder / f"words-{count}.db"
    texts = [question.text for name in SetName for question in load_set(name).questions]
    asked = [parse_query(text) for text in texts[:: max(1, len(texts) // questions)]]
    odd = [parse_query(f"what became of build_{i * 7919 % 100_000}") for i in range(40)]
    one, small = Filters(namespaces=(Namespace("bench/7"),)), Filters(namespaces=(SMALL,))
    tag, old = Filters(tag="odd"), Filters(until=Instant(START + count // 10 * 1_000_000))
    async with open_store(db, threads=InlineThreads()) as store:
        if not await store.read(lambda conn: conn.execute("SELECT 1 FROM memory_view LIMIT 1").fetchone()):
            await build(store, count)
        await store.read(ask, asked[:20], Filters())

        async def show(title: str, run: Callable[..., Found], *args: object, **kept: Found) -> Found:
            found: Found = await store.read(run, *args)
            print(line(title, found, kept.get("exact")), flush=True)
            return found

        columns = f"{'p50':>9}{'p95':>9}{'p99':>9}{'samples':>9}{'top 10':>11}{'first':>11}"
        print(f"\n{f'{count:,} rows, ms of CPU':<44}{columns}")
        bounded, fulltext.RANKED_MAX_COUNT = fulltext.RANKED_MAX_COUNT, 1 << 60
        exact = await show("questions, unbounded", ask, asked, Filters())
        fulltext.RANKED_MAX_COUNT = bounded
        await show("questions", ask, asked, Filters(), exact=exact)
        await show("eight of the commonest words", ask, [parse_query(text) for text in worst_words()], Filters())
        await show("identifiers", ask, odd, Filters())
        narrow = {"one namespace of 50": one, "20 rows of one": small, "one tag in 100": tag, "oldest tenth": old}
        for title, filters in narrow.items():
            fulltext.RANKED_MAX_COUNT = 1 << 60
            exact = await store.read(ask, asked[::4], filters)
            fulltext.RANKED_MAX_COUNT = bounded
            await show(title, ask, asked[::4], filters, exact=exact)
        await show("search: all words of a question", search, asked[::4])
        await show("search: a common word", search, [parse_query(word) for word in worst_words()[0].split()])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.words", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the databases for a second run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for count in options.rows:
            trio.run(measure, count, options.questions, options.keep or Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
