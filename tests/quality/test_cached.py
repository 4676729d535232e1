"""A cached vector is the vector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.nodes import WordEmbedder
from tests.quality.cached import CachingEmbedder


class CountingEmbedder(WordEmbedder):
    """Counts the texts that it was given."""

    def __init__(self) -> None:
        self.count = 0

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        self.count += len(texts)
        return super().embed(texts)


def test_a_text_is_embedded_once_even_in_the_next_run(tmp_path: Path) -> None:
    texts, counting = ["red fox", "blue whale", "red fox"], CountingEmbedder()
    first = CachingEmbedder(counting, tmp_path)
    assert first.embed(texts) == WordEmbedder().embed(texts)
    assert counting.count == 2
    again = CachingEmbedder(counting, tmp_path)
    assert again.embed([*texts, "new"]) == WordEmbedder().embed([*texts, "new"])
    assert counting.count == 3
    assert again.chunk("a b") == ["a b"]
