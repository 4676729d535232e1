"""The embedding model's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Embedder(Protocol):
    """Turns texts into unit vectors; its methods block, so they run through the threads port."""

    @property
    def model(self) -> str:
        """Names weights, pooling and chunking: two vectors are comparable only if this is equal."""
        ...

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        ...

    def chunk(self, text: str) -> list[str]:
        """Cut a text into pieces that the model reads whole, in order; at least one."""
        ...

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A unit vector per text, as little-endian float32 bytes (4 x dimension), whatever else is in the batch."""
        ...
