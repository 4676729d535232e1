"""How fast one agent may ask, and how much it may keep: arithmetic alone, with the time handed in."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from msgspec import Struct

AGENTS_COUNT: Final = 4096
"""Agents whose rates are known at a time; beyond that the one that was quiet for the longest is taken for a new one."""
DEBT_MAX_S: Final = 3600.0
"""How long an agent waits at most that did much in one request."""


class Rate(Struct, frozen=True):
    """So many a second in the long run (> 0), and so many at once (>= 1) after a rest."""

    per_s: float
    burst: float

    @property
    def interval_s(self) -> float:
        """Seconds that one takes."""
        return 1 / self.per_s


class Buckets:
    """A token bucket per agent, kept as one moment: when all tokens would be back (the generic cell rate algorithm).

    Within any t seconds an agent takes at most `per_s * t + burst`, however its takings lie.
    """

    def __init__(self, rate: Rate, agents_count: int = AGENTS_COUNT) -> None:
        self._rate, self._agents_count = rate, agents_count
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, agent: str, now_s: float) -> float:
        """Take a token.

        Returns: 0, or in how many seconds there will be one; none is taken then.
        """
        full_at = max(self._full_at.get(agent, now_s), now_s) + self._rate.interval_s
        wait_s = full_at - now_s - self._rate.burst * self._rate.interval_s
        # What was told to wait for must be enough, and sums of moments are as exact as floats of their size.
        if wait_s > 4 * math.ulp(now_s):
            return wait_s
        self._keep(agent, full_at)
        return 0.0

    def charge(self, agent: str, count: int, now_s: float) -> None:
        """Take tokens for what was done already: where they are not there, the agent owes them."""
        owed_until = max(self._full_at.get(agent, now_s), now_s) + count * self._rate.interval_s
        self._keep(agent, min(owed_until, now_s + self._rate.burst * self._rate.interval_s + DEBT_MAX_S))

    def _keep(self, agent: str, full_at: float) -> None:
        self._full_at[agent] = full_at
        self._full_at.move_to_end(agent)
        if len(self._full_at) > self._agents_count:
            self._full_at.popitem(last=False)

    def __len__(self) -> int:
        return len(self._full_at)


class Held(Struct, frozen=True):
    """What an agent keeps: live memories that it is the author of, and the bytes of their content."""

    memories: int
    content_bytes: int
