"""The curator: cycles, their reports, and taking back what they did."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

ActName = Literal["consolidate", "forget", "priority_adjust", "auto_tag"]
"""What a curator may do to memories; the name stands in its record of rollback."""


class CurateRequest(Struct, kw_only=True):
    """Optional body of POST /curator: bounds of one cycle."""

    max_ops: int = 100
    dry_run: bool = False
    include_namespaces: list[str] = field(default_factory=list)
    exclude_namespaces: list[str] = field(default_factory=list)


class ActOut(Struct, kw_only=True):
    """One act of a cycle: the memories that it touches, and its record of rollback. No text but titles.

    Attributes:
      titles: of `ids`, in their order; empty for one that the caller may not see, or that has lost its name.
      kept: which of `ids` stays, if the others go to the archive for it.
    """

    action: ActName
    ids: tuple[str, ...]
    titles: tuple[str, ...] = ()
    kept: str | UnsetType = UNSET
    rollback_id: str | UnsetType = UNSET


class Autonomy(Struct, kw_only=True):
    """Counts of what a cycle did by itself."""

    clusters_formed: int = 0
    memories_consolidated: int = 0
    memories_forgotten: int = 0
    priority_adjustments: int = 0
    rollback_entries_written: int = 0
    errors: tuple[str, ...] = ()


class CurationReport(Struct, kw_only=True):
    """What one cycle saw and did.

    `more` says that memories are left for the next cycle, which goes on where this one ended.
    """

    started_at: str
    completed_at: str
    cycle_duration_ms: int
    memories_scanned: int
    memories_eligible: int
    auto_tagged: int
    contradictions_found: int
    operations_attempted: int
    operations_skipped_cap: int
    autonomy: Autonomy
    errors: tuple[str, ...]
    dry_run: bool
    acts: tuple[ActOut, ...] = ()
    more: bool = False
    id: str | UnsetType = UNSET


class ReportsQuery(Struct, kw_only=True):
    """Query of GET /curator/reports."""

    limit: int = 20


class ReportsPage(Struct, kw_only=True):
    """Reports of cycles, the latest first."""

    reports: tuple[CurationReport, ...]
    count: int


class RollbackRequest(Struct, kw_only=True):
    """Body of POST /curator/rollback: one record by its id, or the `last` so many that are not reversed yet."""

    id: str | None = None
    last: int | None = None


class Reversal(Struct, kw_only=True):
    """One record: `reversed` now, or (`already`) before; else `code` and `error` say why not.

    `missing` names memories that are no longer there, `kept` those that were changed since and stay as they are.
    """

    id: str
    reversed: bool
    action: str | UnsetType = UNSET
    already: bool = False
    restored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    code: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class RolledBack(Struct, kw_only=True):
    """Answer to a rollback: `reversed` counts the records that were taken back now."""

    reversed: int
    records: tuple[Reversal, ...]
