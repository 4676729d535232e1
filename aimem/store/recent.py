"""The end of the log in memory: what was just committed goes to every peer, and need not be read back for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from aimem.model import Op, StreamId, Vector
from aimem.store.outbound import Logged, LogPage

RECENT_COUNT: Final = 512
RECENT_BYTES: Final = 1_048_576
"""Of entries. Beyond either bound the oldest ops go: the log on the disk has them."""


class RecentOps:
    """The latest ops of the log, in its order; added to after each commit, on the event loop's thread alone.

    An op whose object was deleted meanwhile is here with its body, until others push it out: the delete follows it to
    wherever it goes.
    """

    def __init__(self) -> None:
        self._logged: deque[Logged] = deque()
        self._size_bytes = 0

    def add_nowait(self, logged: Iterable[Logged]) -> None:
        """Add what a commit logged; never waits."""
        for one in logged:
            self._logged.append(one)
            self._size_bytes += _size_bytes(one.op)
            while len(self._logged) > RECENT_COUNT or (self._size_bytes > RECENT_BYTES and len(self._logged) > 1):
                self._size_bytes -= _size_bytes(self._logged.popleft().op)

    def lacking(self, known: Vector, until: Vector, max_count: int, max_bytes: int) -> LogPage | None:
        """As `outbound.lacking`; None if some of it is not here, or no longer."""
        wanted_count = sum(max(0, seq - known.get(stream, 0)) for stream, seq in until.items())
        if wanted_count > len(self._logged):
            return None
        found: list[Logged] = []
        for one in reversed(self._logged):
            if len(found) == wanted_count:
                break
            dot = one.op.dot
            if known.get(dot.stream, 0) < dot.seq <= until.get(dot.stream, 0):
                found.append(one)
        # Each op is here once, so that as many as are wanted are all that are wanted.
        return _page(found[::-1], max_count, max_bytes) if len(found) == wanted_count else None

    def before_last(self, own: StreamId, known: Vector) -> Vector:
        """What is known without the ops of others that are here behind the last one of a stream."""
        before = dict(known)
        for one in reversed(self._logged):
            dot = one.op.dot
            if dot.stream == own:
                break
            if dot.stream in before:
                before[dot.stream] = min(before[dot.stream], dot.seq - 1)
        return before


def _page(logged: Sequence[Logged], max_count: int, max_bytes: int) -> LogPage:
    count = size_bytes = 0
    for one in logged[:max_count]:
        size_bytes += _size_bytes(one.op)
        if count and size_bytes > max_bytes:
            break
        count += 1
    position = logged[count - 1].position if count else 0
    return LogPage(ops=tuple(one.op for one in logged[:count]), more=count < len(logged), position=position)


def _size_bytes(op: Op) -> int:
    return sum(map(len, op.entries))
