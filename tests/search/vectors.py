"""Vectors for tests of the index: small ones that halves hold exactly, and clustered ones such as texts have."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aimem.search import Held, VectorIndex, hold_floats
from aimem.search.folder import VectorFolder


def unit(*numbers: float) -> bytes:
    row = np.array(numbers, "<f4")
    return bytes((row / np.linalg.norm(row)).astype("<f4").tobytes())


def packed(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def hash_of(chunks: Sequence[bytes]) -> bytes:
    """Stands for the hash of the text that these vectors were made of."""
    return hashlib.sha256(b"".join(chunks)).digest()[:16]


def held(chunks: Sequence[bytes], dimension: int) -> Held:
    return hold_floats(chunks, dimension, hash_of(chunks))


def rebuild(index: VectorIndex, path: Path, model: str = "m") -> None:
    """Give the index a base of all its rows, in one go."""
    folder, snapshot = VectorFolder(path), index.begin_base()
    with folder.begin(model=model, dimension=index.dimension) as writer:
        for block in snapshot.blocks():
            writer.add(block)
        if not writer.chunk_count:
            index.adopt(None)
            return
        for _ in writer.finish():
            pass
    index.adopt(folder.publish(dimension=index.dimension).segment)


def clustered(
    count: int, seed: int = 1, dimension: int = 384, topic_count: int | None = None
) -> NDArray[np.float16]:
    """Unit vectors in topics, whose covariance falls off as that of a language model's does."""
    rng, topic_count = np.random.default_rng(seed), topic_count or max(8, count // 200)
    spread = (1.0 / np.sqrt(1.0 + np.arange(dimension))).astype(np.float32)
    topics = np.random.default_rng(99).standard_normal((topic_count, dimension)).astype(np.float32) * spread
    rows = np.empty((count, dimension), np.float16)
    for start in range(0, count, 20_000):
        end = min(count, start + 20_000)
        part = topics[rng.integers(0, len(topics), end - start)]
        part = part + 0.7 * spread * rng.standard_normal(part.shape).astype(np.float32)
        rows[start:end] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return rows
