"""Whether two memories contradict each other, as far as a comparison can tell: no model, always the same answer.

They do if they are about the same thing, hold at the same time, and a sentence of each says the same words with another
value: another number or date, a negation, the opposite of a word. It finds what is stated plainly, and little else: a
rename ("the owner is Ann", "the owner is Bob") is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.model import Instant, Memory, parse_instant
from aimem.search import stop_words

SENTENCES_MAX_COUNT: Final = 50
"""Of each memory; the pairs of them bound the work."""

TITLES_ALIKE: Final = 0.5
SENTENCES_ALIKE: Final = 0.6
"""Share of the words of two sentences that both have, values apart (Jaccard)."""

_SUBJECT_KEYS: Final = ("topic", "entity", "entity_id", "subject")

_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])\s+|\n+")
_TOKEN: Final = re.compile(r"[^\W_]+(?:[-:./'’,][^\W_]+)*%?")
_VALUE: Final = re.compile(r"v?\d[\dtz:./,+-]*(?:[a-z]{1,4}|%)?", re.IGNORECASE)
_NEGATIONS: Final = frozenset({
    "not", "no", "never", "none", "neither", "nor", "without", "cannot", "nicht", "nie", "niemals", "kein", "keine",
    "keinen", "keiner", "ohne",
})
_AFFIRMATIONS: Final = frozenset({"yes", "always", "immer", "with", "mit"})
"""Words whose opposite is a negation: left out of a sentence's words as that one is."""

_OPPOSITES: Final = (
    ("enabled", "disabled"), ("on", "off"), ("true", "false"), ("allowed", "forbidden"),
    ("allow", "deny"), ("open", "closed"), ("active", "inactive"), ("public", "private"), ("required", "optional"),
    ("before", "after"), ("first", "last"), ("up", "down"), ("valid", "invalid"),
    ("accepted", "rejected"), ("supported", "unsupported"), ("deprecated", "recommended"), ("increase", "decrease"),
)
_OPPOSITE_OF: Final = {one: pair for pair in _OPPOSITES for one in pair}


class Difference(Struct, frozen=True, kw_only=True):
    """What was found. `reason` names the values, or says why there is no contradiction."""

    contradicts: bool
    reason: str


class Statement(Struct, frozen=True, kw_only=True):
    """A sentence, taken apart.

    Attributes:
      words: what it speaks of, without stop words and values.
      values: numbers and dates.
      poles: words that have an opposite.
      is_negated: whether an odd number of negations stands in it.
    """

    words: frozenset[str]
    values: frozenset[str]
    poles: frozenset[str]
    is_negated: bool


def compare(one: Memory, other: Memory) -> Difference:
    """Look for a contradiction between two memories."""
    if not _are_valid_together(one, other):
        return Difference(contradicts=False, reason="they are valid at different times")
    if not _share_subject(one, other):
        return Difference(contradicts=False, reason="they are not about the same thing")
    others = tuple(_statements(other.content))
    for mine in _statements(one.content):
        for theirs in others:
            if reason := _conflict(mine, theirs):
                return Difference(contradicts=True, reason=reason)
    return Difference(contradicts=False, reason="no sentence of one says otherwise than one of the other")


def _are_valid_together(one: Memory, other: Memory) -> bool:
    """Whether the times that `metadata.valid_from` and `valid_until` name have a moment in common."""
    (begin, end), (start, stop) = _validity(one), _validity(other)
    return (end is None or start is None or start < end) and (stop is None or begin is None or begin < stop)


def _validity(memory: Memory) -> tuple[Instant | None, Instant | None]:
    return _moment(memory, "valid_from"), _moment(memory, "valid_until")


def _moment(memory: Memory, key: str) -> Instant | None:
    given = memory.metadata.get(key)
    try:
        return parse_instant(given, field=key) if isinstance(given, str) else None
    except InvalidRequest:
        return None


def _share_subject(one: Memory, other: Memory) -> bool:
    for key in _SUBJECT_KEYS:
        mine, theirs = one.metadata.get(key), other.metadata.get(key)
        if isinstance(mine, str) and isinstance(theirs, str) and mine.strip():
            return mine.strip().casefold() == theirs.strip().casefold()
    titles = [_statement(memory.title).words for memory in (one, other)]
    return _likeness(*titles) >= TITLES_ALIKE


def _statements(text: str) -> Iterator[Statement]:
    for sentence in _SENTENCE_END.split(text)[:SENTENCES_MAX_COUNT]:
        statement = _statement(sentence)
        if statement.words:
            yield statement


def _statement(sentence: str) -> Statement:
    tokens = [token.casefold().replace("’", "'") for token in _TOKEN.findall(sentence)]
    values = frozenset(token.rstrip(".,:") for token in tokens if _VALUE.fullmatch(token))
    negations = [token for token in tokens if token in _NEGATIONS or token.endswith("n't")]
    poles = frozenset(token for token in tokens if token in _OPPOSITE_OF)
    left_out = stop_words() | _AFFIRMATIONS | values | poles | set(negations)
    return Statement(
        words=frozenset(token for token in tokens if token not in left_out), values=values, poles=poles,
        is_negated=len(negations) % 2 == 1,
    )


def _conflict(mine: Statement, theirs: Statement) -> str:
    """What two sentences about the same say differently, in words; empty if nothing."""
    if _likeness(mine.words, theirs.words) < SENTENCES_ALIKE:
        return ""
    here, there = mine.values - theirs.values, theirs.values - mine.values
    if here and there:
        return f"different values: {', '.join(sorted(here))} / {', '.join(sorted(there))}"
    if here or there:
        return ""       # one says more than the other
    for pole in sorted(mine.poles):
        pair = _OPPOSITE_OF[pole]
        opposite = pair[1] if pole == pair[0] else pair[0]
        if opposite in theirs.poles and pole not in theirs.poles and opposite not in mine.poles:
            return "" if mine.is_negated != theirs.is_negated else f"opposites: {pole} / {opposite}"
    if mine.is_negated != theirs.is_negated:
        return "one denies what the other states"
    return ""


def _likeness(mine: frozenset[str], theirs: frozenset[str]) -> float:
    """Jaccard's index; 0 if both are empty, for then nothing says that they are about the same."""
    together = mine | theirs
    return len(mine & theirs) / len(together) if together else 0.0
