"""How much of the campaign a run makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final, TypeVar
from zlib import crc32

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., object])

SEED: Final = 63
"""One for all runs, so that a change of the program, and nothing else, changes what they say."""

_EXAMPLES: Final = "campaign_examples"


class Thoroughness(StrEnum):
    """Brief: what the plain run has time for. Full: everything."""

    BRIEF = "brief"
    FULL = "full"


def examples(*, brief: int, full: int) -> Callable[[Test], Test]:
    """How many examples hypothesis makes up for a test (the outermost decorator)."""

    def note(test: Test) -> Test:
        setattr(test, _EXAMPLES, {Thoroughness.BRIEF: brief, Thoroughness.FULL: full})
        return test

    return note


def examples_of(test: object, thoroughness: Thoroughness) -> int | None:
    """The number for a test, or None if it makes nothing up."""
    counts: dict[Thoroughness, int] = getattr(test, _EXAMPLES, {})
    return counts.get(thoroughness)


def some(things: Iterable[T], thoroughness: Thoroughness, *, one_in: int, label: str) -> Iterator[T]:
    """All of them, or in a brief run one in so many; `label` decides with which of them that begins."""
    step = 1 if thoroughness is Thoroughness.FULL else one_in
    start = crc32(label.encode()) % step
    yield from (thing for number, thing in enumerate(things) if number % step == start)
