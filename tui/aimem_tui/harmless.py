"""Text of memories, agents and nodes is data: here it is made fit for a terminal, and nowhere else."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LIMIT_CHARS: Final = 500
MARKS_MAX: Final = 3
"""Marks over one letter; more of them would climb over the neighbouring lines."""

_DROPPED: Final = frozenset(map(chr, (0x200C, 0x200D, 0x034F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""Joiners and variation selectors: terminals disagree on how wide what they join is, and the line would shift."""
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, what reorders a line, halves of surrogate pairs, what is private or unassigned, what breaks a line."""
_ESCAPE: Final = re.compile(r"\\\\|\\u([0-9a-fA-F]{4})|\\U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})")
"""A backslash that stands for itself, or a character by its number."""


def harmless(text: str, limit: int = LIMIT_CHARS) -> str:
    """One line that draws what it says: nothing in it moves the cursor, reorders, or breaks the line.

    What would do so is shown as an escape; line breaks and tabs become blanks. The result is plain text: whoever draws
    it must not read markup in it.

    Args:
      limit: characters of the result, at most; what is cut off leaves an ellipsis.
    """
    shown: list[str] = []
    length = marks = 0
    for char in text:
        piece, marks = _piece(char, marks)
        length += len(piece)
        if length > limit:
            return "".join(shown)[: max(0, limit - 1)] + "…"
        shown.append(piece)
    return "".join(shown)


def harmless_lines(text: str, limit: int = 400) -> tuple[str, ...]:
    """The same for a text of several lines, of which there are at most so many."""
    lines = text.replace("\r\n", "\n").split("\n")
    shown = tuple(harmless(line, 4 * LIMIT_CHARS) for line in lines[:limit])
    return shown if len(lines) <= limit else (*shown, f"… {len(lines) - limit} more lines")


def drawable(text: str) -> str:
    """A text as an editor may draw it: lines and tabs stay, all that acts, joins or piles up is an escape."""
    shown: list[str] = []
    marks = 0
    for char in text:
        kind = unicodedata.category(char)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        acts = kind in _ESCAPED or char in _DROPPED or marks > MARKS_MAX
        shown.append(_escape(char) if acts and char not in "\n\t" else char)
    return "".join(shown)


def editable(text: str) -> str:
    """A text as an editor shows it, from which `edited` makes exactly the same again: a backslash is doubled."""
    return drawable(text.replace("\\", "\\\\"))


def edited(shown: str) -> str:
    """What an editor's text means. A backslash that begins no escape is one."""
    return _ESCAPE.sub(lambda one: chr(int(one[1] or one[2], 16)) if one[1] or one[2] else "\\", shown)


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if char <= "\uffff" else f"\\U{ord(char):08x}"


def _piece(char: str, marks: int) -> tuple[str, int]:
    """What stands for a character, and how many marks stand over the last letter by then."""
    if " " <= char <= "~":
        return char, 0
    if char in "\n\t\r":
        return " ", 0
    if char in _DROPPED:
        return "", marks
    kind = unicodedata.category(char)
    if kind in _ESCAPED:
        return f"\\u{ord(char):04x}", 0
    if kind in ("Mn", "Me"):
        return (char if marks < MARKS_MAX else ""), marks + 1
    return char, 0
