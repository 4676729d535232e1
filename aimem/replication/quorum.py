"""Which nodes have a write: acks counted by member, from what each of them last said that it knows durably."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from aimem.model import Dot, StreamId, Vector, covers

if TYPE_CHECKING:
    from collections.abc import Iterator


BEHIND: Final = "behind"
DUPLICATE: Final = "duplicate"


class Consistency(StrEnum):
    """How many nodes a write waits for."""

    LOCAL = "local"          # this one
    QUORUM = "quorum"        # W, as configured
    MAJORITY = "majority"    # more than half of the members, whatever W is
    ALL = "all"


_wished: Final[ContextVar[Consistency]] = ContextVar("aimem_consistency", default=Consistency.QUORUM)


@contextmanager
def consistently(wish: Consistency) -> Iterator[None]:
    """Have the writes of this block, in this task and those that it starts, wait for so many nodes."""
    token = _wished.set(wish)
    try:
        yield
    finally:
        _wished.reset(token)


def wished_consistency() -> Consistency:
    """What the running task wishes."""
    return _wished.get()


class Rule(Struct, frozen=True, kw_only=True):
    """N and W: `members` includes this node, `writes` the local commit."""

    members: int
    writes: int

    def needed(self, wish: Consistency) -> int:
        """How many nodes must have a write."""
        match wish:
            case Consistency.LOCAL:
                return 1
            case Consistency.MAJORITY:
                return max(self.writes, self.members // 2 + 1)
            case Consistency.ALL:
                return self.members
        return self.writes


class HeldThere(Struct, frozen=True, kw_only=True):
    """Which ops a peer has logged and not applied, as far as it could name them.

    Attributes:
      dots: those that it named; of the asker's stream `own` first.
      is_whole: whether that is all of them. Else what it did not name may be among the rest.
    """

    dots: frozenset[Dot] = frozenset()
    own: StreamId | None = None
    is_whole: bool = True

    def __contains__(self, dot: Dot) -> bool:
        """Whether it does not count for an op: writes of others must not wait because somebody's cannot be applied."""
        if dot in self.dots or self.is_whole:
            return dot in self.dots
        names_all_own = any(named.stream != self.own for named in self.dots)
        return not (names_all_own and dot.stream == self.own)


class Report(Struct, frozen=True, kw_only=True):
    """What a peer last said of itself, as far as it counts.

    Attributes:
      stream: which the peer writes: two addresses of one node are one member. None before its first answer.
      vector: durable there. The latest report replaces the one before: a peer may have lost what it had.
      held: logged there and not applied; such an op does not count.
      reason: why nothing of it counts, or nothing yet; empty if it counts.
    """

    name: str
    stream: StreamId | None = None
    vector: Vector = {}
    held: HeldThere = HeldThere()
    reason: str = ""

    def lacks(self, dots: Iterable[Dot]) -> str:
        """Why this peer does not count for these ops; empty if it does."""
        if self.stream is None or self.reason:
            return self.reason or "unasked"
        for dot in dots:
            if not covers(self.vector, dot):
                return BEHIND
            if dot in self.held:
                return "held"
        return ""


class Tally(Struct, frozen=True, kw_only=True):
    """Who has a write. `waiting_for`: peer -> why it does not count."""

    acked_by: tuple[str, ...]
    waiting_for: Mapping[str, str]

    @property
    def got(self) -> int:
        """How many nodes have it."""
        return len(self.acked_by)


def count_acks(dots: Collection[Dot], own: Report, peers: Iterable[Report]) -> Tally:
    """Count the members that have all of these ops, each node once."""
    seen: set[StreamId] = set()
    acked: list[str] = []
    waiting: dict[str, str] = {}
    for report in (own, *peers):
        reason = report.lacks(dots)
        if not reason and report.stream in seen:
            reason = DUPLICATE
        if reason:
            waiting[report.name] = reason
        elif report.stream is not None:
            seen.add(report.stream)
            acked.append(report.name)
    return Tally(acked_by=tuple(acked), waiting_for=waiting)


def with_writer(tally: Tally, dot: Dot, streams: Mapping[str, StreamId | None]) -> Tally:
    """Count the writer of an op that came here, which signed it when it had it, if all it lacks is a newer answer.

    Args:
      streams: peer -> the stream that it writes, as far as it is known.
    """
    writers = [name for name, stream in streams.items() if stream == dot.stream]
    behind = [name for name in writers if tally.waiting_for.get(name) == BEHIND]
    if not behind or set(writers) & set(tally.acked_by):
        return tally
    waiting = {name: reason for name, reason in tally.waiting_for.items() if name != behind[0]}
    return Tally(acked_by=(*tally.acked_by, behind[0]), waiting_for=waiting)


def middle_offset(offsets_us: Iterable[int]) -> int:
    """The median of clocks as this node sees them (its own is 0): how far the others agree that it is off, negated.

    Of two middles the lower one: where they do not agree, whoever is ahead is off. Its ops would be refused at their
    first hop until the time has come, and all that it writes later with them; those of a clock behind are taken.
    """
    sorted_us = sorted((0, *offsets_us))
    return sorted_us[(len(sorted_us) - 1) // 2]
