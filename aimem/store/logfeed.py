"""How far the log is known, durably, and a way to wait for more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import trio

from aimem.model import Dot, Evidence, StreamHead, StreamId, Vector, dominates
from aimem.store.outbound import Logged
from aimem.store.recent import RecentOps

SEQ_MAX: Final = (1 << 63) - 1


class LogFeed:
    """The heads of all streams after the last commit; read at any time, moved by the writer alone.

    Attributes:
      vector: what is known; a new one at each commit, never changed.
      closed: streams of which two histories were written, and whose rows were joined since: see `closure.Closed`.
      evidence: what shows others that they are closed, as far as there is some.
      unproven: streams whose ends this node cannot prove, since it has neither their ops nor anything kept of them.
      full: streams of which no more is taken for now: their next op would be held, and there is no room for it.
      recent: the latest ops, for those who send them on.
    """

    def __init__(self) -> None:
        self.heads: Mapping[StreamId, StreamHead] = MappingProxyType({})
        self.vector: Vector = {}
        self.closed: Mapping[StreamId, frozenset[StreamId]] = MappingProxyType({})
        self.evidence: dict[StreamId, Evidence] = {}
        self.unproven: frozenset[StreamId] = frozenset()
        self.full: frozenset[StreamId] = frozenset()
        self.recent = RecentOps()
        self.change_count = 0
        self._causes: tuple[int, StreamId, Vector] | None = None
        self._woken = trio.Event()

    @property
    def hlc(self) -> int:
        """The greatest clock value of any known op."""
        return max((head.hlc for head in self.heads.values()), default=0)

    def publish_nowait(self, moved: Mapping[StreamId, StreamHead], logged: Sequence[Logged] = ()) -> None:
        """Note the heads that a commit moved, and the ops that did; never waits."""
        self.recent.add_nowait(logged)
        if moved:
            # A new mapping each time: whoever holds one may go on reading it.
            self.unproven -= moved.keys() & self.heads.keys()
            self.heads = MappingProxyType({**self.heads, **moved})
            self.vector = {stream: head.seq for stream, head in self.heads.items()}
            self.change_count += 1
            self._woken.set()
            self._woken = trio.Event()

    @property
    def shipped(self) -> Vector:
        """What others may lack of what is known: of a closed stream nobody takes anything.

        Nor does anybody take what cannot be proven, whose ops are gone: to offer it would be to offer it without end.
        """
        if not self.closed and not self.unproven:
            return self.vector
        kept_back = self.closed.keys() | self.unproven
        return {stream: seq for stream, seq in self.vector.items() if stream not in kept_back}

    @property
    def fetched(self) -> Vector:
        """What is not to be fetched: what is known, and all of the streams of which nothing more is taken."""
        untaken = self.closed.keys() | self.full
        return {**self.vector, **dict.fromkeys(untaken, SEQ_MAX)} if untaken else self.vector

    def causes_of(self, own: StreamId) -> Vector:
        """What of `shipped` was known when the writer of a stream wrote last here, and all of its own.

        Where the latest ops do not reach back to that, it is as much more.
        """
        if self._causes is None or self._causes[:2] != (self.change_count, own):
            self._causes = self.change_count, own, self.recent.before_last(own, self.shipped)
        return self._causes[2]

    def close_nowait(self, closed: Mapping[StreamId, frozenset[StreamId]]) -> None:
        """Note streams that are closed, with whose rows were joined; never waits."""
        self.closed = MappingProxyType({**self.closed, **closed})
        self.change_count += 1
        self._woken.set()
        self._woken = trio.Event()

    def covers(self, dots: Iterable[Dot]) -> bool:
        """Whether all of these are known."""
        return all(dot.stream in self.heads and self.heads[dot.stream].seq >= dot.seq for dot in dots)

    async def wait_change(self, seen_count: int) -> int:
        """Wait until something changed since `change_count` was `seen_count`. Returns: what it is now."""
        while self.change_count == seen_count:
            await self._woken.wait()
        return self.change_count

    async def wait_known(self, vector: Vector) -> None:
        """Wait until so much is known."""
        while not dominates(self.vector, vector):
            await self._woken.wait()

    async def wait_covered(self, dots: Iterable[Dot]) -> None:
        """Wait until all of these are known."""
        wanted = tuple(dots)
        while not self.covers(wanted):
            await self._woken.wait()
