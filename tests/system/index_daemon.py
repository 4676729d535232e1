"""`python -m tests.system.index_daemon DB`: our daemon, whose index goes to the disk early, with troubles of choice.

Its embedder needs no model, so that what is tested is the index and not the machine's patience.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import trio
from msgspec.structs import replace

from aimem.config import ApiConfig, Config, FeatureTier, SearchConfig, StoreConfig
from aimem.ports import Embedder, Threads
from aimem.search import Bounds, Recaller, open_minilm, writing
from aimem.supervisor import furnish, run_daemon, set_up_logging, system_ports
from tests.nodes import WordEmbedder

T = TypeVar("T")
BOUNDS = Bounds(exact_chunks=20, wide_chunks=1_000)
CURSED = "cursed"


class OtherModel(WordEmbedder):
    """Another model of the same dimension: its vectors lie elsewhere."""

    model = "words/2"

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [np.frombuffer(vector, "<f4")[::-1].tobytes() for vector in super().embed(texts)]


class SmallModel(WordEmbedder):
    """Another model of another dimension."""

    model, dimension = "words/small", 64


class CursedModel(WordEmbedder):
    """A model that makes nonsense of each text with a certain word, questions included."""

    def __init__(self, nonsense: float) -> None:
        self.nonsense = np.full(self.dimension, nonsense, "<f4").tobytes()

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        pairs = zip(texts, super().embed(texts), strict=True)
        return [self.nonsense if CURSED in text else vector for text, vector in pairs]


MODELS: dict[str, Callable[[], Embedder]] = {
    "words": WordEmbedder, "other": OtherModel, "small": SmallModel, "nan": lambda: CursedModel(float("nan")),
    "minilm": partial(open_minilm, None),
    "infinite": lambda: CursedModel(float("inf")), "zero": lambda: CursedModel(0.0),
}


class MortalThreads:
    """Kills the process at the n-th step of making a base: each is one hop to a thread."""

    def __init__(self, threads: Threads, step: int) -> None:
        self._threads, self._left = threads, step

    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        inner: Any = getattr(fn, "func", None)
        if inner is next or getattr(inner, "__module__", "") == "aimem.search.keeper":
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return await self._threads.run(fn, limiter=limiter)

    def is_late(self) -> Callable[[], bool]:
        return self._threads.is_late()


def fill_the_disk_after(size_bytes: int) -> None:
    """Let the index's files have so many bytes, and no more."""
    left, write = size_bytes, writing._Hashed.write

    def stingy(file: Any, array: Any) -> None:
        nonlocal left
        left -= array.nbytes
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, array)

    writing._Hashed.write = stingy  # type: ignore[method-assign]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.index_daemon", description=__doc__)
    parser.add_argument("db", type=Path)
    parser.add_argument("--model", choices=list(MODELS), default="words")
    parser.add_argument("--die-at", type=int, default=0, metavar="STEP", help="of making a base")
    parser.add_argument("--disk-bytes", type=int, default=-1, help="that the index's files may take")
    options = parser.parse_args(arguments)
    if options.disk_bytes >= 0:
        fill_the_disk_after(options.disk_bytes)
    config = Config(
        store=StoreConfig(db=options.db), api=ApiConfig(port=0), search=SearchConfig(tier=FeatureTier.SEMANTIC)
    )
    ports = system_ports()
    ports = replace(ports, open_embedder=lambda _: MODELS[options.model]())
    if options.die_at:
        ports = replace(ports, threads=MortalThreads(ports.threads, options.die_at))
    furnish.Recaller = partial(Recaller, bounds=BOUNDS)  # type: ignore[misc,assignment]
    set_up_logging(config.log, {})
    trio.run(partial(run_daemon, config, ports=ports, environ=os.environ))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
