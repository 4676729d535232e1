"""An embedder without a model, for benches: fast, and its vectors lie in clusters, as real ones do."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aimem.search.numeric import np
from aimem.search.query import stop_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIMENSION: Final = 384
_DIRECTIONS: Final = 4_096
_STEM_CHARS: Final = 4
_STEM_SHARE: Final = 0.6
_WORD_SHARE: Final = 0.8
_WORD: Final = re.compile(r"\w+")


class ClusteredEmbedder:
    """A text is the sum of its words, a word that of two directions: its own, and one shared by all that begin alike.

    Texts on one subject (words with a common stem) are therefore near each other, and those with the same words nearer.
    Stop words count for nothing.
    """

    model: str = "clustered/1"
    dimension: int = _DIMENSION

    def __init__(self, seed: int = 0) -> None:
        drawn = np.random.default_rng(seed).standard_normal((_DIRECTIONS, _DIMENSION)).astype(np.float32)
        self._directions: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    def chunk(self, text: str) -> list[str]:
        """The text whole: nothing here reads it."""
        return [text]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A unit vector per text; that of a text without a telling word is always the same."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        words = [word for word in _WORD.findall(text.lower()) if word not in stop_words()] or [""]
        stems = self._directions[[_place(word[:_STEM_CHARS]) for word in words]].sum(axis=0)
        own = self._directions[[_place(f"={word}") for word in words]].sum(axis=0)
        total = _STEM_SHARE * stems + _WORD_SHARE * own
        return bytes((total / np.linalg.norm(total)).astype("<f4").tobytes())


def _place(name: str) -> int:
    return zlib.crc32(name.encode()) % _DIRECTIONS
