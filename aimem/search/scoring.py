"""What moves a row after relevance is settled: factors too small to drown it; and the token budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from aimem.model import DAY_S, SECOND_US, Instant, Namespace, Tier

# Shares of a score. Together they move a row by -5 % to +12 %: enough to order near ties, never to pass a clear answer.
_PRIORITY_STEP: Final = 0.005
_CONFIDENCE_SHARE: Final = 0.03
_TIER_STEP: Final = 0.01
_ACCESS_SHARE: Final = 0.02
_RECENCY_SHARE: Final = 0.05

_ACCESS_FULL: Final = 50
"""More reads than this add nothing: what is read often would else be read for ever."""

_MEAN_PRIORITY: Final = 5

_DISTANCE_WEIGHT: Final = 0.3


def importance(*, priority: int, confidence: float, tier: Tier, access_count: int) -> float:
    """A factor for a fused score, in [0.95, 1.07]; 1 for a sure short memory of priority 5 that nobody has read.

    Args:
      priority: 1 to 10.
      confidence: in [0, 1].
      tier: how long the memory is meant to live.
      access_count: of this node, 0 or more.
    """
    reads = math.log1p(min(access_count, _ACCESS_FULL)) / math.log1p(_ACCESS_FULL)
    return (
        (1.0 + _PRIORITY_STEP * (priority - _MEAN_PRIORITY))
        * (1.0 - _CONFIDENCE_SHARE * (1.0 - confidence))
        * (1.0 + _TIER_STEP * tier.rank)
        * (1.0 + _ACCESS_SHARE * reads)
    )


def recency(*, updated_at: Instant, now: Instant, half_life_days: float | None) -> float:
    """A factor for a fused score, in [1, 1.05]: what it adds halves every `half_life_days`; None adds nothing.

    The age is that of the last meaningful change, so an old memory that was just corrected is fresh. A change in the
    future (another node's clock) counts as now.
    """
    if half_life_days is None:
        return 1.0
    age_days = max(0, now - updated_at) / (DAY_S * SECOND_US)
    return float(1.0 + _RECENCY_SHARE * 0.5 ** (age_days / half_life_days))


def proximity(*, asked: Namespace, found: Namespace) -> float:
    """A factor for recall that takes in ancestors, in (0, 1]: 1 in the namespace asked for, less with each level up."""
    above = max(0, _depth(asked) - _depth(found))
    return 1.0 / (1.0 + _DISTANCE_WEIGHT * above)


def _depth(namespace: Namespace) -> int:
    return namespace.count("/") + 1


def token_cost(title: str, content: str) -> int:
    """About how many tokens of a language model a row takes: a quarter of its UTF-8 bytes, rounded down."""
    return (len(title.encode()) + len(content.encode())) // 4


def fit_budget(sizes: Sequence[int], budget: int | None) -> list[int]:
    """Choose the rows that fit.

    A row that does not fit is passed over and the next ones are tried; the first row is always there, or one long
    memory on top would empty the answer.

    Args:
      sizes: cost of each row by `token_cost`, best row first.
      budget: tokens to spend; None for no bound.

    Returns: positions in `sizes`, ascending.
    """
    if budget is None:
        return list(range(len(sizes)))
    chosen: list[int] = []
    left = budget
    for position, size in enumerate(sizes):
        if position == 0 or size <= left:
            chosen.append(position)
            left -= size
    return chosen
