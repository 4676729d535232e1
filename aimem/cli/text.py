"""Words for people: what a terminal may be sent, ages, sizes and short ids."""

from __future__ import annotations

import re
import unicodedata

from aimem.errors import InvalidRequest
from aimem.model import SECOND_US, Instant, parse_instant

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Controls of writing direction: they can make a terminal show another text than is stored (CVE-2021-42574)."""

_BREAKS = re.compile(r"\s+")
_Y_AFTER_CONSONANT = re.compile(r"[^aeiou]y$")


def printable(text: str) -> str:
    r"""The text with control characters (save line feed and tab) and direction controls shown as `\\xNN` or `\\uNNNN`.

    Stored text comes from anybody; sent raw, an escape sequence could retitle, clear or drive the reader's terminal.
    """
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char in "\n\t":
        return char
    if char in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
        return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
    return char


def printable_json(text: str) -> str:
    """The same for a JSON text, in escapes that leave its value as it is (JSON itself escapes below U+0020 only)."""
    return "".join(char if char in "\n\t" or _shown(char) == char else f"\\u{ord(char):04x}" for char in text)


def one_line(text: str, *, width: int | None = None) -> str:
    """The text as one printable line, cut to `width` characters with an ellipsis."""
    line = printable(_BREAKS.sub(" ", text.strip()))
    return line if width is None or len(line) <= width else line[: width - 1] + "…"


def age(moment: str, now: Instant) -> str:
    """How long ago an RFC 3339 time was: `just now`, `5m ago`, `3h ago`, `2d ago`, `4mo ago`."""
    try:
        minutes = (now - parse_instant(moment, field="time")) // (60 * SECOND_US)
    except InvalidRequest:
        return moment
    for unit, size in (("mo", 30 * 24 * 60), ("d", 24 * 60), ("h", 60), ("m", 1)):
        if minutes >= size:
            return f"{minutes // size}{unit} ago"
    return "just now"


def short_id(memory_id: str) -> str:
    """The first 8 characters: enough to tell memories apart by eye, and a prefix that get and update take."""
    return memory_id[:8]


def size_words(size_bytes: int) -> str:
    """`512 B`, `1.5 KiB`, `20.3 MiB`."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def counted(count: int, noun: str) -> str:
    """`1 memory`, `2 memories`, `3 links`, `4 keys`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if _Y_AFTER_CONSONANT.search(noun) else f"{count} {noun}s"
