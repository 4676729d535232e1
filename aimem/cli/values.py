"""Reading the values of options."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_LIFETIME = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def integer(text: str) -> int:
    """A decimal integer of at most 18 digits. Raises: ValueError."""
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError(text)
    return int(text)


def integers(text: str) -> tuple[int, ...]:
    """One or more of them, divided by commas. Raises: ValueError."""
    return tuple(map(integer, text.split(",")))


def number(text: str) -> float:
    """A finite decimal number; `nan` would travel as JSON null and so become the default. Raises: ValueError."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def one_tag(text: str) -> str:
    """A tag to filter by; a comma would be a list of them, which no filter takes. Raises: ArgumentTypeError."""
    if "," in text:
        raise ArgumentTypeError(f"{text[:64]!r} has a comma; give one tag")
    return text


def lifetime(text: str) -> int | str:
    """When something ends: seconds from now for `90d`, `12h`, `30m`, `45s` or `2w`, else the text, a moment."""
    if found := _LIFETIME.fullmatch(text.strip()):
        return int(found[1]) * _UNITS_S[found[2]]
    return text.strip()


def comma_list(text: str | None) -> list[str] | None:
    """The trimmed parts between commas, without empty ones; None stays None."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
