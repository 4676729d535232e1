"""The relevance floor: whether a row says anything at all on a question, or was only the best of nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from aimem.model import Memory
from aimem.search.tuning import MEANING_FLOOR, SENSE_FLOOR, WORDS_FLOOR

TEXT_READ_CHARS: Final = 16_384
"""A longer text holds so many words that the lack of some says nothing: it stays."""

_ENDING_CHARS: Final = 3
_STEM_MIN_CHARS: Final = 4


def below_floor(
    terms: Sequence[str],
    lexical: Collection[int],
    cosines: Mapping[int, float],
    texts: Mapping[int, Memory],
) -> frozenset[int]:
    """The candidates that have nothing to do with the question.

    Only the model can say so: without cosines (in keyword mode) all stay, and so does a row that has no vector yet. A
    row falls if

    - it shares no word with the question, and its cosine is below 0.2; or
    - no candidate's cosine reaches 0.15, and it holds less than half of the question's words. Questions with words of
      other scripts are spared: the model reads English.

    Args:
      terms: the question's words, without stop words.
      lexical: rows that the words found.
      cosines: of the candidates that have a vector.
      texts: the rows that the words found; needed if the question is senseless, and those that are missing stay.
    """
    is_out = is_senseless(terms, cosines)
    return frozenset(
        no
        for no, cosine in cosines.items()
        if (no not in lexical and cosine < MEANING_FLOOR)
        or (is_out and no in lexical and no in texts and share_held(terms, texts[no]) < WORDS_FLOOR)
    )


def is_senseless(terms: Sequence[str], cosines: Mapping[int, float]) -> bool:
    """Whether no candidate means anything like the question, as far as the model can tell."""
    return bool(cosines) and max(cosines.values()) < SENSE_FLOOR and all(term.isascii() for term in terms)


def share_held(terms: Sequence[str], memory: Memory) -> float:
    """Which share of some words a memory holds, endings aside, in [0, 1]; 1 for a very long text, or without words."""
    if not terms or len(memory.content) > TEXT_READ_CHARS:
        return 1.0
    title = "" if memory.title_generated else memory.title
    text = f"{title}\n{memory.content}\n{' '.join(memory.tags)}".lower()
    return sum(_stem(term) in text for term in terms) / len(terms)


def _stem(term: str) -> str:
    """The beginning that most forms of an English word share; rather too short, so that rather more stays."""
    return term.lower()[: max(_STEM_MIN_CHARS, len(term) - _ENDING_CHARS)]
