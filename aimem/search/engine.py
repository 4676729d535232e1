"""The meaning arm of recall: questions and texts to vectors, vectors to rows; or the reason why there is none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from functools import partial
from typing import Final

import numpy as np
import trio

from aimem.ports import Embedder, Threads
from aimem.search.minilm import MODEL_DIMENSION
from aimem.search.vectors import VectorIndex

_QUERY_SHARE: Final = 0.7
"""How much of a question's vector is the question; the rest is the context that the caller gave (v0.6.3's shares)."""

_INLINE_CHUNKS: Final = 2_000
"""A scan of so many takes some 0.15 ms: about what the way to a thread and back costs."""


class RecallMode(StrEnum):
    """How recall ranks: by words and meaning, or by words alone."""

    HYBRID = "hybrid"
    KEYWORD = "keyword"


class Recaller:
    """Owns the embedder and the vector index of a node.

    Questions and documents are embedded under limiters of their own, so that a question never waits behind a batch.

    It is made with an embedder, or with the reason why there is none, or with neither: then questions wait until the
    model that is being loaded was adopted and its index filled, or given up (`settle`, `settle_on_keywords`).

    Attributes:
      index: the vectors; changed by the event loop's thread alone. Empty in keyword mode.
      reason: why there is no model, one sentence; empty if there is one.
    """

    def __init__(self, *, threads: Threads, embedder: Embedder | None, reason: str = "") -> None:
        self.index = VectorIndex(embedder.dimension if embedder else MODEL_DIMENSION)
        self.reason = reason
        self._embedder = embedder
        self._threads = threads
        self._settled = trio.Event()
        if embedder or reason:
            self._settled.set()
        self._questions = trio.CapacityLimiter(1)
        self._documents = trio.CapacityLimiter(1)
        self._scans = trio.CapacityLimiter(1)

    @property
    def mode(self) -> RecallMode:
        """Hybrid if there is a model."""
        return RecallMode.HYBRID if self._embedder else RecallMode.KEYWORD

    @property
    def model(self) -> str:
        """The embedder's model (its vectors are comparable with no other's), or `none`."""
        return self._embedder.model if self._embedder else "none"

    @property
    def is_keyword_only(self) -> bool:
        """Whether it is settled that there is no model; false while one is being loaded."""
        return self._settled.is_set() and self._embedder is None

    def adopt(self, embedder: Embedder) -> None:
        """Take the loaded model: documents can be embedded from now on, questions once `settle` was called."""
        self._embedder, self.reason = embedder, ""

    def settle(self) -> None:
        """Let questions through: the index is filled."""
        self._settled.set()

    def settle_on_keywords(self, reason: str) -> None:
        """Give the model up for the life of this process."""
        self._embedder, self.reason = None, reason
        self._settled.set()

    async def embed_query(self, text: str, context_tokens: Sequence[str] = ()) -> bytes | None:
        """The unit vector of a question, seven parts text to three parts context; None in keyword mode.

        Of a text or a context longer than the model reads, the beginning counts. Waits while the model is being loaded.
        """
        await self._settled.wait()
        if self._embedder is None:
            return None
        embed = partial(_embed_question, self._embedder, text, " ".join(context_tokens))
        return await self._threads.run(embed, limiter=self._questions)

    async def embed_documents(self, texts: Sequence[str]) -> list[list[bytes]]:
        """The unit vectors of each text, one per chunk, in the order given; nothing for each in keyword mode."""
        if self._embedder is None:
            return [[] for _ in texts]
        return await self._threads.run(partial(_embed_chunks, self._embedder, texts), limiter=self._documents)

    async def nearest(
        self, vector: bytes, limit: int, allowed: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """The rows nearest to a vector, as `VectorIndex.search`; `allowed` must not change meanwhile."""
        search = partial(self.index.search, vector, limit, allowed=allowed)
        if self.index.chunk_count <= _INLINE_CHUNKS:
            await trio.lowlevel.checkpoint()
            return search()
        return await self._threads.run(search, limiter=self._scans)

    async def similarities(self, vector: bytes, numbers: Collection[int]) -> dict[int, float]:
        """How near the best chunk of each of these rows is to a vector, as `VectorIndex.similarities`."""
        compare = partial(self.index.similarities, vector, numbers)
        if self.index.chunk_count <= _INLINE_CHUNKS:
            await trio.lowlevel.checkpoint()
            return compare()
        return await self._threads.run(compare, limiter=self._scans)


def _embed_question(embedder: Embedder, text: str, context: str) -> bytes:
    question = embedder.chunk(text)[0]
    if not context.strip():
        return embedder.embed([question])[0]
    asked, around = (np.frombuffer(vector, "<f4") for vector in embedder.embed([question, embedder.chunk(context)[0]]))
    mixed = _QUERY_SHARE * asked + (1.0 - _QUERY_SHARE) * around
    # v0.6.3 left the sum shorter than 1, which lowers every similarity. It is never shorter than 0.4.
    return bytes((mixed / np.linalg.norm(mixed)).astype("<f4").tobytes())


def _embed_chunks(embedder: Embedder, texts: Sequence[str]) -> list[list[bytes]]:
    chunks = [embedder.chunk(text) for text in texts]
    vectors = iter(embedder.embed([piece for pieces in chunks for piece in pieces]))
    return [[next(vectors) for _ in pieces] for pieces in chunks]
