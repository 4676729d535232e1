"""Made-up conversations for benches: as many as wanted, the same for everybody, with the word frequencies of real ones.

Calibrated on the user turns of LongMemEval: about 48 words a turn, half of them function words; a question's words
together occur in a tenth of all rows (median) to a third (95th percentile), which decides what a keyword search costs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from msgspec import Struct

TURNS_A_CONVERSATION: Final = 10

# The commonest first, in the order in which people who talk with an assistant use them.
_FUNCTION_TEXT: Final = """
i to the and a my for of in can that me you it some with on have any do be this at about as is what are was how so just
by if or would from which an been when had your there we she our they who
"""
_COMMON_TEXT: Final = """
think more way like also tips good really new help recommendations make looking great know sure get trying try
definitely interested recommend using got tell thanks planning want give check need getting helpful use one idea
suggestions time recently wondering since start actually online see especially work trip find heard lately well learning
keep last advice specific different during options around considering lot local back something now create before best go
area still explore take week next suggest making excited focus information stay plan recipe bit love improve day maybe
similar track amazing ask music provide experience add set already started book month learn event after today things
look better working taking social list weekend process daily soon research home friend family city food party store
friends project schedule dinner gift long
"""
_FUNCTION_WORDS: Final = tuple(_FUNCTION_TEXT.split())
_COMMON_WORDS: Final = tuple(_COMMON_TEXT.split())
_CONSONANTS: Final = "bcdfghklmnprstvwz"
_VOWELS: Final = "aeiou"

_GENERAL_COUNT: Final = 20_000
_GENERAL_SHIFT: Final = 9
"""Zipf's law as Mandelbrot mended it: the frequency of the word of rank r falls as 1 / (r + shift)."""

_SUBJECT_COUNT: Final = 1_000
_SUBJECT_WORDS: Final = 30
_FUNCTION_SHARE: Final = 0.5
_SUBJECT_SHARE: Final = 0.25
_SENTENCE_WORDS: Final = (7, 20)
_SENTENCES: Final = (2, 5)


class Turn(Struct, frozen=True, kw_only=True):
    """One row: what was said, by whom, in which conversation."""

    text: str
    role: str
    conversation: int


class Corpus:
    """Turns and questions by number; a number's text depends on the seed and the number alone."""

    def __init__(self, seed: int = 1) -> None:
        rng = random.Random(seed)
        self._seed = seed
        made = (_made_word(rng) for _ in range(_GENERAL_COUNT - len(_COMMON_WORDS)))
        self._general = (*_COMMON_WORDS, *made)
        self._general_weights = tuple(accumulate(1 / (rank + _GENERAL_SHIFT) for rank in range(1, _GENERAL_COUNT + 1)))
        self._function_weights = tuple(accumulate(1 / (rank + 2) for rank in range(len(_FUNCTION_WORDS))))
        self._subjects = tuple(_subject(rng) for _ in range(_SUBJECT_COUNT))

    def turn(self, number: int) -> Turn:
        """A row's text: two to five sentences on its conversation's subject."""
        conversation = number // TURNS_A_CONVERSATION
        rng, subject = self._rng("turn", number), self._subject_of(conversation)
        sentences = (self._sentence(rng, subject) for _ in range(rng.randint(*_SENTENCES)))
        role = "assistant" if number % 2 else "user"
        return Turn(text=" ".join(sentences), role=role, conversation=conversation)

    def title(self, number: int) -> str:
        """A title for a row: five telling words, two of them of its subject."""
        rng = self._rng("title", number)
        subject = self._subject_of(number // TURNS_A_CONVERSATION)
        return " ".join([*rng.sample(subject, 2), *self._general_words(rng, 3)]).capitalize()

    def question(self, number: int, rows: int) -> str:
        """A question that a conversation among the first `rows` turns answers: some 14 words, half of them telling."""
        rng = self._rng("question", number)
        subject = self._subject_of(rng.randrange(max(1, rows // TURNS_A_CONVERSATION)))
        telling = [*rng.sample(subject, 3), *self._general_words(rng, 4)]
        rng.shuffle(telling)
        words = ["what"]
        for word in telling:
            words += [*rng.choices(_FUNCTION_WORDS, cum_weights=self._function_weights), word]
        return " ".join(words).capitalize() + "?"

    def _rng(self, what: str, number: int) -> random.Random:
        return random.Random(f"{self._seed}/{what}/{number}")

    def _subject_of(self, conversation: int) -> Sequence[str]:
        return self._subjects[self._rng("subject", conversation).randrange(_SUBJECT_COUNT)]

    def _sentence(self, rng: random.Random, subject: Sequence[str]) -> str:
        count = rng.randint(*_SENTENCE_WORDS)
        function = iter(rng.choices(_FUNCTION_WORDS, cum_weights=self._function_weights, k=count))
        general = iter(self._general_words(rng, count))
        words = []
        for _ in range(count):
            draw = rng.random()
            if draw < _FUNCTION_SHARE:
                words.append(next(function))
            else:
                is_general = draw < 1.0 - _SUBJECT_SHARE * (1.0 - _FUNCTION_SHARE)
                words.append(next(general) if is_general else rng.choice(subject))
        return " ".join(words).capitalize() + "."

    def _general_words(self, rng: random.Random, count: int) -> list[str]:
        return rng.choices(self._general, cum_weights=self._general_weights, k=count)


def _subject(rng: random.Random) -> tuple[str, ...]:
    """A subject's words begin alike."""
    stem = _syllable(rng) + _syllable(rng)
    return tuple({stem + _made_word(rng): None for _ in range(_SUBJECT_WORDS)})


def _made_word(rng: random.Random) -> str:
    return "".join(_syllable(rng) for _ in range(rng.randint(2, 4)))


def _syllable(rng: random.Random) -> str:
    return rng.choice(_CONSONANTS) + rng.choice(_VOWELS)
