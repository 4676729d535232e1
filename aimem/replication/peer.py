"""One peer, as a state machine: when to ask it, with what, and what its answers mean. Pure; a driver performs it.

One exchange is in flight at a time; whatever comes meanwhile goes with the next one, in one batch. Ops of this node go
out at once. Those of others go out late and only if the peer still lacks them when asked, since their own writers send
them too: else each op would reach each node N-1 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from aimem.model import StopReason, StreamHead, StreamId, Vector, dominates
from aimem.replication.quorum import HeldThere

REBASES_MAX: Final = 3
_FAILURE_KINDS: Final = {
    "timeout": "timeout", "nonsense": "nonsense", "forged": "forged", "untrusted": "untrusted",
    "tls": "tls", "unreachable": "unreachable", "no address": "unreachable", "the connection broke": "broken",
    "it answered": "answered", "refused": "refused", "took nothing": "refused",
    "another mesh": "other_cluster", "another protocol": "protocol",
}
SMALLEST_BATCH: Final = 16


class PeerRules(Struct, frozen=True, kw_only=True):
    """How a peer is treated; times in seconds.

    Attributes:
      interval_s: between exchanges where nothing is to be sent.
      relay_s: how long ops of others wait for their own writers to send them.
      patience_s: how long an exchange may take before its peer no longer counts as reachable.
      first_pause_s, longest_pause_s: between attempts after failures; doubling.
      breaker_count: failures after which the breaker is open.
      batch_count: ops in one exchange, at most; halved after each failure.
    """

    interval_s: float = 30.0
    relay_s: float = 0.5
    patience_s: float = 2.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0
    breaker_count: int = 3
    batch_count: int = 512


class Standing(StrEnum):
    """Whether a peer is one."""

    PEER = "peer"
    SELF = "self"            # its address leads to this node
    FORKED = "forked"        # it knows another history of this node's stream, or more of it
    OTHER_CLUSTER = "other_cluster"  # it belongs to another mesh
    UNTRUSTED = "untrusted"  # whoever answers there is not the node that was known by its name


class PeerState(Struct, frozen=True, kw_only=True):
    """What is known of a peer.

    Attributes:
      node, stream: its name and the stream that it writes, from its last answer.
      assumed: what it is taken to know, for choosing what to send: its latest word, by whatever road.
      acked, held: what it said in its last *answer*: only what was asked for at its own address counts for a quorum.
      asked_at: when the exchange in flight began; None if none is. `owes` says whether there was something to send.
      is_wanted: whether somebody wants it asked once more behind the exchange in flight.
      due_at: when to ask next if nothing else is to be done.
      relay_at, relay_vector: when what of `relay_vector` the peer still lacks goes out.
      has_more: whether it has more for us.
      is_refusing: whether the last exchange failed by what the peer answered.
      offset_us: its wall clock less ours, when its last answer came; `wall_us`: what ours was then.
      members: hash of the list that it works with, as it last said; empty while it does not know all names.
      full: streams of which it takes no more, as it could not apply their next op.
    """

    node: str = ""
    stream: StreamId | None = None
    standing: Standing = Standing.PEER
    assumed: Vector = {}
    assumed_at: float | None = None
    acked: Vector = {}
    held: HeldThere = HeldThere()
    asked_at: float | None = None
    owes: bool = False
    is_wanted: bool = False
    answered_at: float | None = None
    due_at: float = 0.0
    relay_at: float | None = None
    relay_vector: Vector = {}
    has_more: bool = False
    is_refusing: bool = False
    failures: int = 0
    rebases: int = 0
    batch_count: int = 512
    last_error: str = ""
    offset_us: int | None = None
    wall_us: int = 0
    members: str = ""
    full: frozenset[StreamId] = frozenset()


class Look(Struct, frozen=True, kw_only=True):
    """Something may have changed: the log, the time. `share` in [0, 1) is drawn for the jitter.

    Attributes:
      mine, own: what this node knows, and the stream that it writes.
      wants: ops that it would take in an answer; 0 while another peer is being drained.
    """

    now: float
    mine: Vector
    own: StreamId
    wants: int
    share: float


class Answered(Struct, frozen=True, kw_only=True):
    """The exchange ended with an answer.

    Attributes:
      own_head: of this node's stream, when the answer came.
      heads: the peer's vector.
      stopped: why it did not take everything; None if it did.
    """

    now: float
    node: str
    stream: StreamId
    heads: dict[StreamId, StreamHead]
    held: HeldThere
    own_head: StreamHead
    more: bool
    stopped: StopReason | None
    offset_us: int
    wall_us: int
    share: float
    members: str = ""
    full: frozenset[StreamId] = frozenset()


class Failed(Struct, frozen=True, kw_only=True):
    """The exchange ended without an answer that can be used; with one of somebody else `standing` says so."""

    now: float
    reason: str
    share: float
    standing: Standing | None = None


class Heard(Struct, frozen=True, kw_only=True):
    """The peer asked us something, and said what it knows."""

    now: float
    vector: Vector
    members: str = ""


class Withheld(Struct, frozen=True, kw_only=True):
    """The peer sent all that it has for us, it said, and we lack some of what it named: it counts for that no more.

    Attributes:
      vector: as much of what it named as we know.
    """

    vector: Vector


class Wanted(Struct, frozen=True, kw_only=True):
    """Somebody waits for what the peer may know: it is asked next, unless it just failed."""

    now: float


class Knocked(Struct, frozen=True, kw_only=True):
    """A node asked us whose name no peer has said so far: it may be this one, which has started just now."""

    now: float


class Renewed(Struct, frozen=True, kw_only=True):
    """This node writes another stream from now on: what the peer said was about the one before."""

    now: float


class Ask(Struct, frozen=True, kw_only=True):
    """Exchange: with the ops that the peer lacks beyond `assumed` (at most `count`, 0 for none)."""

    assumed: Vector
    count: int
    wants: int


class Rest(Struct, frozen=True):
    """Look again when something changed, or then."""

    until: float


Event: TypeAlias = Look | Answered | Failed | Heard | Withheld | Wanted | Knocked | Renewed
Effect: TypeAlias = Ask | Rest


def step(state: PeerState, event: Event, rules: PeerRules) -> tuple[PeerState, Effect | None]:
    """What an event makes of a peer, and what is to be done about it. Only a Look has an effect."""
    match event:
        case Look():
            return _look(state, event, rules)
        case Answered():
            return _answered(state, event, rules), None
        case Failed():
            failed = _failed(replace(state, is_refusing=False), event.reason, event.now, event.share, rules)
            return replace(failed, standing=event.standing or failed.standing), None
        case Heard():
            return _heard(state, event), None
        case Withheld(vector=vector):
            return replace(state, acked=vector, assumed=vector), None
        case Wanted(now=now):
            # What is on its way was asked before, and does not say what is wanted now.
            is_wanted = state.asked_at is not None
            return (state if state.failures else replace(state, due_at=now, is_wanted=is_wanted)), None
        case Knocked(now=now):
            # A pause remains: whoever knocks often must not have it asked as often.
            is_stranger = state.stream is None and state.failures > 0
            due_at = min(state.due_at, now + rules.first_pause_s)
            return (replace(state, due_at=due_at) if is_stranger else state), None
        case Renewed(now=now):
            return _anew(state, now), None


def _anew(state: PeerState, now: float) -> PeerState:
    """As before the first exchange, but for what does not depend on what this node writes."""
    return PeerState(
        node=state.node, stream=state.stream, asked_at=state.asked_at, due_at=now, batch_count=state.batch_count,
        offset_us=state.offset_us, wall_us=state.wall_us, members=state.members, full=state.full,
    )


def _look(state: PeerState, event: Look, rules: PeerRules) -> tuple[PeerState, Effect]:
    now = event.now
    if state.failures and now < state.due_at:
        return state, Rest(state.due_at)
    if state.assumed_at is None:
        # What it knows comes before what it lacks: a node that starts must not send its whole log to each peer.
        return _ask(state, event, 0)
    if event.mine.get(event.own, 0) > state.assumed.get(event.own, 0) or (state.has_more and event.wants):
        return _ask(state, event, state.batch_count)
    if dominates(state.assumed, event.mine):
        if not state.failures and _beyond(state.acked, event.mine) >= rules.batch_count:
            # It fetched all by itself; no write counts on it until it says so in an answer.
            return _ask(state, event, 0)
        state = replace(state, relay_at=None)
    elif state.relay_at is None or dominates(state.assumed, state.relay_vector):
        delay_s = rules.relay_s * (0.5 + event.share / 2)
        state = replace(state, relay_at=now + delay_s, relay_vector=event.mine)
    relay_at = state.relay_at
    if relay_at is not None and now >= relay_at:
        # An older word may be stale by all that its writers sent it since: ask with nothing, then send what it lacks.
        is_fresh = state.assumed_at is not None and state.assumed_at >= relay_at
        return _ask(state, event, state.batch_count if is_fresh else 0)
    if now >= state.due_at:
        return _ask(state, event, state.batch_count if state.failures else 0)
    return state, Rest(state.due_at if relay_at is None else min(state.due_at, relay_at))


def _ask(state: PeerState, event: Look, count: int) -> tuple[PeerState, Effect]:
    owes = count > 0 and not dominates(state.assumed, event.mine)
    asked = replace(state, asked_at=event.now, owes=owes, is_wanted=False)
    return asked, Ask(assumed=state.assumed, count=count, wants=event.wants)


def _answered(state: PeerState, event: Answered, rules: PeerRules) -> PeerState:
    vector = {stream: head.seq for stream, head in event.heads.items()}
    known = replace(
        state, node=event.node, stream=event.stream, standing=_standing(event), assumed=vector, assumed_at=event.now,
        acked=vector, held=event.held, asked_at=None, answered_at=event.now, has_more=event.more,
        offset_us=event.offset_us, wall_us=event.wall_us, members=event.members, full=event.full, is_refusing=False,
    )
    if event.stopped in (StopReason.ASSUMED, StopReason.GAP) and state.rebases < REBASES_MAX:
        return replace(known, rebases=state.rebases + 1)     # it knows less than was assumed: now we know what
    refusing = replace(known, is_refusing=True)
    if event.stopped is not None:
        return _failed(refusing, f"refused: {event.stopped}", event.now, event.share, rules)
    if state.owes and vector == state.assumed:
        # It lacks what left this log, or is no peer of this kind: to send the same at once would go on for ever.
        return _failed(refusing, "took nothing", event.now, event.share, rules)
    pause_s = 0.0 if state.is_wanted else rules.interval_s * (0.75 + event.share / 4)
    return replace(
        known, failures=0, rebases=0, last_error="", due_at=event.now + pause_s,
        batch_count=min(rules.batch_count, state.batch_count * 2),
    )


def _standing(event: Answered) -> Standing:
    # A copy of this node says the same of itself; until one of the two writes, nothing tells it from this node.
    if has_other_history(event.heads, event.own_head):
        return Standing.FORKED
    return Standing.SELF if event.stream == event.own_head.stream else Standing.PEER


def has_other_history(heads: Mapping[StreamId, StreamHead], own_head: StreamHead) -> bool:
    """Whether somebody knows more of a node's stream than the node itself, or another op in the place of its last."""
    there = heads.get(own_head.stream)
    if there is None or there.seq < own_head.seq:
        return False
    return there.seq > own_head.seq or there.chain_hash != own_head.chain_hash


def _failed(state: PeerState, reason: str, now: float, share: float, rules: PeerRules) -> PeerState:
    failures = state.failures + 1
    ceiling_s = min(rules.longest_pause_s, rules.first_pause_s * 2.0 ** min(failures - 1, 30))
    return replace(
        state, asked_at=None, failures=failures, rebases=0, last_error=reason, has_more=False,
        due_at=now + ceiling_s * (0.5 + share / 2), batch_count=max(SMALLEST_BATCH, state.batch_count // 2),
    )


def _heard(state: PeerState, event: Heard) -> PeerState:
    """It is there: a failed attempt is repeated at once, unless it answered and nothing has changed since.

    Else two nodes would ask each other without a pause: one what the other does not take, and that one, for it was
    asked, what it can do instead.
    """
    state = replace(state, members=event.members)
    if state.asked_at is not None:
        return state    # the answer under way is as fresh
    is_news = not state.is_refusing or event.vector != state.assumed
    due_at = min(state.due_at, event.now) if state.failures and is_news else state.due_at
    return replace(state, assumed=event.vector, assumed_at=event.now, due_at=due_at)


def is_reachable(state: PeerState, mine: Vector, now: float, rules: PeerRules) -> bool:
    """Whether a write may count on this peer: its last exchange succeeded, and less than a batch is on its way to it.

    One that was never asked counts: nothing speaks against it.
    """
    is_hanging = state.asked_at is not None and now - state.asked_at > rules.patience_s
    if state.standing is not Standing.PEER or state.failures or is_hanging:
        return False
    return state.answered_at is None or _beyond(state.acked, mine) < rules.batch_count


def lag(state: PeerState, mine: Vector) -> int:
    """Ops of this node's log that the peer lacks by its latest word, by whatever road: for people, not for quorums.

    On a quiet mesh the next answer is half a minute away, and what the peer said when it asked is as true until then.
    """
    return _beyond(state.assumed, mine)


def _beyond(known: Vector, mine: Vector) -> int:
    return sum(max(0, seq - known.get(stream, 0)) for stream, seq in mine.items())


def offset_now(state: PeerState, wall_us: int, now: float) -> int | None:
    """A peer's wall clock less ours, in microseconds; None if it never said.

    A step of our clock shows at once, as what it is ahead of the time that passed: who waits for the next answer to
    notice writes with it meanwhile, and nobody takes that stream until the time has come.
    """
    if state.offset_us is None or state.answered_at is None:
        return None
    stepped_us = wall_us - state.wall_us - round((now - state.answered_at) * 1e6)
    return state.offset_us - stepped_us


def failure_kind(reason: str) -> str:
    """What sort of failure a reason tells of: one of a few words, for metrics."""
    return next((kind for begin, kind in _FAILURE_KINDS.items() if reason.startswith(begin)), "other")


def breaker(state: PeerState, rules: PeerRules) -> str:
    """`closed`; after several failures `open` (asked now and then), or `half_open` while it is being asked."""
    if state.failures < rules.breaker_count:
        return "closed"
    return "open" if state.asked_at is None else "half_open"
