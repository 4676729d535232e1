"""How much of its log each machine keeps: bounds of its own, which change at any time, down to a few ops."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

import trio
from msgspec import Struct

from aimem.model import Dot, StreamId, Vector, after, hlc_at
from aimem.ports import Clock, Connection
from aimem.replication import catchup
from aimem.replication.mesh import Mesh
from aimem.replication.peer import PeerState, Standing
from aimem.store import oplog, recent, trimming
from aimem.store.trimming import DAY_S, LogBounds
from tests.sim.ports import SPEAKER
from tests.sim.swarm import Fault, Swarm
from tests.sim.trace import Trace
from tests.sim.watch import Watcher

INTERVAL_S: Final = 4.0
JUST_WRITTEN: Final = 5
RECENT: Final = 4
"""Ops that a node has in memory beside its log: with as many as in earnest nobody would ever lack one of a run."""
LATE_S: Final = 3 * INTERVAL_S
MANY: Final = LogBounds()
_FIRST_HLC = "SELECT hlc FROM ops ORDER BY position LIMIT 1"
_FIRST_DOT = "SELECT stream, seq FROM ops WHERE position > 0 ORDER BY position LIMIT 1"


class _Word(Struct, frozen=True):
    """What a machine had last heard of the liar when it looked at its log; and the streams that are closed there."""

    said: PeerState
    closed: frozenset[StreamId]

    def is_wanting(self, dot: Dot) -> bool:
        """Whether the liar, a member as any other, still was to get an op."""
        known = self.said.acked if self.said.standing is Standing.PEER else {}
        return dot.stream not in self.said.full | self.closed and dot.seq > known.get(dot.stream, 0)


class Logs:
    """What each machine is told to keep."""

    def __init__(self, swarm: Swarm, trace: Trace) -> None:
        most = swarm.log_most
        self._usual = MANY if most is None else LogBounds(kept_count=most // 2, most_count=most)
        self._bounds: dict[str, LogBounds] = {}
        self._liar, self._words = f"http://{swarm.names[-1]}" if swarm.member_lies else "", dict[str, _Word]()
        self._trace = trace
        self.are_short = most is not None or swarm.has(Fault.TRIM) or swarm.has(Fault.AWAY)

    def of(self, name: str) -> LogBounds:
        """The bounds of a machine."""
        return self._bounds.get(name, self._usual)

    def floor(self, mesh: Mesh, known_to_all: Callable[[Mesh], Vector]) -> Vector:
        """What no peer of a machine lacks; what the liar said to it is noted."""
        closed = frozenset(mesh.store.log.closed)
        self._words |= {SPEAKER.get(): _Word(peer.state, closed) for peer in mesh.peers if peer.url == self._liar}
        return known_to_all(mesh)

    def most_of(self, name: str, first: Dot | None) -> int:
        """How many ops a machine may have in its log: more than are to be kept only for the liar, who lacks the first.

        A log is cut at one place: behind what a member lacks nothing leaves it, up to its other bounds.
        """
        bounds, word = self.of(name), self._words.get(name)
        is_for_liar = first is not None and word is not None and word.is_wanting(first)
        return bounds.most_count if is_for_liar else min(bounds.kept_count, bounds.most_count)

    def bound(self, name: str, bounds: LogBounds) -> None:
        """Change the bounds of a machine."""
        self._trace.note("bounds", name, bounds.kept_count, bounds.most_count, f"{bounds.most_days * DAY_S:g}")
        self._bounds[name] = bounds

    def bound_anyhow(self, name: str, rng: random.Random) -> None:
        """Give a machine some other bounds."""
        self.bound(name, _drawn(rng))

    def keep_for(self, name: str, seconds: float) -> None:
        """Let a machine keep nothing that is older than this, and what it has beyond that as it was."""
        # Changed again later, as by anybody: what one who is away came back to is not to be the rule from then on.
        self.bound(name, LogBounds(kept_count=0, most_count=self.of(name).most_count, most_days=seconds / DAY_S))


def _drawn(rng: random.Random) -> LogBounds:
    most = rng.choice([3, 10, 40, 200, MANY.most_count])
    kept = rng.choice([0, 0, min(most // 2, 20)])       # few, as all of a run is a few hundred
    days = rng.choice([MANY.most_days, MANY.most_days, 60 / DAY_S, 15 / DAY_S])
    return LogBounds(kept_count=kept, most_count=most, most_days=days)


@contextmanager
def short_logs(logs: Logs) -> Iterator[None]:
    """Let each machine keep what its bounds say, and look often; inside the block."""
    if not logs.are_short:
        yield
        return
    trim, interval_s, recent_count = trimming.trim, catchup.TRIM_INTERVAL_S, recent.RECENT_COUNT
    known_to_all = catchup.known_to_all
    trimming.trim = lambda transaction, floor, size, _: trim(transaction, floor, size, logs.of(SPEAKER.get()))
    catchup.known_to_all = lambda mesh: logs.floor(mesh, known_to_all)
    catchup.TRIM_INTERVAL_S = INTERVAL_S  # type: ignore[misc]
    recent.RECENT_COUNT = RECENT  # type: ignore[misc]
    try:
        yield
    finally:
        trimming.trim, catchup.known_to_all = trim, known_to_all
        catchup.TRIM_INTERVAL_S, recent.RECENT_COUNT = interval_s, recent_count  # type: ignore[misc]


async def check_logs(
    nodes: Mapping[str, Connection], clocks: Mapping[str, Clock], logs: Logs, watcher: Watcher
) -> None:
    """When all is quiet a log has no more than it may have, but for what was written since it was looked at last.

    Args:
      nodes: which all know the same, and know so of each other.
    """
    if not logs.are_short:
        return
    await trio.sleep(2 * INTERVAL_S)
    for name, conn in sorted(nodes.items()):
        watcher.checks += 2
        bounds, length, first = logs.of(name), oplog.count(conn), _first_dot(conn)
        if length > logs.most_of(name, first) + JUST_WRITTEN:
            watcher.find("bounds", f"the log of {name} has {length} ops, from {first}; it is to have as {bounds}")
        row, late_s = conn.execute(_FIRST_HLC).fetchone(), LATE_S + bounds.most_days * DAY_S
        if row is not None and cast("tuple[int]", row)[0] < hlc_at(after(clocks[name].now(), -late_s)):
            watcher.find("bounds", f"the log of {name} reaches back further than {bounds.most_days} days")


def _first_dot(conn: Connection) -> Dot | None:
    row = conn.execute(_FIRST_DOT).fetchone()
    return None if row is None else Dot(*cast("tuple[StreamId, int]", row))
