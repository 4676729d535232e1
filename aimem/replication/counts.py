"""What is counted of the mesh, for metrics."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from aimem.model import Instant

LATENCIES_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the histogram of ack latencies."""

_FAILURE_KINDS: Final = {
    "timeout": "timeout", "nonsense": "nonsense", "forged": "forged", "untrusted": "untrusted",
    "tls": "tls", "unreachable": "unreachable", "no address": "unreachable", "the connection broke": "broken",
    "it answered": "answered", "refused": "refused", "took nothing": "refused",
    "another mesh": "other_cluster", "another protocol": "protocol",
}


def failure_kind(reason: str) -> str:
    """What sort of failure a reason tells of: one of a few words, for metrics."""
    return next((kind for begin, kind in _FAILURE_KINDS.items() if reason.startswith(begin)), "other")


class ComparedCounts(Struct):
    """What comparisons with peers found: see ai-memory-mesh(7)."""

    objects: int = 0
    differing: int = 0
    repaired: int = 0
    undecided: int = 0


class HeadCounts(Struct):
    """What nodes said of streams beyond what was known here: shown by their owners' signatures, not shown, or forged.

    Attributes:
      sent: proofs that this node sent.
    """

    proven: int = 0
    unproven: int = 0
    forged: int = 0
    sent: int = 0


class RoadCounts(Struct):
    """What was asked of peers, by the last word of the route: requests, and the bytes of bodies as they travelled."""

    requests: dict[str, int] = {}
    sent_bytes: dict[str, int] = {}
    received_bytes: dict[str, int] = {}

    def note(self, route: str, sent_bytes: int, received_bytes: int) -> None:
        """Add one request that was answered."""
        for counted, value in (
            (self.requests, 1), (self.sent_bytes, sent_bytes), (self.received_bytes, received_bytes),
        ):
            counted[route] = counted.get(route, 0) + value


class ShortWrite(Struct, frozen=True, kw_only=True):
    """A write that was refused, or got too few acks: see wire.shortage.ShortWriteOut."""

    at: Instant
    outcome: str
    why: str


class MeshCounts(Struct):
    """What writes came to, and how ops arrived.

    Attributes:
      last_short: the last write that was refused, or got too few acks.
    """

    acknowledged: int = 0
    not_applied: int = 0
    indeterminate: int = 0
    taken: int = 0
    skipped: int = 0
    stopped: dict[str, int] = {}
    compared: ComparedCounts = field(default_factory=ComparedCounts)
    heads: HeadCounts = field(default_factory=HeadCounts)
    last_short: ShortWrite | None = None


class AckLatencies(Struct):
    """A histogram: `counts[i]` acks within LATENCIES_S[i] seconds, the last beyond all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCIES_S) + 1))
    total_s: float = 0.0

    def note(self, seconds: float) -> None:
        """Add one."""
        self.total_s += seconds
        self.counts[next((i for i, bound in enumerate(LATENCIES_S) if seconds <= bound), -1)] += 1
