"""What nodes of v0.6.3 send to each other, and the words in which they are answered."""

from __future__ import annotations

from msgspec import Struct, field

from aimem.wire.responses import MemoryOut
from aimem.wire.transfer import ExportedLink, ImportMemory


class LegacyClock(Struct, kw_only=True):
    """Peer -> moment; read over, since it orders nothing."""

    entries: dict[str, str] = field(default_factory=dict)


class LegacyPending(Struct, kw_only=True):
    """An action that waits at a node of v0.6.3, or has waited.

    Attributes:
      payload: of a store the whole memory; of a delete `id`; of a promotion `id` and perhaps `to_namespace`.
    """

    id: str
    action_type: str = ""
    memory_id: str | None = None
    namespace: str = ""
    payload: dict[str, object] = field(default_factory=dict)
    requested_by: str = ""
    requested_at: str = ""
    status: str = "pending"


class LegacyDecision(Struct, kw_only=True):
    """What a node of v0.6.3 has decided."""

    id: str
    approved: bool = False
    decider: str = ""


class LegacyNamespace(Struct, kw_only=True):
    """Which memory is the standard of a namespace; its policy lies in that memory's metadata."""

    namespace: str
    standard_id: str
    parent_namespace: str | None = None
    updated_at: str | None = None


class LegacyPush(Struct, kw_only=True):
    """Body of POST /sync/push as v0.6.3 sends it: rows and ids, at most 1,000 of each kind."""

    sender_agent_id: str
    memories: list[ImportMemory]
    sender_clock: LegacyClock = field(default_factory=LegacyClock)
    deletions: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    restores: list[str] = field(default_factory=list)
    links: list[ExportedLink] = field(default_factory=list)
    pendings: list[LegacyPending] = field(default_factory=list)
    pending_decisions: list[LegacyDecision] = field(default_factory=list)
    namespace_meta: list[LegacyNamespace] = field(default_factory=list)
    namespace_meta_clears: list[str] = field(default_factory=list)
    dry_run: bool = False


class LegacyPushed(Struct, kw_only=True):
    """Answer to it: what was done, what changed nothing (`noop`), and what was refused (`skipped`).

    `refused` says why, item by item.
    """

    applied: int
    deleted: int
    archived: int
    restored: int
    links_applied: int
    noop: int
    skipped: int
    dry_run: bool
    receiver_agent_id: str
    pendings_applied: int = 0
    pending_decisions_applied: int = 0
    namespace_meta_applied: int = 0
    namespace_meta_cleared: int = 0
    receiver_clock: LegacyClock = field(default_factory=LegacyClock)
    refused: tuple[str, ...] = ()


class LegacySince(Struct, kw_only=True):
    """Answer to GET /sync/since without a position: live memories by the moment of their last update.

    Best effort: what changes while pages are read may be missed. Positions and vectors miss nothing.
    """

    count: int
    limit: int
    updated_since: str | None
    earliest_updated_at: str | None
    latest_updated_at: str | None
    memories: tuple[MemoryOut, ...]
    vector_clock: dict[str, int]
    more: bool
