"""One ranking out of two: words (BM25) and meaning (cosine)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from aimem.search.tuning import DENSE_WEIGHT


class Fused(Struct, frozen=True, kw_only=True):
    """A row, how well it answers by each arm and by both, all in [0, 1]; 0 for an arm that does not have it."""

    no: int
    words: float
    meaning: float
    score: float


def fuse_scores(
    lexical: Mapping[int, float], dense: Mapping[int, float], *, dense_weight: float = DENSE_WEIGHT
) -> list[Fused]:
    """Merge two rankings into one by a convex sum of min-max normalised scores (Bruch, Gai and Ingber, TOIS 2023).

    Args:
      lexical: score by row, larger is better, any scale; a row that is missing scores 0. If all are equal (one row,
        say), each counts 1.
      dense: likewise.
      dense_weight: dimensionless, in [0, 1].

    Returns: every row seen, best first, ties by row; a score is `min(1, (1 - dense_weight) * words + dense_weight *
      meaning)`.

    Raises: ValueError if dense_weight is outside [0, 1] or a score is not finite.
    """
    if not 0.0 <= dense_weight <= 1.0:
        raise ValueError(f"dense_weight is {dense_weight}; allowed is a number from 0 to 1")
    words, meaning = _scaled(lexical), _scaled(dense)
    fused = [
        _fused(no, words.get(no, 0.0), meaning.get(no, 0.0), dense_weight) for no in words.keys() | meaning.keys()
    ]
    return sorted(fused, key=lambda row: (-row.score, row.no))


def _fused(no: int, words: float, meaning: float, weight: float) -> Fused:
    return Fused(no=no, words=words, meaning=meaning, score=min(1.0, (1.0 - weight) * words + weight * meaning))


def _scaled(scores: Mapping[int, float]) -> dict[int, float]:
    if not scores:
        return {}
    if not all(map(math.isfinite, scores.values())):
        raise ValueError("a score is not a finite number")
    # Halved first: the difference of two huge scores would overflow.
    low, high = min(scores.values()) / 2, max(scores.values()) / 2
    span = high - low
    return {no: (score / 2 - low) / span if span > 0.0 else 1.0 for no, score in scores.items()}


def places(scores: Mapping[int, float]) -> dict[int, int]:
    """The place of each row in an arm, from 1, best first, ties by row."""
    return {no: place for place, no in enumerate(sorted(scores, key=lambda no: (-scores[no], no)), 1)}


def keep_firsts(order: Sequence[int], firsts: Collection[int], limit: int) -> list[int]:
    """Move rows up to within the first `max(2, limit)`, should the rest have pushed them below.

    What one arm alone is sure of (an identifier, a paraphrase without a common word) must not fall out of the answer.

    Args:
      order: rows, best first.
      firsts: the first of each arm: two at most.

    Returns: the same rows; those that were not moved keep their order.
    """
    head = max(2, limit)
    above, below = list(order[:head]), [no for no in order[head:] if no in firsts]
    for _ in below:
        above.remove(next(no for no in reversed(above) if no not in firsts))
    kept = {*above, *below}
    return [*above, *below, *(no for no in order if no not in kept)]
