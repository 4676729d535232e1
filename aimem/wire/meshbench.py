"""A bench of a mesh: the wish and the report."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

WRITERS: Final = (1, 16, 64, 256)
TIERS: Final = ("keyword", "semantic")
SYNC_DELAYS_MS: Final = (0, 2)
_GOAL_ROWS: Final = 2
_CONSISTENCIES: Final = 3
_ABOUT_S: Final = 15
"""What it takes to start a mesh, to let it settle, and to end it."""


class MeshBenchRequest(Struct, frozen=True, kw_only=True):
    """What to measure of a mesh.

    Attributes:
      seconds: how long each figure is measured.
      writers: with so many writers, one after the other.
      tiers: of the nodes: with the embedder (semantic) or without.
      sync_delays_ms: by how much the disk's syncs are slowed, in milliseconds.
      tls: whether nodes and callers show each other certificates; else all goes in the clear.
    """

    seconds: int = 5
    writers: tuple[int, ...] = WRITERS
    tiers: tuple[str, ...] = TIERS
    sync_delays_ms: tuple[int, ...] = SYNC_DELAYS_MS
    tls: bool = False

    @property
    def about_s(self) -> int:
        """About how long all of it takes, in seconds."""
        meshes = len(self.tiers) * len(self.sync_delays_ms)
        rows = _GOAL_ROWS + meshes * _CONSISTENCIES * len(self.writers)
        # Bulk stores, and those that a node misses, four times as many.
        return self.seconds * (rows + 5) + _ABOUT_S * (meshes + 2)


QUICK: Final = MeshBenchRequest(seconds=1, writers=(1, 64), tiers=("keyword",), sync_delays_ms=(0,))
"""Enough to see whether something is badly wrong."""


class MeshRate(Struct, frozen=True, kw_only=True):
    """Writes that so many callers got acknowledged by `needed` of `nodes`, how fast, and how many failed."""

    operation: str
    label: str
    nodes: int
    needed: int
    writers: int
    tier: str
    sync_delay_ms: int
    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


class MeshGoal(Struct, frozen=True, kw_only=True):
    """A figure that is to be reached on two cores that have nothing else to do: `at_most` or `at_least` the goal."""

    figure: str
    label: str
    bound: Literal["at_most", "at_least"]
    goal: float
    measured: float

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        return self.measured <= self.goal if self.bound == "at_most" else self.measured >= self.goal


class MeshBenchReport(Struct, frozen=True, kw_only=True):
    """What a bench of a mesh found.

    Attributes:
      tls: whether nodes and callers showed each other certificates.
      caught_up_ops: how many writes a node had missed when it was measured how fast it caught up.
      bytes_per_op: of a stored memory as it travels; `packed_bytes_per_op` in a batch, packed; `log_bytes_per_op` as
        the log keeps it.
      met: figure -> whether the goal is met.
    """

    seconds: int
    tls: bool
    rates: tuple[MeshRate, ...]
    bulk_rows_per_s: float
    catch_up_ops_per_s: float
    caught_up_ops: int
    bytes_per_op: float
    packed_bytes_per_op: float
    log_bytes_per_op: float
    goals: tuple[MeshGoal, ...]
    met: dict[str, bool]
    notes: tuple[str, ...] = ()
