"""Entities: memories that stand for something with several names."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class EntityRequest(Struct, kw_only=True):
    """Body of POST /entities: a new entity, or more names of one that is there."""

    canonical_name: str
    namespace: str
    aliases: list[str] | None = None
    metadata: dict[str, object] | None = None
    agent_id: str | None = None


class EntityOut(Struct, kw_only=True):
    """Answer to a registration: all aliases in the order in which they came; `version` if something changed."""

    entity_id: str
    canonical_name: str
    namespace: str
    aliases: tuple[str, ...]
    created: bool
    version: str | UnsetType = UNSET


class AliasQuery(Struct, kw_only=True):
    """Query of GET /entities/by_alias."""

    alias: str
    namespace: str | None = None


class EntityFound(Struct, kw_only=True):
    """Answer to a look-up; all but `found` and `aliases` are null if there is no such entity."""

    found: bool
    entity_id: str | None
    canonical_name: str | None
    namespace: str | None
    aliases: tuple[str, ...]
