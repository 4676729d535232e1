"""Long texts in parts for the index of words: a row is as good as its best part, not thinner for all the others."""

from __future__ import annotations

import re
from typing import Final

WHOLE_MAX_CHARS: Final = 3_000
PART_CHARS: Final = 1_500
PART_BITS: Final = 6
PARTS_MAX_COUNT: Final = 1 << PART_BITS

_REACH: Final = PART_CHARS // 3
_SENTENCE_END: Final = re.compile(r"[.!?\u3002\uff01\uff1f]\s*|\n+")
_WORD_END: Final = re.compile(r"\s+")


def split_parts(text: str) -> list[str]:
    """Cut a text of more than 3,000 characters into parts of about 1,500; joined, they are the text.

    The cut lies behind the last sentence that ends in a part's last third, else behind its last word there, else
    where the part is full. There are 1 to 64 parts: what is left over joins the last one.
    """
    if len(text) <= WHOLE_MAX_CHARS:
        return [text]
    parts: list[str] = []
    begin = 0
    while len(text) - begin > PART_CHARS + _REACH and len(parts) < PARTS_MAX_COUNT - 1:
        end = _cut(text, begin + PART_CHARS - _REACH, begin + PART_CHARS)
        parts.append(text[begin:end])
        begin = end
    return [*parts, text[begin:]]


def _cut(text: str, low: int, high: int) -> int:
    for pattern in (_SENTENCE_END, _WORD_END):
        ends = [match.end() for match in pattern.finditer(text, low, high)]
        if ends:
            return ends[-1]
    return high
