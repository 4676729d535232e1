"""Stamping: the wall clock. Waiting uses Trio's clock."""

from __future__ import annotations

import time
from typing import Protocol

from aimem.model import Instant


class Clock(Protocol):
    """Tells the present moment; may step backwards, as wall clocks do."""

    def now(self) -> Instant:
        """Microseconds since 1970-01-01T00:00:00Z."""
        ...


class _SystemClock:
    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000)


def system_clock() -> Clock:
    """The clock of the machine."""
    return _SystemClock()
