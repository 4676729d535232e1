"""One ranking out of two: words (BM25) and meaning (cosine)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

ARM_LIMIT: Final = 100
"""Candidates that each arm gives to the fusion: the figures in this room's commits were measured with it."""

DENSE_WEIGHT: Final = 0.3
"""Good on chats and abstracts alike; with more, chats lose: there an answer mostly repeats its question's words."""


class Scored(Struct, frozen=True, kw_only=True):
    """A row and how well it answers, in [0, 1] before boosts."""

    no: int
    score: float


def fuse_scores(
    lexical: Mapping[int, float], dense: Mapping[int, float], *, dense_weight: float = DENSE_WEIGHT
) -> list[Scored]:
    """Merge two rankings into one by a convex sum of min-max normalised scores (Bruch, Gai and Ingber, TOIS 2023).

    Args:
      lexical: score by row, larger is better, any scale; a row that is missing scores 0. If all are equal (one row,
        say), each counts 1.
      dense: likewise.
      dense_weight: dimensionless, in [0, 1].

    Returns: every row seen, best first, ties by row; a score is in [0, 1].

    Raises: ValueError if dense_weight is outside [0, 1] or a score is not finite.
    """
    if not 0.0 <= dense_weight <= 1.0:
        raise ValueError(f"dense_weight is {dense_weight}; allowed is a number from 0 to 1")
    words, meaning = _scaled(lexical), _scaled(dense)
    fused = [
        Scored(no=no, score=min(1.0, (1.0 - dense_weight) * words.get(no, 0.0) + dense_weight * meaning.get(no, 0.0)))
        for no in words.keys() | meaning.keys()
    ]
    return sorted(fused, key=lambda row: (-row.score, row.no))


def _scaled(scores: Mapping[int, float]) -> dict[int, float]:
    if not scores:
        return {}
    if not all(map(math.isfinite, scores.values())):
        raise ValueError("a score is not a finite number")
    # Halved first: the difference of two huge scores would overflow.
    low, high = min(scores.values()) / 2, max(scores.values()) / 2
    span = high - low
    return {no: (score / 2 - low) / span if span > 0.0 else 1.0 for no, score in scores.items()}


def keep_firsts(
    ranked: Sequence[Scored], lexical: Mapping[int, float], dense: Mapping[int, float], limit: int
) -> list[Scored]:
    """Move the first row of each arm up to within the first `max(2, limit)`, should the rest have pushed it below.

    What one arm alone is sure of (an identifier, a paraphrase without a common word) must not fall out of the answer.
    Apply it last, after boosts and sorting: a row that it moves keeps its score, so the scores are not in order there.

    Returns: the same rows; those that were not moved keep their order.
    """
    place = {row.no: position for position, row in enumerate(ranked)}
    head = max(2, limit)
    firsts = {no for no in (_first(lexical), _first(dense)) if no in place}
    below = [row for row in ranked[head:] if row.no in firsts]
    above = list(ranked[:head])
    for _ in below:
        above.remove(next(row for row in reversed(above) if row.no not in firsts))
    moved = {row.no for row in (*above, *below)}
    return [*above, *below, *(row for row in ranked if row.no not in moved)]


def _first(scores: Mapping[int, float]) -> int | None:
    return min(scores, key=lambda no: (-scores[no], no), default=None)
