"""One peer, as a state machine: when to ask it, with what, and what its answers mean. Pure; a driver performs it.

One exchange is in flight at a time; whatever comes meanwhile goes with the next one, in one batch. Ops of this node go
out at once. Those of others go out late and only if the peer still lacks them when asked, and what it has is fetched
late and only if it is still lacking here, since their own writers send them too: else each op would reach each node
N-1 times. How late is drawn from a time that grows with the mesh: so about one of all that look after a node does so
in a moment, however many they are.
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
SMALLEST_BATCH: Final = 16


class PeerRules(Struct, frozen=True, kw_only=True):
    """How a peer is treated; times in seconds.

    Attributes:
      interval_s: between exchanges where nothing is to be sent.
      relay_s: how long ops of others wait for their own writers to send them, where few nodes look after each other.
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
      asked_at: when the exchange in flight began; None if none is. `owes` says whether there was something to send,
        `fetches` whether it asks for what this node lacks.
      is_wanted: whether somebody wants it asked once more behind the exchange in flight.
      fetched_at: when the last answer came to one that did.
      due_at: when to ask, and fetch, next if nothing else is to be done.
      relay_at, relay_vector: when what of `relay_vector` the peer still lacks goes out.
      named: what it said last that it knows, whether shown or not.
      fetch_at, fetch_vector: when what of `fetch_vector` is still lacking here is fetched.
      hopes_at: until then it is not taken to have got from their own writers what this node got from them.
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
    fetches: bool = False
    is_wanted: bool = False
    answered_at: float | None = None
    fetched_at: float | None = None
    due_at: float = 0.0
    relay_at: float | None = None
    relay_vector: Vector = {}
    named: Vector = {}
    fetch_at: float | None = None
    fetch_vector: Vector = {}
    hopes_at: float = 0.0
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
      mine, own: what this node has for others, and the stream that it writes.
      known: what it does not lack.
      causes: what of `mine` it knew when it wrote last, and all that it wrote.
      wants: ops that it would take in an answer; 0 while another peer is being drained.
      spread: how many times longer than `relay_s` one may wait before looking after a peer; at least 1.
    """

    now: float
    mine: Vector
    own: StreamId
    known: Vector
    causes: Vector
    wants: int
    share: float
    spread: float = 1.0


class Answered(Struct, frozen=True, kw_only=True):
    """The exchange ended with an answer.

    Attributes:
      own_head: of this node's stream, when the answer came.
      heads: the peer's vector, as far as it counts.
      named: all of it.
      stopped: why it did not take everything; None if it did.
    """

    now: float
    node: str
    stream: StreamId
    heads: dict[StreamId, StreamHead]
    named: Vector
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
    """Exchange: with the ops that the peer lacks beyond `assumed`, as far as `until` (at most `count`, 0 for none)."""

    assumed: Vector
    count: int
    wants: int
    until: Vector | None = None


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
            return replace(state, acked=vector, assumed=vector, named=vector), None
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
        return _ask(state, event, 0, rules)
    state = _with_fetch(state, event, rules)
    if event.mine.get(event.own, 0) > state.assumed.get(event.own, 0):
        asked, ask = _ask(state, event, state.batch_count, rules)
        return asked, _hoping(state, event, ask, rules)
    if state.has_more and event.wants:
        return _ask(state, event, state.batch_count, rules)
    if dominates(state.assumed, event.mine):
        if not state.failures and beyond(state.acked, event.mine) >= rules.batch_count:
            # It fetched all by itself; no write counts on it until it says so in an answer.
            return _ask(state, event, 0, rules)
        state = replace(state, relay_at=None)
    elif state.relay_at is None or dominates(state.assumed, state.relay_vector):
        state = replace(state, relay_at=now + _delay_s(event, rules), relay_vector=event.mine)
    relay_at = state.relay_at
    if relay_at is not None and now >= relay_at:
        # An older word may be stale by all that its writers sent it since: ask with nothing, then send what it lacks.
        is_fresh = state.assumed_at is not None and state.assumed_at >= relay_at
        return _ask(state, event, state.batch_count if is_fresh else 0, rules)
    if now >= state.due_at or _is_fetch_due(state, event):
        return _ask(state, event, state.batch_count if state.failures else 0, rules)
    fetch_at = state.fetch_at if event.wants else None
    return state, Rest(min(at for at in (state.due_at, relay_at, fetch_at) if at is not None))


def _with_fetch(state: PeerState, event: Look, rules: PeerRules) -> PeerState:
    """Let what the peer named and this node lacks wait for its own writers to send it; then it is to be fetched."""
    if dominates(event.known, state.named):
        return replace(state, fetch_at=None) if state.fetch_at is not None else state
    if state.fetch_at is None or dominates(event.known, state.fetch_vector):
        return replace(state, fetch_at=event.now + _delay_s(event, rules), fetch_vector=state.named)
    return state


def _hoping(state: PeerState, event: Look, ask: Ask, rules: PeerRules) -> Ask:
    """Have own ops alone go out, as if the peer knew their causes, which others sent to it as they did to this node.

    It waits a moment for what is still on its way to it; if that does not come it takes nothing, and says what it has.
    """
    others = {stream: seq for stream, seq in event.causes.items() if stream != event.own}
    if state.rebases or event.now < state.hopes_at or beyond(state.assumed, others) >= rules.batch_count:
        return ask
    hoped = {**others, **{stream: max(seq, others.get(stream, 0)) for stream, seq in state.assumed.items()}}
    return Ask(assumed=hoped, count=ask.count, wants=ask.wants, until=event.causes)


def _is_fetch_due(state: PeerState, event: Look) -> bool:
    return state.fetch_at is not None and event.wants > 0 and event.now >= state.fetch_at


def _delay_s(event: Look, rules: PeerRules) -> float:
    return rules.relay_s * (0.5 + event.share * (event.spread - 0.5))


def _ask(state: PeerState, event: Look, count: int, rules: PeerRules) -> tuple[PeerState, Ask]:
    owes = count > 0 and not dominates(state.assumed, event.mine)
    is_due = state.assumed_at is None or state.failures > 0 or event.now >= state.due_at
    fetches = is_due or state.has_more or _is_fetch_due(state, event)
    if fetches and state.fetch_at is not None:
        # What does not come now is not to be had of this peer, or is refused here: it is not asked for all the time.
        state = replace(state, fetch_at=event.now + rules.longest_pause_s, fetch_vector=state.named)
    asked = replace(state, asked_at=event.now, owes=owes, fetches=fetches, is_wanted=False)
    return asked, Ask(assumed=state.assumed, count=count, wants=event.wants if fetches else 0)


def _answered(state: PeerState, event: Answered, rules: PeerRules) -> PeerState:
    vector = {stream: head.seq for stream, head in event.heads.items()}
    known = replace(
        state, node=event.node, stream=event.stream, standing=_standing(event), assumed=vector, assumed_at=event.now,
        acked=vector, named=event.named, held=event.held, asked_at=None, answered_at=event.now, has_more=event.more,
        fetched_at=event.now if state.fetches else state.fetched_at, is_refusing=False,
        offset_us=event.offset_us, wall_us=event.wall_us, members=event.members, full=event.full,
    )
    if event.stopped in (StopReason.ASSUMED, StopReason.GAP) and state.rebases < REBASES_MAX:
        # It knows less than was assumed: now we know what.
        return replace(known, rebases=state.rebases + 1, hopes_at=event.now + rules.longest_pause_s)
    refusing = replace(known, is_refusing=True)
    if event.stopped is not None:
        return _failed(refusing, f"refused: {event.stopped}", event.now, event.share, rules)
    if state.owes and vector == state.assumed:
        # It lacks what left this log, or is no peer of this kind: to send the same at once would go on for ever.
        return _failed(refusing, "took nothing", event.now, event.share, rules)
    due_at = event.now + rules.interval_s * (0.75 + event.share / 4) if state.fetches else state.due_at
    return replace(
        known, failures=0, rebases=0, last_error="", due_at=event.now if state.is_wanted else due_at,
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
    return replace(state, assumed=event.vector, named=event.vector, assumed_at=event.now, due_at=due_at)


def beyond(known: Vector, mine: Vector) -> int:
    """How many ops of `mine` are unknown to whoever knows `known`."""
    return sum(max(0, seq - known.get(stream, 0)) for stream, seq in mine.items())
