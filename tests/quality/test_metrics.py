"""The figures are what their definitions say."""

from __future__ import annotations

import math

import pytest

from tests.quality.metrics import Judged, figures

BOTH = {"a": 1, "b": 1}


@pytest.mark.parametrize(("ranking", "rank", "all_5"), [
    ("abxyz", 1, 100), ("xaybz", 2, 100), ("xyzvaw", 5, 0), ("xyzvwab", 6, 0), ("xyz", None, 0), ("", None, 0),
])
def test_a_rank_is_that_of_the_first_relevant_document(ranking: str, rank: int | None, all_5: float) -> None:
    judged = Judged(ranking=tuple(ranking), gains=BOTH)
    found = figures([judged])
    assert judged.rank == rank
    assert found.mrr == (0 if rank is None else round(100 / rank, 2))
    assert found.hit_1 == 100 * (rank == 1)
    assert found.hit_5 == 100 * (rank is not None and rank <= 5)
    assert found.hit_10 == 100 * (rank is not None)
    assert found.all_5 == all_5


def test_a_gain_counts_less_with_each_place() -> None:
    judged = Judged(ranking=("b", "x", "a"), gains={"a": 3, "b": 1})
    best = 3 + 1 / math.log2(3)
    assert figures([judged]).ndcg_10 == pytest.approx(100 * (1 + 3 / math.log2(4)) / best, abs=0.01)
    assert figures([Judged(ranking=("a", "b"), gains={"a": 3, "b": 1})]).ndcg_10 == 100


def test_figures_are_means() -> None:
    found = figures([Judged(ranking=("a",), gains={"a": 1}), Judged(ranking=("x",), gains={"a": 1})])
    assert (found.count, found.hit_1, found.mrr, found.ndcg_10) == (2, 50, 50, 50)
