"""From what a caller typed to an FTS5 expression that no input can break."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from msgspec import Struct

TERMS_MAX_COUNT: Final = 64
"""A query may be 64 KiB long; more OR-ed words than this cost time and find nothing better."""

TERM_MAX_CHARS: Final = 256
"""A longer run is a blob, not a word; as a phrase of thousands of parts it would be dear to look up."""

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
# A combining mark belongs to the letter before it, as in FTS5's tokenizer; else a decomposed accent cuts its word.
_WORD: Final = re.compile(r"\w[\w\u0300-\u036f]*")


class ParsedQuery(Struct, frozen=True, kw_only=True):
    """What a query asks for: `terms`, 0 to 64 words, each once, in the order of their first use."""

    terms: tuple[str, ...]


@cache
def stop_words() -> frozenset[str]:
    """The words of `stopwords.txt`, lower case."""
    lines = Path(__file__).with_name("stopwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def parse_query(text: str) -> ParsedQuery:
    """Read the words of a query.

    Invisible code points vanish; a word is a run of letters, digits and underscores; words that differ only in case are
    one (lower case in ASCII); stop words go unless nothing else is left; the first 64 words stay. Text without a word
    gives no terms: such a query finds nothing.
    """
    words: dict[str, str] = {}
    for word in _words(_INVISIBLE.sub("", text)):
        lowered = word.lower()
        # The tokenizer folds case itself, by older tables than Python's: what is not ASCII is left to it.
        words.setdefault(lowered, lowered if word.isascii() else word)
    telling = [word for lowered, word in words.items() if lowered not in stop_words()] or list(words.values())
    return ParsedQuery(terms=tuple(telling[:TERMS_MAX_COUNT]))


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        word = found.group()
        # The tokenizer takes an underscore for a separator: a run of them alone is a term that nothing matches.
        if len(word) <= TERM_MAX_CHARS and word.strip("_"):
            yield word


def match_any(terms: Sequence[str]) -> str:
    """An FTS5 expression for rows with at least one of the terms; without terms it matches nothing."""
    return " OR ".join(_quoted(terms)) or '""'


def match_all(terms: Sequence[str]) -> str:
    """An FTS5 expression for rows with all terms, in any column; without terms it matches nothing.

    The AND is implicit, because FTS5 then passes over a term in which its tokenizer finds no word.
    """
    return " ".join(_quoted(terms)) or '""'


def _quoted(terms: Iterable[str]) -> Iterator[str]:
    for term in terms:
        escaped = term.replace('"', '""')
        yield f'"{escaped}"'
