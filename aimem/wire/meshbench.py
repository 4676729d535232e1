"""A bench of a mesh: the wish and the report."""

from __future__ import annotations

from msgspec import Struct


class MeshBenchRequest(Struct, frozen=True, kw_only=True):
    """What to measure of a mesh: with so many writers, for so long each; `tier` is the nodes'."""

    seconds: int = 5
    writers: tuple[int, ...] = (1, 16, 64, 256)
    tier: str = "keyword"


class MeshRate(Struct, frozen=True, kw_only=True):
    """Writes that so many callers got acknowledged by `needed` nodes, and how long they took; `failed` were not."""

    operation: str
    label: str
    writers: int
    needed: int
    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


class MeshBenchReport(Struct, frozen=True, kw_only=True):
    """What a bench of a mesh found."""

    nodes: int
    seconds: int
    tier: str
    rates: tuple[MeshRate, ...]
    bulk_rows_per_s: float
    catch_up_ops_per_s: float
    bytes_per_op: float
    notes: tuple[str, ...] = ()
