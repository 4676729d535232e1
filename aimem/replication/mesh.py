"""The mesh as one node has it: its peers, who has which write, and what a write asks of the others."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import trio
from msgspec import Struct

from aimem.model import Dot, StreamHead, StreamId, Vector
from aimem.ports import Clock
from aimem.replication.closure import OTHER_HISTORY, closed_reason
from aimem.replication.counts import AckLatencies, MeshCounts, failure_kind
from aimem.replication.members import Agreement, agreement, members_hash
from aimem.replication.peer import (
    Ask,
    Event,
    Heard,
    Knocked,
    Look,
    PeerRules,
    PeerState,
    Renewed,
    Rest,
    Standing,
    Wanted,
    has_other_history,
    step,
)
from aimem.replication.quorum import Consistency, Report, Rule, Tally, count_acks, middle_offset, with_writer
from aimem.replication.reach import is_reachable, lag, offset_now
from aimem.replication.renewal import Moves, Renewal
from aimem.replication.road import PeerRoad
from aimem.replication.scope import QuorumScope
from aimem.store import Assent, Store, closure, trimming
from aimem.wire import EXCHANGE_MAX_OPS

OP_PATIENCE_S: Final = 0.005


class MeshSettings(Struct, frozen=True, kw_only=True):
    """What a node is told of its mesh; see ai-memory-mesh(7).

    Attributes:
      peers: their addresses, each once, without a slash at the end.
      writes: W, the nodes that have a write before it is acknowledged, this one included.
      timeout_s: how long a write waits for them.
      interval_s: between exchanges with a peer where nothing is to be sent.
      compare_s: between comparisons of all objects with those of one peer, on average; None for never.
      log: what of the op log is kept.
      serves: whether senders run: a command that opened the database by itself has none.
    """

    peers: tuple[str, ...] = ()
    writes: int = 1
    timeout_s: float = 2.0
    interval_s: float = 30.0
    compare_s: float | None = 3600.0
    log: trimming.LogBounds = trimming.LogBounds()
    serves: bool = True

    @property
    def rule(self) -> Rule:
        """N and W."""
        return Rule(members=1 + len(self.peers), writes=max(1, self.writes))


class Peer:
    """One peer: its state, and a bell that makes its sender look.

    Attributes:
      compared_at, differing: when all rows were last compared with its, and how many differed.
      joined: of each closed stream that it told of, the nodes whose rows it joined since.
      doubted: streams of this node's of which it named another op and did not show it; until they are closed it counts
        for none of them.
    """

    def __init__(self, url: str, rules: PeerRules, rng: random.Random) -> None:
        self.url, self.rules = url, rules
        self.state = PeerState(batch_count=rules.batch_count)
        self.latencies = AckLatencies()
        self.failed: dict[str, int] = {}
        self.behind_since: float | None = None
        self.compared_at: float | None = None
        self.differing = 0
        self.joined: closure.Closed = {}
        self.doubted: frozenset[StreamId] = frozenset()
        self._rng = rng
        self._bell = trio.Event()

    @property
    def name(self) -> str:
        """What it is called in answers: its node's name and address once known."""
        return self.url

    def apply(self, event: Event) -> Ask | Rest | None:
        """Let the state take a step; count what failed by its kind, of which there are few."""
        before = self.state.failures
        self.state, effect = step(self.state, event, self.rules)
        if self.state.failures > before:
            kind = failure_kind(self.state.last_error)
            self.failed[kind] = self.failed.get(kind, 0) + 1
        return effect

    def share(self) -> float:
        """A draw for the jitter."""
        return self._rng.random()

    def ring(self) -> None:
        """Have its sender look."""
        self._bell.set()

    async def wait_bell(self, until: float) -> None:
        """Wait until somebody rings, or until then."""
        with trio.move_on_at(until):
            await self._bell.wait()
        self._bell = trio.Event()

    def note_lag(self, mine: Vector, now: float) -> None:
        """Keep since when it has been behind."""
        if lag(self.state, mine) == 0:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = now

    def is_awaited(self, since: float) -> bool:
        """Whether an answer of it is still to come that was asked for since then, or more of what it has."""
        state = self.state
        if state.failures or state.standing is not Standing.PEER:
            return False
        return state.fetched_at is None or state.fetched_at < since or state.has_more

    def report(self) -> Report:
        """What it said, as far as it counts."""
        state = self.state
        reason = state.last_error if state.failures else ""
        if state.standing is not Standing.PEER:
            return Report(name=self.name, reason=state.standing.value)
        if state.answered_at is None:
            return Report(name=self.name, reason=reason or "unasked")
        # What it said durably stays said, also while it is away.
        return Report(name=self.name, stream=state.stream, vector=state.acked, held=state.held)


class Mesh:
    """All peers of a node. `run_mesh` keeps it going.

    Attributes:
      road: the way to them; whoever made it closes it.
      log_size: of the op log, when it was last looked at.
    """

    def __init__(
        self, settings: MeshSettings, store: Store, *, clock: Clock, rng: random.Random, road: PeerRoad
    ) -> None:
        self.settings, self.store, self.clock, self.road = settings, store, clock, road
        self.rule = settings.rule
        rules = PeerRules(
            interval_s=settings.interval_s, patience_s=settings.timeout_s, batch_count=EXCHANGE_MAX_OPS,
        )
        self.peers = tuple(Peer(url, rules, rng) for url in settings.peers)
        self.counts = MeshCounts()
        self.renewal = Renewal(store)
        self.draining: Peer | None = None
        self.log_size = trimming.LogSize()
        self.moves = Moves()
        self._reported = trio.Event()
        self._is_met = not (settings.serves and self.peers)
        self._told_members = ""

    @property
    def own_head(self) -> StreamHead:
        """The end of this node's stream."""
        return self.store.log.heads[self.store.stream]

    @property
    def members_hash(self) -> str:
        """Of the list that this node works with; empty while a peer never said its name."""
        names = {self.store.stream: self.store.node_name}
        for peer in self.peers:
            if peer.state.stream is None:
                return ""
            names[peer.state.stream] = peer.state.node      # two addresses of one node are one member
        return members_hash(names.values())

    @property
    def agreement(self) -> Agreement:
        """Whether the peers that answer work with the same list."""
        return agreement(self.members_hash, (peer.state.members for peer in self.peers if not peer.state.failures))

    @property
    def members_agree(self) -> bool:
        """Whether nothing speaks against it: all peers that answer and know their lists sent an equal hash."""
        return self.agreement is not Agreement.UNEQUAL

    def wants_of(self, peer: Peer) -> int:
        """How many ops to take from a peer: while one is drained, none from the others; they hold the same."""
        return EXCHANGE_MAX_OPS if self.draining in (None, peer) else 0

    def note_reported(self, peer: Peer) -> None:
        """A peer said what it knows, or failed: whoever waits for acks counts again."""
        if peer.state.has_more and self.draining is None:
            self.draining = peer
        elif self.draining is peer and not peer.state.has_more:
            self.draining = None
            self.ring()
        if self.members_hash not in ("", self._told_members):
            # The others go by what was told of it last: nothing, or another list.
            self._told_members = self.members_hash
            self.ask_all(trio.current_time())
        self.renewal.note_answer(peer.url, peer.state)
        if self.is_forked or self.store.lacks_past:
            self.renewal.ring()
        self.wake()

    def wake(self) -> None:
        """Have whoever waits for what peers know look again."""
        self._reported.set()
        self._reported = trio.Event()

    def begin_anew(self) -> None:
        """This node writes another stream: what peers said of the one before says nothing any more."""
        for peer in self.peers:
            peer.apply(Renewed(now=trio.current_time()))
        self._is_met = not (self.settings.serves and self.peers)
        self.wake()
        self.ring()

    def ring(self) -> None:
        """Have all senders look."""
        for peer in self.peers:
            peer.ring()

    def hear(self, stream: StreamId, heads: Mapping[StreamId, StreamHead], members: str, now: float) -> None:
        """A node asked us something, and said what it knows; if it is a peer, that is worth knowing."""
        if has_other_history(heads, self.own_head):
            self.renewal.call("a node that asked knows more of this stream, or another end")
        vector = {known: head.seq for known, head in heads.items()}
        if stream not in {peer.state.stream for peer in self.peers}:
            self._tell_all(Knocked(now=now))
        for peer in self.peers:
            if peer.state.stream == stream:
                peer.apply(Heard(now=now, vector=vector, members=members))
                peer.note_lag(self.store.log.shipped, now)
                if peer.state.failures or not self.is_reachable(peer):
                    peer.ring()

    def turn_to(self, stream: StreamId, now: float) -> None:
        """A node cannot send what we lack: have it asked, if it is a peer, as its answer says what to do instead."""
        for peer in self.peers:
            if peer.state.stream == stream:
                peer.apply(Wanted(now=now))
                peer.ring()

    def ask_all(self, now: float) -> None:
        """Have every peer asked at once, as somebody waits for what they may know."""
        self._tell_all(Wanted(now=now))

    def _tell_all(self, event: Wanted | Knocked) -> None:
        for peer in self.peers:
            peer.apply(event)
            peer.ring()

    @property
    def next_report(self) -> trio.Event:
        """Set as soon as a peer says what it knows, or fails; each time another one."""
        return self._reported

    async def wait_answered(self, since: float) -> None:
        """Wait until every peer has answered, or failed, since then, and none has more for this node."""
        while any(peer.is_awaited(since) for peer in self.peers):
            await self._reported.wait()

    def look(self, peer: Peer, now: float) -> Ask | Rest:
        """What to do about a peer."""
        feed, mine = self.store.log, self.store.log.shipped
        event = Look(
            now=now, mine=mine, own=self.store.stream, known=feed.fetched, causes=feed.causes_of(self.store.stream),
            wants=self.wants_of(peer), share=peer.share(), spread=max(1.0, (len(self.peers) - 1) / 2),
        )
        effect = peer.apply(event)
        peer.note_lag(mine, now)
        return effect or Rest(now)

    def tally(self, dots: Collection[Dot]) -> Tally:
        """Who has all of these ops, by what everybody last said, and why the others do not count."""
        return self._explained(self._counted(dots))

    def holders(self, dot: Dot) -> Tally:
        """As tally, and with whoever wrote it, which needs no answer of its own; not for what a write waits for."""
        streams = {peer.name: peer.state.stream for peer in self.peers}
        return self._explained(with_writer(self._counted([dot]), dot, streams))

    def _explained(self, tally: Tally) -> Tally:
        errors = {
            peer.name: peer.state.last_error or "hanging" for peer in self.peers
            if peer.name in tally.waiting_for and not self.is_reachable(peer)
            and peer.state.standing is Standing.PEER
        }
        return Tally(acked_by=tally.acked_by, waiting_for={**tally.waiting_for, **errors})

    def _counted(self, dots: Collection[Dot]) -> Tally:
        own = Report(
            name=self.store.node_name, stream=self.store.stream, vector=self.store.log.vector,
            reason="" if self.store.log.covers(dots) else "behind",
        )
        return count_acks(dots, own, self._reports(dots))

    def _reports(self, dots: Collection[Dot]) -> Iterator[Report]:
        """What peers said; of a stream of which there may be two histories it is not said which one they know."""
        is_doubtful = self.renewal.doubts(dots)
        for peer in self.peers:
            reason = OTHER_HISTORY if is_doubtful else closed_reason(self.store, peer.joined, dots)
            if peer.state.stream in self.moves.left:
                reason = "duplicate"
            report = peer.report()
            yield Report(name=peer.name, reason=reason) if reason and not report.reason else report

    def is_reachable(self, peer: Peer) -> bool:
        """Whether a write may count on a peer."""
        return is_reachable(peer.state, self.store.log.shipped, trio.current_time(), peer.rules)

    def reachable_count(self) -> int:
        """Nodes on which a write may count, this one included; two addresses of one node are one."""
        reachable = [peer for peer in self.peers if self.is_reachable(peer)]
        known = {peer.state.stream for peer in reachable if peer.state.stream is not None}
        return 1 + len(known) + sum(peer.state.stream is None for peer in reachable)

    @property
    def is_forked(self) -> bool:
        """Whether a peer knows another history of this node's stream, or more of it."""
        if self.renewal.reason or self.store.stream in self.store.log.closed:
            return True
        return any(peer.state.standing is Standing.FORKED for peer in self.peers)

    @property
    def is_catching_up(self) -> bool:
        """Whether this node began a stream and does not know yet what its peers knew then."""
        return self.settings.serves and self.store.lacks_past and not self.has_caught_up

    @property
    def is_ready(self) -> bool:
        """Whether its stream may be written, and nothing is to be fetched before."""
        return not self.is_forked and not self.is_catching_up

    @property
    def has_caught_up(self) -> bool:
        """Whether it knows what each peer that answers knew when it was first asked."""
        peers = ((peer.url, peer.state, peer.rules) for peer in self.peers)
        return self.renewal.has_caught_up(peers, trio.current_time())

    @property
    def clock_offset_s(self) -> float:
        """How far the clocks of the others agree to be ahead of this one, in seconds; 0 where they do not agree."""
        wall, now = self.clock.now(), trio.current_time()
        offsets = [offset_now(peer.state, wall, now) for peer in self.peers if peer.state.standing is Standing.PEER]
        return middle_offset(offset for offset in offsets if offset is not None) / 1e6

    async def wait_met(self) -> None:
        """Wait until each peer was tried once since the start: before that nobody knows whether the clock is right.

        Nor does it know whether it may go on in its stream. As long as a write waits for its acks, at most; a peer
        that hangs is not waited for again.
        """
        if self._is_met:
            return
        with trio.move_on_after(self.settings.timeout_s):
            while self._is_unsettled:
                await self._reported.wait()
        self._is_met = True

    @property
    def _is_unsettled(self) -> bool:
        has_tried = all(peer.state.failures or peer.state.answered_at is not None for peer in self.peers)
        return not has_tried or self.is_forked or self.is_catching_up

    def assent(self, wish: Consistency) -> Assent:
        """What a write asks of the others, now: see Store.write_agreed."""
        return QuorumScope(self, self.rule.needed(wish))

    def patience_s(self, op_count: int) -> float:
        """How long a write of so many ops waits for its acks: other nodes have to apply each of them."""
        return self.settings.timeout_s + op_count * OP_PATIENCE_S

    async def wait_acks(self, dots: Sequence[Dot], needed: int) -> Tally:
        """Wait until so many nodes have these ops, or the time is up. Returns: who has them then."""
        with trio.move_on_after(self.patience_s(len(dots))):
            while True:
                reported = self._reported
                counted = self._counted(dots)
                if counted.got >= needed:
                    return counted
                await reported.wait()
        return self.tally(dots)
