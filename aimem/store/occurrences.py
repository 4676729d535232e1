"""How often the words of a query stand in texts, as the index's own tokenizer has them.

To hand that tokenizer all texts costs more than all else about ranking them. So texts of ASCII, where a word is a run
of letters and digits, are only searched for the beginnings of the words, and the tokenizer is asked for the token of
each word found, once in a process. Texts with other characters it gets as they are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from msgspec import Struct

from aimem.ports import Connection
from aimem.store import scratch
from aimem.store.scratch import Instance, Texts

Phrase = tuple[str, ...]
"""Tokens that follow each other; mostly one."""

KNOWN_MAX_COUNT: Final = 50_000
"""Words whose tokens are kept, about 10 MB; beyond, all are forgotten."""

# The tokenizer stems words of three characters and more; a word of more than 64 is its own token.
STEMMED_MIN_CHARS: Final = 3
STEMMED_MAX_CHARS: Final = 64

_COLUMNS: Final = ("title", "content", "tags", "context")
_FOLDED: Final = "".join(chr(code).lower() if chr(code).isalnum() else " " for code in range(128))


def frequencies(
    conn: Connection, texts: Sequence[Texts], phrases: Sequence[Phrase], weights: Mapping[str, float]
) -> list[dict[int, float]]:
    """Count phrases in texts.

    Args:
      weights: what an occurrence counts, by the name of its column.

    Returns: for each phrase, number of the text -> its occurrences; a text without any is left out.
    """
    counted: list[dict[int, float]] = [defaultdict(float) for _ in phrases]
    plain = [no for no, text in enumerate(texts) if all(map(str.isascii, text))]
    _count_plain(conn, texts, plain, phrases, weights, counted)
    if len(plain) < len(texts):
        others = sorted(set(range(len(texts))).difference(plain))
        _count_others(conn, texts, others, phrases, weights, counted)
    return counted


class _Tokens:
    """The tokens of words, as far as they were asked for. Any thread may ask."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, conn: Connection, words: set[str]) -> Mapping[str, str]:
        """The token of each of these words (ASCII letters in lower case, and digits), and of others."""
        known = self._known
        unknown = sorted(words.difference(known))
        if unknown:
            if len(known) + len(unknown) > KNOWN_MAX_COUNT:
                known = self._known = {}    # another thread may still be reading the old one
                unknown = sorted(words)
            asked = [word for word in unknown if STEMMED_MIN_CHARS <= len(word) <= STEMMED_MAX_CHARS]
            stemmed = zip(asked, scratch.tokens_of_text(conn, " ".join(asked)), strict=True)
            known |= dict(zip(unknown, unknown, strict=True)) | dict(stemmed)
        return known


_TOKENS: Final = _Tokens()


class _Plain(Struct, frozen=True):
    """Texts of ASCII in one: folded, with a space before each word, and where each column begins."""

    text: str
    starts: list[int]

    def words_from(self, start: int) -> list[str]:
        """The words from a place to the end of its column."""
        column = bisect_right(self.starts, start)
        end = self.starts[column] if column < len(self.starts) else len(self.text)
        return self.text[start:end].split()

    def places(self, beginning: str) -> Iterator[tuple[int, str]]:
        """Each word that begins so, and where."""
        text, needle = self.text, f" {beginning}"
        at = text.find(needle)
        while at >= 0:
            end = text.find(" ", at + 1)
            yield at + 1, text[at + 1 : end]
            at = text.find(needle, end)


def _count_plain(
    conn: Connection, texts: Sequence[Texts], plain: Sequence[int], phrases: Sequence[Phrase],
    weights: Mapping[str, float], counted: Sequence[dict[int, float]],
) -> None:
    columns = [f" {column}" for no in plain for column in texts[no]]
    whole = _Plain(f"{''.join(columns)} ".translate(_FOLDED), [0, *accumulate(map(len, columns))])
    found = [[place for begin in _beginnings(phrase[0]) for place in whole.places(begin)] for phrase in phrases]
    tokens = _TOKENS.of(conn, {word for places in found for _, word in places})
    weight = [weights[column] for column in _COLUMNS]
    for phrase, places, frequency in zip(phrases, found, counted, strict=True):
        for start, word in places:
            if tokens[word] == phrase[0] and (len(phrase) == 1 or _follow(conn, phrase, whole.words_from(start))):
                text, column = divmod(bisect_right(whole.starts, start) - 1, len(_COLUMNS))
                frequency[plain[text]] += weight[column]


def _beginnings(token: str) -> tuple[str, ...]:
    """How every word of a token begins: stemming cuts a word off and may then change one letter, or add it."""
    if len(token) >= STEMMED_MIN_CHARS:
        return (token[:-1],)
    return (token, f"{token[:-1]}y") if token.endswith("i") else (token,)


def _follow(conn: Connection, phrase: Phrase, words: Sequence[str]) -> bool:
    """Whether words begin with a phrase."""
    first = words[: len(phrase)]
    tokens = _TOKENS.of(conn, set(first))
    return tuple(tokens[word] for word in first) == phrase


def _count_others(
    conn: Connection, texts: Sequence[Texts], others: Sequence[int], phrases: Sequence[Phrase],
    weights: Mapping[str, float], counted: Sequence[dict[int, float]],
) -> None:
    places = _places(scratch.instances(conn, (texts[no] for no in others), {t for phrase in phrases for t in phrase}))
    for phrase, frequency in zip(phrases, counted, strict=True):
        for (text, column), offsets in places[phrase[0]].items():
            starts = set(offsets)
            for i, token in enumerate(phrase[1:], 1):
                starts &= {offset - i for offset in places[token].get((text, column), ())}
            if starts:
                frequency[others[text]] += weights[column] * len(starts)


def _places(found: Iterable[Instance]) -> Mapping[str, dict[tuple[int, str], set[int]]]:
    """Token -> (text, column) -> offsets."""
    places: dict[str, dict[tuple[int, str], set[int]]] = defaultdict(lambda: defaultdict(set))
    for instance in found:
        places[instance.token][instance.text, instance.column].add(instance.offset)
    return places
