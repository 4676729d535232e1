"""Snapshots of peers that are joined here: how far, how often it went wrong and why, and whom to ask when again."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from aimem.errors import AimemError
from aimem.replication.counts import failure_kind

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0


class JoinCounts(Struct):
    """For metrics.

    Attributes:
      joined: snapshots.
      resumed: those whose fetching went on where it broke off before.
      chunks: that were fetched.
      failed: snapshots of which nothing was joined, by the reason why it broke off.
    """

    joined: int = 0
    resumed: int = 0
    chunks: int = 0
    failed: dict[str, int] = field(default_factory=dict)


class Joining(Struct, frozen=True, kw_only=True):
    """How far a snapshot is fetched: of which peer, and how many chunks and objects of how many; then it is joined.

    From a node one version older the objects come by pages, and nobody knows how many there are: then `chunks` is 0.
    """

    url: str
    chunk: int = 0
    chunks: int = 0
    objects: int = 0
    of: int = 0


class _Pause(Struct, frozen=True):
    failures: int
    until: float


class Joins:
    """Which snapshot is joined now, and which peers are not to be asked for theirs for a while.

    Attributes:
      now: None while none is; never more than one.
    """

    def __init__(self) -> None:
        self.counts = JoinCounts()
        self.now: Joining | None = None
        self._pauses: dict[str, _Pause] = {}

    def is_due(self, url: str, now: float) -> bool:
        """Whether a peer may be asked for its snapshot."""
        pause = self._pauses.get(url)
        return pause is None or pause.until <= now

    def note_joined(self, url: str) -> None:
        """The snapshot of a peer is joined."""
        self.counts.joined += 1
        self._pauses.pop(url, None)

    def note_failed(self, url: str, reason: str, now: float) -> float:
        """It broke off. Returns: when the peer may be asked again."""
        self.counts.failed[reason] = self.counts.failed.get(reason, 0) + 1
        failures = self._pauses[url].failures + 1 if url in self._pauses else 1
        until = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10))
        self._pauses[url] = _Pause(failures, until)
        return until


def reason_of(error: AimemError | ValueError) -> str:
    """Why a join broke off, in one of a few words, for metrics."""
    if isinstance(error, AimemError):
        said = error.details.get("reason")
        return said if isinstance(said, str) else failure_kind(error.message)
    return "nonsense"
