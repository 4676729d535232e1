"""What a language model is asked for: search words, tags, a verdict."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType


class ExpandRequest(Struct, kw_only=True):
    """Body of POST /expand_query."""

    query: str


class ExpandedQuery(Struct, kw_only=True):
    """The query, and at most 8 other words for its matter."""

    original: str
    expanded_terms: tuple[str, ...]


class AutoTagged(Struct, kw_only=True):
    """Tags that a memory got, and all that it has now; `version` is absent if it had them already."""

    id: str
    new_tags: tuple[str, ...]
    all_tags: tuple[str, ...]
    version: str | UnsetType = UNSET


class ContradictionRequest(Struct, kw_only=True):
    """Body of POST /detect_contradiction."""

    id_a: str
    id_b: str


class MemoryName(Struct, kw_only=True):
    """Which memory."""

    id: str
    title: str


class ContradictionOut(Struct, kw_only=True):
    """Whether two memories contradict each other, who says so (a language model or a comparison), and why if known."""

    contradicts: bool
    memory_a: MemoryName
    memory_b: MemoryName
    method: Literal["model", "deterministic"]
    reason: str | UnsetType = UNSET
