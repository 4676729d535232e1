"""How good a ranking is: the usual figures, each the mean over questions, in percent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct


class Figures(Struct, frozen=True, kw_only=True):
    """Means over `count` questions, in percent.

    Attributes:
      hit_1, hit_5, hit_10: any relevant document among the first so many.
      all_5: every relevant document among the first five.
      mrr: 1 / rank of the first relevant one, 0 if recall did not return any.
      ndcg_10: discounted cumulative gain of the first ten, graded gains, as a share of the best possible.
    """

    count: int
    hit_1: float
    hit_5: float
    hit_10: float
    all_5: float
    mrr: float
    ndcg_10: float


class Judged(Struct, frozen=True, kw_only=True):
    """One answered question: what was returned, best first, and the gains of what is relevant."""

    ranking: Sequence[str]
    gains: Mapping[str, int]

    @property
    def rank(self) -> int | None:
        """Place of the first relevant document, from 1."""
        return next((place for place, key in enumerate(self.ranking, start=1) if key in self.gains), None)


def figures(judged: Sequence[Judged]) -> Figures:
    """The means of one or more answered questions."""
    ranks = [answer.rank or math.inf for answer in judged]
    return Figures(
        count=len(judged),
        hit_1=_percent([rank <= 1 for rank in ranks]),
        hit_5=_percent([rank <= 5 for rank in ranks]),
        hit_10=_percent([rank <= 10 for rank in ranks]),
        all_5=_percent([set(answer.gains) <= set(answer.ranking[:5]) for answer in judged]),
        mrr=_percent([1 / rank for rank in ranks]),
        ndcg_10=_percent([_ndcg(answer, 10) for answer in judged]),
    )


def _ndcg(answer: Judged, depth: int) -> float:
    ideal = sorted(answer.gains.values(), reverse=True)
    return _dcg([answer.gains.get(key, 0) for key in answer.ranking[:depth]]) / _dcg(ideal[:depth])


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, start=1))


def _percent(values: Sequence[float]) -> float:
    return round(100 * sum(values) / len(values), 2)
