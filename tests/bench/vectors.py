"""`python -m tests.bench.vectors 100000`: what a search of the vector index costs and misses, at a size of your choice.

Clustered vectors, 100 rows asked for, processor time of the searching thread (a busy neighbour does not distort it).
`--trees` builds annoy's trees too and searches by them, whatever the size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aimem.search import Bounds, VectorIndex, hold_halves
from aimem.search.folder import VectorFolder
from aimem.search.segment import HASH_BYTES, HASH_TYPE
from aimem.search.writing import Block
from tests.search.vectors import clustered

DIMENSION = 384
LIMIT = 100
QUERIES = 200
BLOCK = 20_000
HASH = bytes(HASH_BYTES)


def blocks(count: int) -> Iterator[tuple[int, NDArray[np.float16]]]:
    topics = max(8, count // 200)
    for start in range(0, count, BLOCK):
        yield start, clustered(min(BLOCK, count - start), seed=start + 1, topic_count=topics)


def build(folder: VectorFolder, count: int) -> None:
    with folder.begin(model="bench", dimension=DIMENSION) as writer:
        for start, rows in blocks(count):
            numbers = np.arange(start, start + len(rows), dtype=np.int64)
            hashes = np.zeros(len(rows), HASH_TYPE)
            writer.add(Block(numbers=numbers, hashes=hashes, counts=np.ones(len(rows), np.int64), vectors=rows))
        for _ in writer.finish():
            pass
    folder.publish(dimension=DIMENSION)


def nearest_of_all(count: int, queries: NDArray[np.float32]) -> NDArray[np.int64]:
    """The truth: float32 products of everything, block by block."""
    scores, numbers = np.full((len(queries), LIMIT), -2, np.float32), np.zeros((len(queries), LIMIT), np.int64)
    for start, rows in blocks(count):
        found = np.concatenate([scores, queries @ rows.astype(np.float32).T], axis=1)
        here = np.broadcast_to(np.arange(start, start + len(rows)), (len(queries), len(rows)))
        held = np.concatenate([numbers, here], axis=1)
        order = np.argsort(-found, axis=1)[:, :LIMIT]
        scores, numbers = np.take_along_axis(found, order, 1), np.take_along_axis(held, order, 1)
    return numbers


def measured(title: str, search: Callable[[bytes], list[int]], queries: Sequence[bytes], truth: Sequence[set[int]],
             first: Sequence[set[int]]) -> str:
    spent, shares, firsts = [], [], []
    for query in queries[:10]:
        search(query)
    for query, best, ten in zip(queries, truth, first, strict=True):
        began = time.thread_time()
        found = search(query)
        spent.append(1_000 * (time.thread_time() - began))
        shares.append(len(best & set(found)) / len(best))
        firsts.append(len(ten & set(found[:len(ten)])) / len(ten))
    spent.sort()
    times = "".join(f"{spent[len(spent) * p // 100]:>8.2f}" for p in (50, 95, 99))
    return f"{title:<40}{times}{np.mean(firsts):>9.3f}{np.mean(shares):>9.3f}"


def memory_mb() -> str:
    status = Path("/proc/self/status").read_text()
    return ", ".join(
        f"{name} {int(status.split(key + ':')[1].split()[0]) // 1024} MB"
        for name, key in (("own memory", "RssAnon"), ("mapped", "RssFile"))
    )


def run(count: int, path: Path, *, with_trees: bool) -> None:
    folder, began, worked = VectorFolder(path), time.perf_counter(), time.process_time()
    build(folder, count)
    print(f"{count:,} vectors: base made in {time.perf_counter() - began:.1f} s "
          f"({time.process_time() - worked:.1f} s of processor time, making the vectors included), "
          f"{sum(file.stat().st_size for file in path.rglob('*.*')) >> 20} MB")
    began = time.perf_counter()
    kept = folder.open(model="bench", dimension=DIMENSION)
    assert kept is not None
    print(f"opened in {1_000 * (time.perf_counter() - began):.0f} ms; {memory_mb()}")
    if with_trees:
        began, worked = time.perf_counter(), time.process_time()
        for _ in folder.grow_trees(kept):
            pass
        print(f"trees grown in {time.perf_counter() - began:.1f} s ({time.process_time() - worked:.1f} s of processor "
              f"time), {(kept.folder / 'trees.ann').stat().st_size >> 20} MB")
    index = VectorIndex(DIMENSION, Bounds(trees_chunks=0 if with_trees else 10**9))
    index.adopt(kept.segment)
    asked = clustered(QUERIES, seed=7**7, topic_count=max(8, count // 200)).astype(np.float32)
    queries = [bytes(row.tobytes()) for row in asked]
    best = nearest_of_all(count, asked)
    hundred, ten = [set(row.tolist()) for row in best], [set(row[:10].tolist()) for row in best]
    print(f"{'search for 100 rows':<40}{'p50 ms':>8}{'p95':>8}{'p99':>8}{'of 10':>9}{'of 100':>9}")
    print(measured("all rows", lambda query: numbers(index.search(query, LIMIT)), queries, hundred, ten))
    for title, step in (("20 rows allowed", count // 20), ("a hundredth allowed", 100), ("half allowed", 2)):
        allowed = range(0, count, max(1, step))
        print(measured(title, lambda query, allowed=allowed: numbers(index.search(query, LIMIT, allowed=allowed)),
                       queries, *among(asked, kept.segment.rows, allowed)))
    rows = clustered(10_000, seed=3, topic_count=max(8, count // 200))
    index.change({count + no: hold_halves([row.tobytes()], DIMENSION, HASH) for no, row in enumerate(rows)}, ())
    print(measured("all rows and 10,000 in memory", lambda query: [
        no for no in numbers(index.search(query, 2 * LIMIT)) if no < count][:LIMIT], queries, hundred, ten))
    print(memory_mb())


def among(asked: NDArray[np.float32], rows: NDArray[np.float16], allowed: range) -> tuple[list[set[int]], ...]:
    """The truth among some rows: the hundred best and the ten best."""
    hundred, ten = [], []
    scores = np.concatenate([
        asked @ rows[list(allowed[start:start + BLOCK])].astype(np.float32).T
        for start in range(0, len(allowed), BLOCK)
    ], axis=1)
    for row in scores:
        order = np.argsort(-row)[:LIMIT]
        best = [allowed[int(place)] for place in order]
        hundred.append(set(best))
        ten.append(set(best[:10]))
    return hundred, ten


def numbers(found: Sequence[tuple[int, float]]) -> list[int]:
    return [no for no, _ in found]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.vectors", description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--trees", action="store_true", help="search by annoy's trees")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="aimem-vectors-") as name:
        run(options.count, Path(name), with_trees=options.trees)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
