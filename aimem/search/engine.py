"""The meaning arm of recall: questions and texts to vectors, vectors to rows; or the reason why there is none."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import trio

from aimem.ports import Embedder, Threads
from aimem.search.keeper import BaseKeeper, nothing_more
from aimem.search.minilm import MODEL_DIMENSION, ModelUnavailable
from aimem.search.numeric import np
from aimem.search.segment import Bounds
from aimem.search.tail import Held
from aimem.search.vectors import VectorIndex, WrongVectors, read_vector

log = logging.getLogger(__name__)

_QUERY_SHARE: Final = 0.7
"""How much of a question's vector is the question; the rest is the context that the caller gave (v0.6.3's shares)."""

_INLINE_CHUNKS: Final = 2_000
"""A scan of so many takes some 0.15 ms: about what the way to a thread and back costs."""

_SILENCE_S: Final = 30.0
"""A model elsewhere that failed is not asked about questions for so long: recall would wait for it each time."""

_PIECES_A_HOP: Final = 128
"""A thread cannot be stopped: the node's end waits for so many pieces, a second or two (some ten by a slow server)."""

_SCANS_MAX_COUNT: Final = 2
"""A scan is bound by one core and its memory; more at once would only take time from each other."""


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
      pending_count: rows whose vectors are there and still have to come into the index.
    """

    def __init__(
        self, *, threads: Threads, embedder: Embedder | None, reason: str = "", folder: Path | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """Make one.

        Args:
          folder: for the files of a large index; None keeps all of it in memory.
          bounds: other than the measured ones only in tests.
        """
        self._dimension = embedder.dimension if embedder else MODEL_DIMENSION
        self._bounds = bounds
        self._index: VectorIndex | None = None
        self._reason = reason
        self.pending_count = 0
        self._is_warming = False
        self._silence = ""
        self._silent_until = -math.inf
        self._failure_count = 0
        self._keeper = None if folder is None else BaseKeeper(folder, threads)
        self._embedder = embedder
        self._threads = threads
        self._settled = trio.Event()
        if embedder or reason:
            self._settled.set()
        self._questions = trio.CapacityLimiter(1)
        self._documents = trio.CapacityLimiter(1)
        self._cuts = trio.CapacityLimiter(1)
        self._scans = trio.CapacityLimiter(_SCANS_MAX_COUNT)

    @property
    def index(self) -> VectorIndex:
        """The vectors, changed by the event loop's thread alone; made when they are first asked for."""
        if self._index is None:
            self._index = VectorIndex(self._dimension, self._bounds)
        return self._index

    @property
    def row_count(self) -> int:
        """Rows that have a vector in the index."""
        return 0 if self._index is None else self._index.count

    @property
    def chunk_count(self) -> int:
        """Vectors in the index."""
        return 0 if self._index is None else self._index.chunk_count

    @property
    def mode(self) -> RecallMode:
        """Hybrid if there is a model, and a vector unless there is nothing to embed."""
        can_embed = self._embedder and not self._is_warming and not self._silence
        return RecallMode.HYBRID if can_embed else RecallMode.KEYWORD

    @property
    def reason(self) -> str:
        """Why recall is by keyword, one sentence; empty if it is not."""
        return self._reason or self._silence

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
        self._embedder, self._reason = embedder, ""
        if embedder.dimension != self._dimension:
            self._dimension, self._index = embedder.dimension, None

    def warm(self, reason: str) -> None:
        """Say that there are texts and not one vector yet: until `end_warming` recall is by keyword."""
        self._is_warming, self._reason = True, reason

    def end_warming(self) -> None:
        """There are vectors."""
        if self._is_warming:
            self._is_warming, self._reason = False, ""

    def settle(self) -> None:
        """Let questions through: the index is filled."""
        self._settled.set()

    @property
    def is_settled(self) -> bool:
        """Whether questions are let through: see `settle`."""
        return self._settled.is_set()

    async def wait_until_settled(self) -> None:
        """Wait until the model was adopted and the index filled, or the model given up."""
        await self._settled.wait()

    def settle_on_keywords(self, reason: str) -> None:
        """Give the model up for the life of this process."""
        self._embedder, self._reason = None, reason
        self._settled.set()

    async def embed_query(self, text: str, context_tokens: Sequence[str] = ()) -> bytes | None:
        """The unit vector of a question, seven parts text to three parts context.

        None in keyword mode, or if the model makes nothing usable of it, or is away. Of a text or a context longer than
        the model reads, the beginning counts. Waits while the model is being loaded.
        """
        await self._settled.wait()
        if self._embedder is None or trio.current_time() < self._silent_until:
            return None
        embed = partial(self._embed_unless_silent, self._embedder, text, " ".join(context_tokens), self._failure_count)
        try:
            vector = await self._threads.run(embed, limiter=self._questions)
            read_vector(vector, self.index.dimension)
        except WrongVectors as error:
            log.warning("question.refused", extra={"reason": str(error)})
            return None
        except ModelUnavailable as error:
            self._note_silence(error)
            return None
        self._end_silence()
        return vector

    def _embed_unless_silent(self, embedder: Embedder, text: str, context: str, failure_count: int) -> bytes:
        """In the thread: whoever waited behind a question that failed does not wait for the model once more."""
        if self._failure_count != failure_count:
            raise ModelUnavailable(self._silence)
        return _embed_question(embedder, text, context)

    def _note_silence(self, error: ModelUnavailable) -> None:
        if not self._silence:
            log.warning("recall.model_away", extra={"reason": error.message})
        self._silence, self._silent_until = error.message, trio.current_time() + _SILENCE_S
        self._failure_count += 1

    def _end_silence(self) -> None:
        if self._silence:
            log.info("recall.model_back")
        self._silence, self._silent_until = "", -math.inf

    async def embed_documents(self, texts: Sequence[str]) -> list[list[bytes]]:
        """The unit vectors of each text, one per chunk, in the order given; nothing for each in keyword mode.

        Raises: ModelUnavailable if the model is elsewhere and does not answer.
        """
        if self._embedder is None:
            return [[] for _ in texts]
        embedder, run = self._embedder, partial(self._threads.run, limiter=self._documents)
        chunks = await run(partial(_chunk_all, embedder, texts))
        pieces, made = [piece for of_text in chunks for piece in of_text], list[bytes]()
        try:
            for start in range(0, len(pieces), _PIECES_A_HOP):
                made += await run(partial(embedder.embed, pieces[start:start + _PIECES_A_HOP]))
        except ModelUnavailable as error:
            self._note_silence(error)
            raise
        self._end_silence()
        vectors = iter(made)
        return [[next(vectors) for _ in of_text] for of_text in chunks]

    async def count_chunks(self, texts: Sequence[str]) -> list[int]:
        """Into how many pieces the model would read each text, without reading any; 0 for each in keyword mode."""
        if self._embedder is None:
            return [0] * len(texts)
        chunks = await self._threads.run(partial(_chunk_all, self._embedder, texts), limiter=self._cuts)
        return [len(of_text) for of_text in chunks]

    async def nearest(
        self, vector: bytes, limit: int, allowed: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """The rows nearest to a vector, as `VectorIndex.search`; `allowed` must not change meanwhile."""
        search = partial(self.index.search, vector, limit, allowed=allowed)
        if self.chunk_count <= _INLINE_CHUNKS:
            await trio.lowlevel.checkpoint()
            return search()
        return await self._threads.run(search, limiter=self._scans)

    async def similarities(self, vector: bytes, numbers: Collection[int]) -> dict[int, float]:
        """How near the best chunk of each of these rows is to a vector, as `VectorIndex.similarities`."""
        compare = partial(self.index.similarities, vector, numbers)
        if self.chunk_count <= _INLINE_CHUNKS:
            await trio.lowlevel.checkpoint()
            return compare()
        return await self._threads.run(compare, limiter=self._scans)

    # The base of a large index; without a folder there is none.

    @property
    def keeps_base(self) -> bool:
        """Whether there is a folder for one."""
        return self._keeper is not None

    @property
    def wants_base(self) -> bool:
        """Whether a new base should take in what came since the last one."""
        return self._keeper is not None and self.index.wants_base

    async def open_base(self) -> str:
        """Serve from the base that is beside the database.

        Returns: why the one that is there cannot be used, one sentence, or nothing. Raises: IndexNotKept.
        """
        return "" if self._keeper is None else await self._keeper.open(self.index, self.model)

    async def build_base(self, more: AsyncIterator[Mapping[int, Held]] | None = None) -> None:
        """Make a base of all rows, and of more; searches and changes go on meanwhile. Raises: IndexNotKept."""
        if self._keeper is not None:
            await self._keeper.build(self.index, self.model, more or nothing_more())

    async def grow_trees(self) -> None:
        """Build trees over a base that gains from them and has none. Raises: IndexNotKept."""
        if self._keeper is not None:
            await self._keeper.grow_trees(self.index)

    async def discard_base(self) -> None:
        """Remove the base's files, and take each row as one that has to come again. Raises: IndexNotKept."""
        if self._keeper is None:
            self.index.distrust()
        else:
            await self._keeper.discard(self.index)


def _embed_question(embedder: Embedder, text: str, context: str) -> bytes:
    question = embedder.chunk(text)[0]
    if not context.strip():
        return embedder.embed([question])[0]
    both = embedder.embed([question, embedder.chunk(context)[0]])
    asked, around = (read_vector(vector, embedder.dimension) for vector in both)
    mixed = _QUERY_SHARE * asked + (1.0 - _QUERY_SHARE) * around
    # v0.6.3 left the sum shorter than 1, which lowers every similarity. It is never shorter than 0.4.
    return bytes((mixed / np.linalg.norm(mixed)).astype("<f4").tobytes())


def _chunk_all(embedder: Embedder, texts: Sequence[str]) -> list[list[str]]:
    return [embedder.chunk(text) for text in texts]
