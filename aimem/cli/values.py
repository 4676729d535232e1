"""Reading the values of options."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def integer(text: str) -> int:
    """A decimal integer of at most 18 digits. Raises: ValueError."""
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError(text)
    return int(text)


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


def comma_list(text: str | None) -> list[str] | None:
    """The trimmed parts between commas, without empty ones; None stays None."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
