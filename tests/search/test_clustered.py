"""The embedder of benches."""

from __future__ import annotations

import numpy as np
import pytest

from aimem.search import ClusteredEmbedder


def near(one: str, other: str) -> float:
    first, second = (np.frombuffer(vector, "<f4") for vector in ClusteredEmbedder().embed([one, other]))
    return float(first @ second)


def test_a_vector_is_a_unit_vector_and_the_same_in_every_process() -> None:
    [vector] = ClusteredEmbedder().embed(["kelorina and pimutaro"])
    assert len(vector) == 4 * ClusteredEmbedder.dimension
    assert near("kelorina and pimutaro", "pimutaro, kelorina!") == pytest.approx(1)
    assert near("the", "") == pytest.approx(1)


def test_words_that_begin_alike_are_nearer_than_others_and_farther_than_the_same() -> None:
    same, alike, other = (near("kelorina", word) for word in ("kelorina", "kelofusu", "pimutaro"))
    assert same > alike + 0.3 > other + 0.5
