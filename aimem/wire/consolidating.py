"""Making one memory of several: by hand, and by tags."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class ConsolidateRequest(Struct, kw_only=True):
    """Body of POST /consolidate. Without a `summary` the language model writes one."""

    ids: list[str]
    title: str
    summary: str | None = None
    namespace: str = "global"
    tier: str = "long"
    source: str = "consolidation"
    agent_id: str | None = None


class Consolidated(Struct, kw_only=True):
    """Answer to a consolidation: the new memory, and how many went to the archive for it."""

    id: str
    consolidated: int
    title: str
    namespace: str
    tier: str
    agent_id: str
    version: str
    expires_at: str | UnsetType = UNSET
    auto_summary: bool | UnsetType = UNSET
    summary_preview: str | UnsetType = UNSET
    warning: str | UnsetType = UNSET


class AutoConsolidateRequest(Struct, kw_only=True):
    """Body of POST /auto_consolidate."""

    namespace: str | None = None
    short_only: bool = False
    min_count: int = 3
    dry_run: bool = False


class GroupOut(Struct, kw_only=True):
    """Memories of one namespace that share a tag (`_untagged`: that have none), and what was made of them."""

    namespace: str
    tag: str
    count: int
    titles: tuple[str, ...]
    ids: tuple[str, ...]
    id: str | UnsetType = UNSET
    title: str | UnsetType = UNSET


class AutoConsolidated(Struct, kw_only=True):
    """Answer to an automatic consolidation: `consolidated` counts the memories that went to the archive."""

    consolidated: int
    dry_run: bool
    groups: tuple[GroupOut, ...]
    more: bool = False
    version: str | UnsetType = UNSET
