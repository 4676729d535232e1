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


SCALE_NODES_MAX: Final = 64
SCALE_WRITERS: Final = (1, 16)


class ScaleRequest(Struct, frozen=True, kw_only=True):
    """What to measure of meshes of growing size.

    Attributes:
      nodes: so many, one mesh after the other.
      seconds: how long each row is measured.
      writers: with so many writers, which take turns at the nodes.
      tls: whether nodes and callers show each other certificates; else all goes in the clear.
    """

    nodes: tuple[int, ...]
    seconds: int = 5
    writers: tuple[int, ...] = SCALE_WRITERS
    tls: bool = False

    @property
    def about_s(self) -> int:
        """About how long all of it takes, in seconds."""
        rows = 2 * len(self.nodes) * len(self.writers)
        return rows * (self.seconds + 2) + sum(2 * count + _ABOUT_S for count in self.nodes)


class ScaleRow(Struct, frozen=True, kw_only=True):
    """What a write costs in a mesh of so many nodes.

    Attributes:
      needed: nodes that it waits for.
      per_s, p50_ms, p99_ms, failed: as its callers see it; `per_s` of all of them together.
      requests: from node to node, of one write, until all nodes have it.
      wire_bytes: of the bodies of those requests and of their answers, as they travel.
      processor_ms: of one write, all daemons together.
      node_mb: resident memory of a daemon at the end, on average, in MiB.
    """

    nodes: int
    needed: int
    writers: int
    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    requests: float
    wire_bytes: float
    processor_ms: float
    node_mb: float


class ScaleReport(Struct, frozen=True, kw_only=True):
    """What a bench of growing meshes found.

    Attributes:
      cores: processors that this command may use; nodes and callers share them.
      memory_mb: what the machine had to spare at the start, in MiB.
    """

    seconds: int
    tls: bool
    cores: int
    memory_mb: int
    rows: tuple[ScaleRow, ...]
    notes: tuple[str, ...] = ()
