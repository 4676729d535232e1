"""A node whose peers know more of its stream than itself takes a new one, and catches up before it writes again.

That happens where its database was put back from a copy, lost its last writes with a disk, or runs twice. Nobody has
to do anything; but as each stream is known for ever, a peer that lies about them may not cause many.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

import trio

from aimem.errors import AimemError, Unavailable
from aimem.model import Dot, StreamId, Vector, dominates
from aimem.replication.peer import PeerRules, PeerState, Standing
from aimem.store import Store, adoption, lineage, renewal

log = logging.getLogger(__name__)

RENEWALS_MAX: Final = 4
RENEWALS_WINDOW_S: Final = 3600.0
"""So many new streams within an hour, and no more: what goes on after that a person must look at."""
RETRY_S: Final = 1.0
LEFT_MAX: Final = 256
UNDER_WAY_S: Final = 10.0
"""An exchange ends after so long: an answer that comes later was asked for later, too."""


class Renewal:
    """Why this node has to begin a new stream, and what it has to fetch after it did.

    Attributes:
      reason: why it is due; empty while it is not.
      count: new streams since the start.
      is_rejoining: whether the whole state of a peer is to be joined before this node has caught up: see `rejoin`.
      former: streams that this node wrote before and has not caught up with: what peers say of them may be about
        other ops than those that are known here, so it acknowledges nothing.
      written: how much of each of those this node itself knew before it asked anybody.
    """

    def __init__(self, store: Store) -> None:
        self.reason, self.count, self.is_rejoining = "", 0, False
        self.former: frozenset[StreamId] = frozenset()
        self.written: Vector = {}
        self._store = store
        self._goals: dict[str, Vector] = {}
        self._is_half_joined = False
        self._refusing: set[str] = set()
        self._times: list[float] = []
        self._bell = trio.Event()

    async def load(self) -> None:
        """Remember across a restart what is to be caught up with. Raises: Unavailable."""
        self.is_rejoining = await self._store.read(renewal.is_rejoining)
        if self._store.lacks_past:
            self._is_half_joined = bool((await self._store.read(adoption.load)).id)
            self.former = frozenset(await self._store.read(lineage.line_of, self._store.stream)) - {
                self._store.stream
            }
            self.written = self._store.log.vector

    async def rejoin(self) -> None:
        """Go on in a new stream, and join the whole state of a peer before it is written. Raises: Unavailable."""
        await self._store.write(renewal.ask_rejoin)
        self.is_rejoining = True
        self.call("an operator had this node join its mesh anew")

    async def note_rejoined(self) -> None:
        """A peer's whole state is joined. Raises: Unavailable."""
        await self._store.write(renewal.note_rejoined)
        self.is_rejoining = False
        self.ring()

    def may_renew(self, now: float) -> bool:
        """Whether another stream may be begun: so many within the hour, and no more."""
        return sum(at > now - RENEWALS_WINDOW_S for at in self._times) < RENEWALS_MAX

    def call(self, reason: str) -> None:
        """Have a new stream begun."""
        self.reason = self.reason or reason
        self._bell.set()

    def ring(self) -> None:
        """Have it looked at what is to be done."""
        self._bell.set()

    async def wait_rung(self) -> None:
        """Wait until somebody rang since this was last waited for."""
        await self._bell.wait()
        self._bell = trio.Event()

    def note_answer(self, url: str, state: PeerState) -> None:
        """A peer answered: what it knew then is to be reached, but for what it wrote itself.

        That comes as from any other node; and if its clock is wrong, nobody takes it for as long.
        """
        if self._store.lacks_past and state.answered_at is not None and state.standing is Standing.PEER:
            goal = {stream: seq for stream, seq in state.acked.items() if stream != state.stream}
            self._goals.setdefault(url, goal)

    def note_ended(self, url: str, failure: AimemError | None) -> None:
        """An exchange ended; perhaps as its peer is there, and does not believe that this node is who it says."""
        if failure is not None and failure.details.get("is_disbelieved"):
            self._refusing.add(url)
        else:
            self._refusing.discard(url)

    def note_joined(self) -> None:
        """A snapshot was joined: each peer that answers has to answer once more before this node is ready.

        What it says then is compared with what the snapshot said.
        """
        self._goals.clear()
        self._is_half_joined = False

    def note_withheld(self, url: str, known: Vector) -> None:
        """A peer named more than it has to send: nobody waits for that."""
        if url in self._goals:
            goal = self._goals[url]
            self._goals[url] = {stream: min(seq, known.get(stream, 0)) for stream, seq in goal.items()}

    def forget(self, url: str) -> None:
        """It is no peer any more: nobody waits for what it knew."""
        self._goals.pop(url, None)
        self._refusing.discard(url)

    def has_caught_up(self, peers: Iterable[tuple[str, PeerState, PeerRules]], now: float) -> bool:
        """Whether this node knows what each peer that answers knew when it was first asked.

        Where none does, and some are there and refuse this node until somebody says who it is, it knows of nothing yet.
        Where none does any more, and this node has a part of what they knew, it waits for them.
        """
        if self.is_rejoining or (self._refusing and not self._goals):
            return False
        mine, untaken = self._store.log.vector, self._store.log.closed.keys() | self._store.log.full
        answers = False
        for url, state, rules in peers:
            is_hanging = state.asked_at is not None and now - state.asked_at > rules.patience_s
            if state.failures >= rules.breaker_count or is_hanging or state.standing is Standing.SELF:
                continue
            answers, goal = True, self._goals.get(url)
            if goal is None or not dominates(mine, without(goal, untaken)):
                return False
        return answers or not (
            self._is_half_joined or any(not dominates(mine, without(goal, untaken)) for goal in self._goals.values())
        )

    def doubts(self, dots: Iterable[Dot]) -> bool:
        """Whether nobody can say who has these ops, as they are of a stream that this node wrote before."""
        doubtful = self.former | {self._store.stream} if self.reason else self.former
        return bool(doubtful) and any(dot.stream in doubtful for dot in dots)

    async def renew(self, now: float) -> bool:
        """Begin a new stream, if the last ones were not a moment ago. Returns: whether it did.

        Raises: Unavailable; Corrupt.
        """
        self._times = [at for at in self._times if at > now - RENEWALS_WINDOW_S]
        if len(self._times) >= RENEWALS_MAX:
            return False
        old = self._store.stream
        fresh = await self._store.renew()
        self._times.append(now)     # only now: what a full disk kept from beginning is no stream
        reason = self.reason or "a peer knows more of it, or another end"
        log.warning("stream.renewed", extra={"reason": reason, "stream": fresh, "replaces": old})
        self.former |= {old}
        self.written = {old: self._store.log.vector.get(old, 0), **self.written}
        self.reason, self.count = "", self.count + 1
        self._goals.clear()
        return True

    async def note_caught_up(self) -> None:
        """From now on this node is as any other. Raises: Unavailable; Corrupt."""
        await self._store.note_caught_up()
        log.info("stream.caught_up", extra={"stream": self._store.stream})
        self.former, self.written = frozenset(), {}
        self._goals.clear()

    @property
    def resumes_at(self) -> float:
        """When the next stream may be begun."""
        return self._times[0] + RENEWALS_WINDOW_S if len(self._times) >= RENEWALS_MAX else 0.0


class Moves:
    """Which streams peers left for another: whoever answers under such a one may be the same node.

    Attributes:
      left: stream -> the address whose node left it; the last ones only.
    """

    def __init__(self) -> None:
        self.left: dict[StreamId, str] = {}
        self._left_at: dict[StreamId, float] = {}
        self._written_at: dict[StreamId, float] = {}

    def note(self, url: str, before: StreamId | None, now: StreamId | None, at: float) -> None:
        """A peer answered, and wrote one stream before and perhaps writes another one now."""
        self._unmask(url, now, at)
        if before is None or now is None or before == now:
            return
        if self.left.get(now) == url:
            del self.left[now]      # it was put back from a copy of that time, and nobody knows more of it
        if len(self.left) >= LEFT_MAX:
            self.left.clear()
        self.left[before] = url
        self._left_at = {**{stream: self._left_at[stream] for stream in self.left if stream != before}, before: at}
        self._written_at.pop(before, None)

    def counts_as(self, stream: StreamId, streams: Mapping[str, StreamId | None]) -> StreamId | None:
        """The stream by which to count who answers under this one; None: it does not count.

        Who answers under a stream that another address left, when that was asked after it was left, is another node,
        or the same one and went back to it. So of the two addresses one counts.

        Args:
          streams: address -> the stream that is written there now, as far as it is known.
        """
        if stream not in self.left:
            return stream
        return streams.get(self.left[stream]) if stream in self._written_at else None

    def forget(self, url: str) -> None:
        """It is no peer's address any more: whichever stream answers elsewhere is another address's."""
        for stream in [stream for stream, left_by in self.left.items() if left_by == url]:
            del self.left[stream]

    def _unmask(self, url: str, now: StreamId | None, at: float) -> None:
        """See which stream another node writes after all.

        Its address answers under it after that, and then the one that left it does not: one node would have to go
        there and back. Each answer was asked for only when the one before it was there.
        """
        self._written_at = {stream: since for stream, since in self._written_at.items() if stream in self.left}
        if now is not None and self.left.get(now, url) != url and at > self._left_at[now] + UNDER_WAY_S:
            self._written_at.setdefault(now, at)
        for stream, since in self._written_at.items():
            if self.left[stream] == url and stream != now and at > since + UNDER_WAY_S:
                del self.left[stream]


def without(vector: Vector, closed: Iterable[StreamId]) -> Vector:
    """A vector without some streams."""
    gone = frozenset(closed)
    return {stream: seq for stream, seq in vector.items() if stream not in gone} if gone else vector


async def pause_after(error: Unavailable) -> None:
    """The disk is full, or the like: a moment later it may not be."""
    log.warning("stream.renewal_delayed", extra={"reason": error.code.value})
    await trio.sleep(RETRY_S)


