"""What moves a row after relevance is settled: factors too small to drown it; and the token budget."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from aimem.model import DAY_S, SECOND_US, Candidate, Instant, Namespace
from aimem.search.tuning import (
    ACCESS_FULL,
    ACCESS_SHARE,
    CONFIDENCE_SHARE,
    DISTANCE_WEIGHT,
    PRIORITY_STEP,
    RECENCY_SHARE,
    TIER_STEP,
)

_MEAN_PRIORITY: Final = 5

_SECOND_PERSON: Final = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)


class Boosts(Struct, frozen=True, kw_only=True):
    """What a score is multiplied by, a factor a reason; each is 1 for an unread, sure, short, old row of priority 5."""

    priority: float
    confidence: float
    tier: float
    access: float
    recency: float
    proximity: float

    @property
    def factor(self) -> float:
        """All of them, multiplied in the order of the fields."""
        return self.priority * self.confidence * self.tier * self.access * self.recency * self.proximity


def boosts(memory: Candidate, *, now: Instant, half_life_days: float | None, asked: Namespace | None) -> Boosts:
    """The factors of a memory; without proximity their product lies in [0.95, 1.125].

    Args:
      half_life_days: of recency, for the memory's tier; None if age does not count.
      asked: the namespace whose ancestors are searched too; None if none are.
    """
    reads = math.log1p(min(memory.access_count, ACCESS_FULL)) / math.log1p(ACCESS_FULL)
    return Boosts(
        priority=1.0 + PRIORITY_STEP * (memory.priority - _MEAN_PRIORITY),
        confidence=1.0 - CONFIDENCE_SHARE * (1.0 - memory.confidence),
        tier=1.0 + TIER_STEP * memory.tier.rank,
        access=1.0 + ACCESS_SHARE * reads,
        recency=recency(updated_at=memory.updated_at, now=now, half_life_days=half_life_days),
        proximity=1.0 if asked is None else proximity(asked=asked, found=memory.namespace),
    )


def recency(*, updated_at: Instant, now: Instant, half_life_days: float | None) -> float:
    """A factor for a fused score, in [1, 1.05]: what it adds halves every `half_life_days`; None adds nothing.

    The age is that of the last meaningful change, so an old memory that was just corrected is fresh. A change in the
    future (another node's clock) counts as now.
    """
    if half_life_days is None:
        return 1.0
    age_days = max(0, now - updated_at) / (DAY_S * SECOND_US)
    return float(1.0 + RECENCY_SHARE * 0.5 ** (age_days / half_life_days))


def proximity(*, asked: Namespace, found: Namespace) -> float:
    """A factor for recall that takes in ancestors, in (0, 1]: 1 in the namespace asked for, less with each level up."""
    above = max(0, _depth(asked) - _depth(found))
    return 1.0 / (1.0 + DISTANCE_WEIGHT * above)


def _depth(namespace: Namespace) -> int:
    return namespace.count("/") + 1


def is_user_turn(candidate: Candidate) -> bool:
    """Whether a memory is what a user said in a dialogue."""
    return candidate.role == "user"


def asks_of_assistant(text: str) -> bool:
    """Whether a question speaks to an assistant ("what did you recommend?"): its turns then answer as well as any."""
    return _SECOND_PERSON.search(text) is not None


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
