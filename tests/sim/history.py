"""What clients were told: the history that the checkers hold against what became of the nodes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec
from msgspec import Struct

from aimem.model import Dot, parse_dot


class Outcome(StrEnum):
    """What one attempt was told."""

    DONE = "done"
    REFUSED = "refused"              # it did nothing, and says so
    UNKNOWN = "unknown"              # no answer, or one that leaves it open


class Attempt(Struct, frozen=True):
    """One request of a deed and its answer (status 0: none came)."""

    node: str
    began: float
    ended: float
    status: int
    answer: dict[str, object]

    @property
    def outcome(self) -> Outcome:
        """What it means."""
        if 200 <= self.status < 300:
            return Outcome.DONE
        if 400 <= self.status < 500 or self.answer.get("outcome") == "not_applied":
            return Outcome.REFUSED
        return Outcome.UNKNOWN


class Deed(Struct):
    """One thing that a client wants done, with the attempts at it under one idempotency key.

    Attributes:
      mark: a word that stands in the text of this deed and nowhere else, or empty.
      subjects: the ids that it is about.
      act: which of whose acts it is, as `only_acts` of the swarm names it; empty for none of a client's.
    """

    number: int
    kind: str
    key: str
    mark: str
    subjects: tuple[str, ...]
    attempts: list[Attempt] = []
    act: str = ""

    @property
    def done(self) -> Attempt | None:
        """The attempt that was acknowledged, if one was."""
        return next((attempt for attempt in self.attempts if attempt.outcome is Outcome.DONE), None)

    @property
    def is_refused(self) -> bool:
        """Whether nothing of it may ever be seen."""
        return bool(self.attempts) and all(attempt.outcome is Outcome.REFUSED for attempt in self.attempts)


def acts_of(deeds: Iterable[Deed]) -> dict[str, str]:
    """Each act of a client, and what it was told; a quarrel is one act of two deeds."""
    found: dict[str, str] = {}
    for deed in deeds:
        told = ", ".join(f"{attempt.node} {attempt.status or 'silent'}" for attempt in deed.attempts) or "not begun"
        if deed.act:
            found[deed.act] = " | ".join(filter(None, (found.get(deed.act), f"{deed.kind}: {told}")))
    return found


def dots_of(answer: dict[str, object]) -> list[Dot]:
    """Every version that an answer names, at any depth."""
    found: list[Dot] = []
    pending: list[object] = [answer]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            version = value.get("version")
            if isinstance(version, str) and ":" in version:
                found.append(parse_dot(version, field="version"))
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return found


def read_answer(body: bytes) -> dict[str, object]:
    """The JSON object of an answer; empty if it is none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
