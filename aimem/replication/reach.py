"""What is made of a peer's state: whether a write may count on it, and what a person is shown."""

from __future__ import annotations

from collections.abc import Iterable

from aimem.model import StreamId, Vector
from aimem.replication.peer import PeerRules, PeerState, Standing, beyond


def is_reachable(state: PeerState, mine: Vector, now: float, rules: PeerRules) -> bool:
    """Whether a write may count on this peer: its last exchange succeeded, and less than a batch is on its way to it.

    One that was never asked counts: nothing speaks against it.
    """
    is_hanging = state.asked_at is not None and now - state.asked_at > rules.patience_s
    if state.standing is not Standing.PEER or state.failures or is_hanging:
        return False
    return state.answered_at is None or beyond(state.acked, mine) < rules.batch_count


def lag(state: PeerState, mine: Vector) -> int:
    """Ops of this node's log that the peer lacks by its latest word, by whatever road: for people, not for quorums.

    On a quiet mesh the next answer is half a minute away, and what the peer said when it asked is as true until then.
    """
    return beyond(state.assumed, mine)


def behind(states: Iterable[PeerState], known: Vector) -> int:
    """Ops that peers know by their latest words, as far as those are proven, and this node lacks: for people.

    Args:
      known: what this node need not fetch.
    """
    theirs: dict[StreamId, int] = {}
    for state in states:
        if state.standing is Standing.PEER:
            theirs |= {stream: seq for stream, seq in state.assumed.items() if seq > theirs.get(stream, 0)}
    return beyond(known, theirs)


def offset_now(state: PeerState, wall_us: int, now: float) -> int | None:
    """A peer's wall clock less ours, in microseconds; None if it never said.

    A step of our clock shows at once, as what it is ahead of the time that passed: who waits for the next answer to
    notice writes with it meanwhile, and nobody takes that stream until the time has come.
    """
    if state.offset_us is None or state.answered_at is None:
        return None
    stepped_us = wall_us - state.wall_us - round((now - state.answered_at) * 1e6)
    return state.offset_us - stepped_us


def breaker(state: PeerState, rules: PeerRules) -> str:
    """`closed`; after several failures `open` (asked now and then), or `half_open` while it is being asked."""
    if state.failures < rules.breaker_count:
        return "closed"
    return "open" if state.asked_at is None else "half_open"
