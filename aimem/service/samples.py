"""Figures for monitoring, as values."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Sample(Struct, frozen=True, kw_only=True):
    """One figure for monitoring; of a histogram `value` is the sum, and `buckets` are upper bound -> count up to it."""

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    value: float
    labels: tuple[tuple[str, str], ...] = ()
    buckets: tuple[tuple[str, float], ...] = ()
