"""Memories and links: the values that the product is about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from aimem.model.ids import AgentId, MemoryId, Namespace
from aimem.model.instant import DAY_S, Instant, after

JsonObject = Mapping[str, object]
"""An immutable JSON object (`metadata`): nobody changes it in place."""


class Tier(StrEnum):
    """How long a memory is meant to live."""

    SHORT = "short"
    MID = "mid"
    LONG = "long"

    @property
    def rank(self) -> int:
        """0 for short to 2 for long: a tier never goes down silently."""
        return ("short", "mid", "long").index(self)


class Scope(StrEnum):
    """Who may see a memory (design §8)."""

    PRIVATE = "private"
    TEAM = "team"
    UNIT = "unit"
    ORG = "org"
    COLLECTIVE = "collective"


class Relation(StrEnum):
    """What a link says of its source and target."""

    RELATED_TO = "related_to"
    SUPERSEDES = "supersedes"
    CONTRADICTS = "contradicts"
    DERIVED_FROM = "derived_from"


class Memory(Struct, frozen=True, kw_only=True):
    """A live memory as a reader sees it.

    Attributes:
      author: who created it; replicated with the birth, never changed by edits.
      metadata: without the reserved keys `agent_id` and `scope`, which are `author` and `scope` here.
      expires_at: the moment from which it is hidden, extensions included; None means never.
      access_count, last_accessed_at: this node's own, never replicated.
    """

    id: MemoryId
    namespace: Namespace
    title: str
    title_generated: bool = False
    content: str
    tags: tuple[str, ...] = ()
    tier: Tier
    priority: int = 5
    confidence: float = 1.0
    source: str
    author: AgentId
    scope: Scope | None = None
    metadata: JsonObject = {}
    created_at: Instant
    updated_at: Instant
    expires_at: Instant | None = None
    access_count: int = 0
    last_accessed_at: Instant | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """What ranking looks at of a memory: everything but its texts.

    Attributes:
      role: who said it in a dialogue, by `metadata.role`.
    """

    id: MemoryId
    namespace: Namespace
    tier: Tier
    priority: int = 5
    confidence: float = 1.0
    role: str | None = None
    created_at: Instant
    updated_at: Instant
    access_count: int = 0


class ArchivedMemory(Struct, frozen=True, kw_only=True):
    """A memory taken out of sight, with all that it had."""

    memory: Memory
    archived_at: Instant
    reason: str


class LinkKey(Struct, frozen=True, order=True):
    """The identity of a link."""

    source_id: MemoryId
    target_id: MemoryId
    relation: Relation


class Ending(Struct, frozen=True, kw_only=True):
    """Who ended a link, why (perhaps without a word), and when they said so; the end itself is `valid_until`."""

    by: AgentId
    reason: str
    at: Instant


class PastValidity(Struct, frozen=True, array_like=True):
    """A time in which a link held before it was stated anew; stored as one JSON array in this order."""

    valid_from: int
    valid_until: int
    observed_by: str | None = None
    ended_by: str | None = None
    reason: str | None = None


class Link(Struct, frozen=True, kw_only=True):
    """A directed, temporally valid statement about two memories: valid from `valid_from` until before `valid_until`.

    Attributes:
      observed_by: who stated it, at last.
      ended: who gave it its end, if somebody invalidated it.
      past: when it held before it was stated anew, the latest last.
    """

    source_id: MemoryId
    target_id: MemoryId
    relation: Relation
    created_at: Instant
    valid_from: Instant
    valid_until: Instant | None = None
    observed_by: AgentId | None = None
    ended: Ending | None = None
    past: tuple[PastValidity, ...] = ()


class Lifetimes(Struct, frozen=True, kw_only=True):
    """How long memories live, in seconds; None means for ever. Defaults are those of v0.6.3."""

    short_ttl_s: int | None = 6 * 3600
    mid_ttl_s: int | None = 7 * DAY_S
    long_ttl_s: int | None = None
    short_extend_s: int = 3600
    mid_extend_s: int = DAY_S

    def ttl_s(self, tier: Tier) -> int | None:
        """Life of a fresh memory of this tier."""
        return {Tier.SHORT: self.short_ttl_s, Tier.MID: self.mid_ttl_s, Tier.LONG: self.long_ttl_s}[tier]

    def extension_s(self, tier: Tier) -> int:
        """How far a recall reaches into the future for a memory of this tier; 0 for none."""
        return {Tier.SHORT: self.short_extend_s, Tier.MID: self.mid_extend_s, Tier.LONG: 0}[tier]

    def expiry(self, tier: Tier, now: Instant) -> Instant | None:
        """When a memory of this tier that is stored now expires."""
        ttl = self.ttl_s(tier)
        return None if ttl is None else after(now, ttl)

    def extended(self, tier: Tier, expires_at: Instant | None, now: Instant) -> Instant | None:
        """The new expiry that a recall earns, or None.

        It is never earlier than the old one, and only given if a quarter of the step is gained.
        """
        step = self.extension_s(tier)
        if expires_at is None or step == 0:
            return None
        reached = after(now, step)
        return reached if reached - expires_at >= step * 1_000_000 // 4 else None
