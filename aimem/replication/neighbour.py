"""One peer as this node has it: its state, and what is noted beside it."""

from __future__ import annotations

import random

import trio

from aimem.model import StreamId, Vector
from aimem.replication.absence import Absence
from aimem.replication.counts import AckLatencies, failure_kind
from aimem.replication.peer import (
    Ask,
    Event,
    PeerRules,
    PeerState,
    Rest,
    Standing,
    step,
)
from aimem.replication.quorum import Report
from aimem.replication.reach import lag
from aimem.replication.tongue import Tongue
from aimem.store import closure


class Peer:
    """One peer: its state, and a bell that makes its sender look.

    Attributes:
      compared_at, differing: when all rows were last compared with its, and how many differed.
      joined: of each closed stream that it told of, the nodes whose rows it joined since.
      ahead: streams of which it showed in its last answer that it knows more than this node did.
      doubted: streams of this node's of which it named another op and did not show it; until they are closed it counts
        for none of them.
      tongue: what is spoken with it, and to which mesh it belongs.
      absence: since when no exchange with it has succeeded.
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
        self.ahead: frozenset[StreamId] = frozenset()
        self.doubted: frozenset[StreamId] = frozenset()
        self.tongue = Tongue()
        self.absence = Absence()
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
