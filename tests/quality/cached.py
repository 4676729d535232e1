"""A real embedder whose vectors are kept in a file, so that a second run of a benchmark need not make them again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from aimem.ports import Embedder

_DIGEST_BYTES = 32


class CachingEmbedder:
    """Answers from `folder` what was embedded before by the same model, by the text's SHA-256; safe for threads."""

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        self.model, self.dimension = embedder.model, embedder.dimension
        self._embedder = embedder
        self._vector_bytes = 4 * embedder.dimension
        self._path = folder / f"vectors-{hashlib.sha256(embedder.model.encode()).hexdigest()[:12]}.bin"
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._known = self._read()

    def chunk(self, text: str) -> list[str]:
        return self._embedder.chunk(text)

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in self._known}
        if new:
            made = dict(zip(new, self._embedder.embed(list(new.values())), strict=True))
            with self._lock, self._path.open("ab") as file:
                file.write(b"".join(digest + vector for digest, vector in made.items()))
                self._known.update(made)
        return [self._known[digest] for digest in digests]

    def _read(self) -> dict[bytes, bytes]:
        data = self._path.read_bytes() if self._path.exists() else b""
        size = _DIGEST_BYTES + self._vector_bytes
        starts = range(0, len(data) - size + 1, size)
        return {data[at : at + _DIGEST_BYTES]: data[at + _DIGEST_BYTES : at + size] for at in starts}
