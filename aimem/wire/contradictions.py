"""Memories that say different things about one topic, and settling which of two holds."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.wire.responses import MemoryOut


class ContradictionsQuery(Struct, kw_only=True):
    """Query of GET /contradictions: a topic, a namespace, or both."""

    topic: str | None = None
    namespace: str | None = None
    limit: int = 50


class ContradictionLink(Struct, kw_only=True):
    """A contradiction: stated by a link that holds, or (`synthesized`) seen in two texts on one topic."""

    source_id: str
    target_id: str
    relation: str
    synthesized: bool


class Contradictions(Struct, kw_only=True):
    """What was found; `truncated` says that there are more memories than `limit`, or more pairs than one answer has."""

    memories: tuple[MemoryOut, ...]
    links: tuple[ContradictionLink, ...]
    count: int
    truncated: bool


class ResolveRequest(Struct, kw_only=True):
    """Body of POST /resolve: which of two memories holds."""

    winner: str
    loser: str


class Resolved(Struct, kw_only=True):
    """Answer to a resolution; without `version` if it was settled so already."""

    resolved: bool
    winner: str
    loser: str
    version: str | UnsetType = UNSET
