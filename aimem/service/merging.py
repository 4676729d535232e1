"""What several memories come to as one: pure, so that a table can test it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from aimem.model import JsonObject, Memory, Scope, rules

NEVER_CARRIED: Final = frozenset({"agent_id", "scope", "governance", "kind", "edited_by", "curated_at"})
"""Metadata that says what one memory is, or who may do what with it: it is not the new one's."""

DERIVED_FROM: Final = "derived_from"
AGENTS: Final = "consolidated_from_agents"
PRIORITY_FLOOR: Final = 5
ACCESSES_MAX: Final = 1_000_000
_STRICTNESS: Final = (Scope.PRIVATE, None, Scope.TEAM, Scope.UNIT, Scope.ORG, Scope.COLLECTIVE)
"""From the strictest; without a scope a memory is at most its team's, and narrowed readings treat it as private."""


class Merged(Struct, frozen=True, kw_only=True):
    """The fields that the sources decide.

    Attributes:
      left_out: keys of their metadata that did not fit.
    """

    tags: tuple[str, ...]
    priority: int
    scope: Scope | None
    metadata: JsonObject
    access_count: int
    left_out: tuple[str, ...]


def merge_memories(sources: Sequence[Memory]) -> Merged:
    """Join what memories have beside their text.

    Args:
      sources: at least one, in the order in which later metadata goes before earlier.
    """
    metadata, left_out = _merged_metadata(sources)
    return Merged(
        tags=tuple(sorted({tag for memory in sources for tag in memory.tags})[: rules.TAGS_MAX_COUNT]),
        priority=max(PRIORITY_FLOOR, *(memory.priority for memory in sources)),
        scope=min((memory.scope for memory in sources), key=_STRICTNESS.index),
        metadata=metadata,
        access_count=min(ACCESSES_MAX, sum(memory.access_count for memory in sources)),
        left_out=left_out,
    )


def _merged_metadata(sources: Sequence[Memory]) -> tuple[dict[str, object], tuple[str, ...]]:
    merged = {
        key: value for memory in sources for key, value in memory.metadata.items()
        if key not in NEVER_CARRIED | {DERIVED_FROM, AGENTS}
    }
    origin: dict[str, object] = {
        DERIVED_FROM: [memory.id for memory in sources], AGENTS: sorted({memory.author for memory in sources}),
    }
    left_out: list[str] = []
    while merged and len(rules.canonical_json({**merged, **origin})) > rules.METADATA_MAX_BYTES:
        # Each alone was within the limit; together they may not be, and one large value goes before many small ones.
        largest = max(merged, key=lambda key: (len(rules.canonical_json({key: merged[key]})), key))
        left_out.append(largest)
        del merged[largest]
    return {**merged, **origin}, tuple(sorted(left_out))
