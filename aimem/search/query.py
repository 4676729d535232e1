"""From what a caller typed to the words that it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from aimem.model import Words, words

TERMS_MAX_COUNT: Final = 64
"""A query may be 64 KiB long; more OR-ed words than this cost time and find nothing better."""

TERM_MAX_CHARS: Final = 256
"""A longer run is a blob, not a word; as a phrase of thousands of parts it would be dear to look up."""

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
# A combining mark belongs to the letter before it, as in FTS5's tokenizer; else a decomposed accent cuts its word.
_WORD: Final = re.compile(r"\w[\w\u0300-\u036f]*")


@cache
def stop_words() -> frozenset[str]:
    """The words of `stopwords.txt`, lower case."""
    lines = Path(__file__).with_name("stopwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def parse_query(text: str) -> Words:
    """Read the words of a query.

    Invisible code points vanish; a word is a run of letters, digits and underscores; words that differ only in case are
    one (lower case in ASCII); stop words go unless nothing else is left; the first 64 words stay, and as many odd ones.
    Text without a word gives no terms: such a query finds nothing.
    """
    seen = _INVISIBLE.sub("", text)
    terms = _terms(words.spaced(seen))
    odd = words.odd_words(seen)[:TERMS_MAX_COUNT]
    even = frozenset(_terms(words.spaced(words.without_odd_words(seen)))) if odd else frozenset(terms)
    return Words(terms=terms, odd=odd, even=tuple(term for term in terms if term in even))


def _terms(text: str) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for word in _words(text):
        lowered = word.lower()
        # The tokenizer folds case itself, by older tables than Python's: what is not ASCII is left to it.
        found.setdefault(lowered, lowered if word.isascii() else word)
    telling = [word for lowered, word in found.items() if lowered not in stop_words()] or list(found.values())
    return tuple(telling[:TERMS_MAX_COUNT])


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        word = found.group()
        # The tokenizer takes an underscore for a separator: a run of them alone is a term that nothing matches.
        if len(word) <= TERM_MAX_CHARS and word.strip("_"):
            yield word
