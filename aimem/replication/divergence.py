"""Comparing two nodes' copies of one object: is it lost, or only not there yet? Pure.

A difference is divergence only if both nodes know all the writes that either side shows; else the rest is on its way.
What is divergence is joined: it can come from a broken disk, a bug, or a stream of which two histories were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from aimem.model import ObjectState, Stamp, StreamHead, StreamId
from aimem.replication.merge import merge_entry
from aimem.store import KINDS, repair, snapshot

_BIRTH = "born"


class Lost(StrEnum):
    """Where something is lost."""

    HERE = "here"
    THERE = "there"
    BOTH = "both"
    UNCLEAR = "unclear"      # two values stand under one stamp


class Judged(Struct, frozen=True):
    """What a difference comes to.

    Attributes:
      is_pending: a write that shows on one side is not known to the other, so nothing can be said.
      is_unsettled: it is one of a stream with two histories, whose rows are still being joined: `theirs` may be, too.
      lost: None if nothing is lost.
      theirs: what to mend this node with.
    """

    theirs: repair.Theirs
    lost: Lost | None = None
    is_pending: bool = False
    is_unsettled: bool = False


def judge(
    own: repair.Known, theirs: repair.Known, *, own_facts: repair.Facts, their_heads: Mapping[StreamId, StreamHead],
    unsettled: AbstractSet[StreamId] = frozenset(), doubtful: AbstractSet[StreamId] = frozenset(), their_held: str = "",
) -> Judged:
    """Say what it means that two nodes show an object as they do, each with what it knew just then.

    Args:
      unsettled: streams with two histories of which one of both may have joined rows that the other has not.
      doubtful: streams of which the two may know different ops, which nobody has found yet.
      their_held: hash of what they know and cannot apply; what only one of the two holds may be the difference.
    """
    closed = own_facts.closed
    tied = tied_fields(own.state, theirs.state, closed)
    state = _without(theirs.state, tied)
    mend = repair.Theirs(kind=own.kind, key=own.key, state=state, tied=tied)
    if own.state == theirs.state:
        return Judged(mend)
    if own_facts.held != their_held:
        return Judged(mend, is_pending=True)
    if own.has_dead_end != theirs.has_dead_end:
        return Judged(mend, is_pending=True)    # it goes with the memory that it hangs on, which is compared itself
    unknown = [*_beyond(own.state, their_heads, closed), *_beyond(theirs.state, own_facts.heads, closed)]
    if unknown:
        return Judged(mend, is_pending=True)
    missing = _missing(own.state, theirs.state)
    if missing and all(stamp.stream in unsettled or stamp.stream in doubtful for stamp in missing):
        return Judged(mend, is_pending=True, is_unsettled=all(stamp.stream in unsettled for stamp in missing))
    if tied:
        return Judged(mend, Lost.UNCLEAR)
    is_lost_here = _joined(own, theirs.state) != own.state
    is_lost_there = _joined(theirs, own.state) != theirs.state
    if is_lost_here:
        return Judged(mend, Lost.BOTH if is_lost_there else Lost.HERE)
    return Judged(mend, Lost.THERE)


def tied_fields(own: ObjectState, theirs: ObjectState, closed: AbstractSet[StreamId]) -> frozenset[str]:
    """Fields with two values under one stamp of a stream that has one history: a join would take the longer value."""
    tied = {
        name for name, cell in own.fields.items()
        if (other := theirs.fields.get(name)) is not None and other.stamp == cell.stamp and other.value != cell.value
        and cell.stamp.stream not in closed
    }
    born = own.born
    if born is not None and born == theirs.born and own.author != theirs.author and born.stream not in closed:
        tied.add(_BIRTH)
    return frozenset(tied)


def _without(state: ObjectState, tied: AbstractSet[str]) -> ObjectState:
    fields = {name: cell for name, cell in state.fields.items() if name not in tied}
    return replace(state, fields=fields, **({"born": None, "author": None} if _BIRTH in tied else {}))


def _stamps(state: ObjectState) -> Iterable[Stamp]:
    yield from (cell.stamp for cell in state.fields.values())
    yield from (stamp for stamp in (state.born, state.dead) if stamp is not None)


def _beyond(
    state: ObjectState, heads: Mapping[StreamId, StreamHead], closed: AbstractSet[StreamId]
) -> list[Stamp]:
    """The writes that are not known to somebody, and may still come."""
    return [
        stamp for stamp in _stamps(state)
        if stamp.stream not in closed and (stamp.stream not in heads or heads[stamp.stream].hlc < stamp.hlc)
    ]


def _missing(own: ObjectState, theirs: ObjectState) -> list[Stamp]:
    """The writes by which two states differ: of each part the later one, which one of both does not show."""
    if own.dead != theirs.dead:     # and with it all the rest
        pairs = [(own.dead, theirs.dead)]
    else:
        names = own.fields.keys() | theirs.fields.keys()
        cells = [(own.fields.get(name), theirs.fields.get(name)) for name in names]
        pairs = [
            (None if one is None else one.stamp, None if other is None else other.stamp)
            for one, other in cells if one != other
        ]
        if (own.born, own.author) != (theirs.born, theirs.author):
            pairs.append((own.born, theirs.born))
    return [max(filter(None, pair)) for pair in pairs]


def _joined(known: repair.Known, other: ObjectState) -> ObjectState:
    state = known.state
    told = snapshot.Told(kind=known.kind, key=known.key, state=other)
    for stamp, entry in snapshot.entries_of(told, state):
        state = merge_entry(state, entry, stamp, maxima=KINDS[known.kind].maxima).state
    return state
