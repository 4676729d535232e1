"""The mesh as one node has it: its peers, who has which write, and what a write asks of the others."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import trio
from msgspec.structs import replace

from aimem.model import Dot, StreamHead, StreamId
from aimem.ports import Clock
from aimem.replication.closure import OTHER_HISTORY, closed_reason
from aimem.replication.cluster import Strangers
from aimem.replication.counts import MeshCounts
from aimem.replication.differences import Differences
from aimem.replication.joins import Joins
from aimem.replication.members import Agreement, agreement, members_hash
from aimem.replication.neighbour import Peer
from aimem.replication.peer import (
    Ask,
    Heard,
    Knocked,
    Look,
    Renewed,
    Rest,
    Standing,
    Wanted,
    has_other_history,
)
from aimem.replication.quorum import (
    DUPLICATE,
    Consistency,
    Report,
    Rule,
    Tally,
    count_acks,
    middle_offset,
    with_writer,
)
from aimem.replication.reach import behind, is_reachable, offset_now
from aimem.replication.renewal import Moves, Renewal, without
from aimem.replication.road import PeerRoad
from aimem.replication.scope import QuorumScope
from aimem.replication.settings import MeshSettings
from aimem.replication.untaken import shipped_to, untaken_by
from aimem.store import Assent, Store, trimming
from aimem.wire import EXCHANGE_MAX_OPS

OP_PATIENCE_S: Final = 0.005


class Mesh:
    """All peers of a node. `run_mesh` keeps it going.

    Attributes:
      peers: of this moment: they may be others after the next `await`; see `run_for_peers`.
      road: the way to them; whoever made it closes it.
      log_size: of the op log, when it was last looked at.
    """

    def __init__(
        self, settings: MeshSettings, store: Store, *, clock: Clock, rng: random.Random, road: PeerRoad
    ) -> None:
        self.settings, self.store, self.clock, self.road = settings, store, clock, road
        self._rng = rng
        self.peers: tuple[Peer, ...] = ()
        self.counts, self.differences = MeshCounts(), Differences()
        self.renewal = Renewal(store)
        self.draining: Peer | None = None
        self.joins = Joins()
        self.log_size = trimming.LogSize()
        self.moves, self.strangers = Moves(), Strangers()
        self._reported, self._changed = trio.Event(), trio.Event()
        self._is_met = True
        self._told_members = ""
        self.replace_members(settings)

    def replace_members(self, settings: MeshSettings) -> None:
        """Work with these peers, this W and these times from now on; of a peer that stays all is known as before.

        The senders follow, see `run_for_peers`. A write that waits for acks keeps the W that it began with, and counts
        who is a peer now.
        """
        before, rules = {peer.url: peer for peer in self.peers}, settings.rules
        self.settings = settings
        kept = [before.pop(url) for url in settings.peers if url in before]
        known = {peer.url: peer for peer in kept}
        self.peers = tuple(known.get(url) or Peer(url, rules, self._rng) for url in settings.peers)
        for peer in kept:
            peer.rules = rules
        self._part_with(before.values())
        # Who has peers that know it need not ask a new one first whether it may write.
        self._is_met = self.is_alone or (self._is_met and bool(kept))
        self._changed.set()
        self._changed = trio.Event()
        self.wake()
        if kept:
            self.ask_all(trio.current_time())   # and so tell them of the list that this node has now

    def _part_with(self, gone: Iterable[Peer]) -> None:
        for peer in gone:
            if peer.state.standing is Standing.FORKED:
                self.renewal.call("a node that was a peer knows more of this stream, or another end")
            if self.draining is peer:
                self.draining = None
            self.renewal.forget(peer.url)
            self.moves.forget(peer.url)
            self.differences.forget(peer.url)
        self.renewal.ring()     # perhaps nothing else was awaited

    def draw_share(self) -> float:
        """A draw in [0, 1), for jitter."""
        return self._rng.random()

    @property
    def next_members(self) -> trio.Event:
        """Set as soon as the peers, or how they are treated, may be others; each time another one."""
        return self._changed

    @property
    def rule(self) -> Rule:
        """N and W as of now."""
        return self.settings.rule

    @property
    def is_alone(self) -> bool:
        """Whether it asks nobody: it has no peers, or no senders run."""
        return not (self.settings.serves and self.peers)

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

    @property
    def behind(self) -> int:
        """Writes that peers know and this node lacks, by their latest words."""
        return behind((peer.state for peer in self.peers), self.store.log.fetched)

    def wants_of(self, peer: Peer) -> int:
        """How many ops to take from a peer: while one is drained, none from the others; they hold the same."""
        return EXCHANGE_MAX_OPS if self.draining in (None, peer) else 0

    def note_reported(self, peer: Peer) -> None:
        """A peer said what it knows, or failed: whoever waits for acks counts again."""
        if peer not in self.peers:
            return      # it was one when it was asked
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
        self._is_met = self.is_alone
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
                peer.note_lag(shipped_to(self.store, peer.state), now)
                if peer.state.failures or not self.is_reachable(peer):
                    peer.ring()

    def turn_to(self, stream: StreamId, now: float) -> None:
        """A node cannot send what we lack: have it asked, if it is a peer, as its answer says what to do instead.

        Not while its state cannot be joined: the two would ask each other without end.
        """
        for peer in self.peers:
            is_free = self.draining is None and self.joins.is_due(peer.url, now)
            if peer.state.stream == stream and is_free:
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
        store, state = self.store, peer.state
        mine, untaken = shipped_to(store, state), untaken_by(store, state)
        event = Look(
            now=now, mine=mine, own=store.stream, known=store.log.fetched, wants=self.wants_of(peer),
            causes=without(store.log.causes_of(store.stream), untaken), share=peer.share(),
            spread=max(1.0, (len(self.peers) - 1) / 2),
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
        is_doubtful, streams = self.renewal.doubts(dots), {peer.url: peer.state.stream for peer in self.peers}
        for peer in self.peers:
            reason = OTHER_HISTORY if is_doubtful else closed_reason(self.store, peer.joined, dots)
            report = peer.report()
            if peer.state.stream is not None:
                report = replace(report, stream=self.moves.counts_as(peer.state.stream, streams))
                reason = reason or ("" if report.stream else DUPLICATE)
            yield Report(name=peer.name, reason=reason) if reason and not report.reason else report

    def is_reachable(self, peer: Peer) -> bool:
        """Whether a write may count on a peer."""
        return is_reachable(peer.state, shipped_to(self.store, peer.state), trio.current_time(), peer.rules)

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
        return not self.is_alone and self.store.lacks_past and not self.has_caught_up

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
