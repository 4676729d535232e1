"""How figures and times are said in a few columns."""

from __future__ import annotations

from aimem.errors import InvalidRequest
from aimem.model import SECOND_US, Instant, parse_instant

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


def span(seconds: float) -> str:
    """A length of time: `7s`, `12m`, `3h`, `5d`."""
    whole = max(0, int(seconds))
    return next((f"{whole // size}{unit}" for unit, size in _UNITS if whole >= size), f"{whole}s")


def since(moment: str, wall: Instant) -> str:
    """How long ago a time of the wire was; `?` if it cannot be read."""
    try:
        return span((wall - parse_instant(moment, field="at")) / SECOND_US)
    except InvalidRequest:
        return "?"


def until(moment: str, wall: Instant) -> str:
    """How long it is to a time of the wire, `over` behind it; `?` if it cannot be read."""
    try:
        left_s = (parse_instant(moment, field="at") - wall) / SECOND_US
    except InvalidRequest:
        return "?"
    return span(left_s) if left_s > 0 else "over"


def clock_time(moment: str) -> str:
    """The time of day of a time of the wire, UTC."""
    return moment[11:19] if len(moment) >= 19 and moment[10] == "T" else moment[:8]


def millis(value: float | None) -> str:
    """Milliseconds in five columns: `0.4`, `12`, `1.2s`."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f}"
    return f"{value:.0f}" if value < 1000 else f"{value / 1000:.1f}s"


def count(value: int | None) -> str:
    """A count in six columns: `9999`, `12.3k`, `4.5M`."""
    if value is None:
        return "-"
    if value < 10_000:
        return str(value)
    return f"{value / 1e3:.1f}k" if value < 1_000_000 else f"{value / 1e6:.1f}M"


def counted(number: int, noun: str) -> str:
    """`1 write`, `2 writes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
