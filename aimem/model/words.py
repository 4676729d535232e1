"""The words of a text: those that a full-text index finds by itself, and the odd ones that it cannot.

A tokenizer of words takes a run of Chinese or Japanese for one word and cuts `v1.2.3` into three. Such odd words are
found by their grams instead: overlapping pairs of characters where a script does not space its words, else triples.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

from msgspec import Struct

ODD_MAX_CHARS: Final = 64
"""Longer runs of letters and digits are blobs (keys, encoded files), of which the beginning tells them apart."""

# Scripts without spaces between words (Thai, Lao, Burmese, Khmer, kana, Han), and Hangul, whose words carry endings.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_HINT: Final = re.compile(r"[0-9_]|[a-z][A-Z]|[^\x00-\u024f]")      # most texts have no odd word, and no hint of one
_MARK: Final = re.compile(r"[0-9_]|[a-z][A-Z]")
_IS_NAMED: Final = re.compile(r"[A-Za-z_]")
_IDENTIFIER_MIN_CHARS: Final = 4
_NUMBER_MIN_CHARS: Final = 7


class Words(Struct, frozen=True, kw_only=True):
    """What a query asks for.

    Attributes:
      terms: its words, each once, in the order of their first use.
      odd: its odd words, in the form that `odd_words` gives them.
      even: those of `terms` that are no piece of an odd word.
    """

    terms: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    even: tuple[str, ...] = ()


# Compiled when they are first needed: sets of so many characters take 12 ms, a tenth of what `--help` may.


@cache
def _has_unspaced() -> re.Pattern[str]:
    return re.compile(f"[{_UNSPACED}]")


@cache
def _seam() -> re.Pattern[str]:
    return re.compile(f"(?<=[0-9A-Za-z])(?=[{_UNSPACED}])|(?<=[{_UNSPACED}])(?=[0-9A-Za-z])")


@cache
def _maybe_odd() -> re.Pattern[str]:
    return re.compile(f"(?P<run>[{_UNSPACED}]+)|[0-9A-Za-z_]+(?:[./:@#+-][0-9A-Za-z_]+)*")


def spaced(text: str) -> str:
    """The text with a space wherever Latin letters or digits touch a script that does not space its words."""
    return text if text.isascii() or not _has_unspaced().search(text) else _seam().sub(" ", text)


def odd_words(text: str) -> tuple[str, ...]:
    """Runs of unspaced scripts, and identifiers (digits among letters, underscores, camel case), each once, folded.

    Short ones (`3rd`, `2024`) are left to the index of words, which finds them whole.
    """
    return tuple(dict.fromkeys(_odd_words(text)))


def has_odd_word(text: str) -> bool:
    """Whether `odd_words` finds any."""
    return next(_odd_words(text), None) is not None


def _odd_words(text: str) -> Iterator[str]:
    if _HINT.search(text):
        for match in _maybe_odd().finditer(unicodedata.normalize("NFKC", text)):
            word = match.group()
            if match["run"]:
                yield word
            elif _is_identifier(word):
                yield word[:ODD_MAX_CHARS].lower()


def without_odd_words(text: str) -> str:
    """The rest of a text, with a space for each odd word."""
    if text.isascii() and not _HINT.search(text):
        return text
    return _maybe_odd().sub(
        lambda match: " " if match["run"] or _is_identifier(match.group()) else match.group(),
        unicodedata.normalize("NFKC", text),
    )


def _is_identifier(word: str) -> bool:
    if len(word) < _IDENTIFIER_MIN_CHARS or not _MARK.search(word):
        return False
    return len(word) >= _NUMBER_MIN_CHARS or _IS_NAMED.search(word) is not None


def is_unspaced(word: str) -> bool:
    """Whether an odd word is a run of a script that does not space its words."""
    return not word[0].isascii()


def grams_of(word: str) -> tuple[str, ...]:
    """The pieces of an odd word that an index holds: each once, in order.

    A run gives pairs, and its last character alone, so that each of its characters begins some gram; an identifier
    gives triples.
    """
    if is_unspaced(word):
        return tuple(dict.fromkeys(word[i : i + 2] for i in range(len(word))))
    return tuple(dict.fromkeys(word[i : i + 3] for i in range(len(word) - 2)))


def grams_asked(word: str) -> tuple[str, ...]:
    """The pieces by which an odd word is looked for: a single character stands for all grams that it begins."""
    found = grams_of(word)
    return found if len(word) == 1 else tuple(gram for gram in found if len(gram) > 1)
