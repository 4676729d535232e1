"""What each tool takes. The published schema and the check of a call's arguments both come from these types.

Types, enums and the bounds of v0.6.3's schema stand here; grammars and lengths are `model.rules`'s, which every door
shares. A default of None means "not given", so that the service's own default counts; where v0.6.3 documents that
default, the schema names it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal  # Any: a JSON object's values, which msgspec's schema wants to see as Any

from msgspec import UNSET, Meta, Struct, UnsetType

from aimem.mcp.toon import Format
from aimem.model import Relation, Scope, Tier, rules

_COUNT_MAX = 2**31
_JsonObject = dict[str, Any]

_Id = Annotated[str, Meta(description="Id of the memory.")]
_IdOrPrefix = Annotated[
    str, Meta(description="Id of the memory, or at least its first 4 characters if they are unique.")
]
_Namespace = Annotated[str | None, Meta(description="Only this namespace.")]
_AsAgent = Annotated[
    str | None, Meta(description="Namespace path of an agent: show only what that agent would be allowed to see.")
]
_Author = Annotated[str | None, Meta(description="Only memories of this author.")]
_OnlyTier = Annotated[Tier | None, Meta(description="Only this tier.")]
_Format = Annotated[
    Format,
    Meta(description="Form of the answer: a compact table (toon_compact), a table with all columns (toon), or json."),
]
_Priority = Annotated[int, Meta(ge=rules.PRIORITY_RANGE.start, le=rules.PRIORITY_RANGE.stop - 1)]
_Confidence = Annotated[float, Meta(ge=0, le=1)]
_Tags = Annotated[list[str], Meta(description="Words to group by.")]
_Metadata = Annotated[_JsonObject, Meta(description="Any JSON object to keep beside the text.")]
_Budget = Annotated[int, Meta(ge=1, le=_COUNT_MAX)]
_PageLimit = Annotated[int, Meta(ge=0, le=200, description="How many at most.")]


def _documented(default: object) -> Meta:
    return Meta(extra_json_schema={"default": default})


class StoreParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_store."""

    content: Annotated[str, Meta(description="The text to remember.")]
    title: Annotated[
        str | None,
        Meta(description="A short name, unique in its namespace; the same name again updates the memory. Left out or "
             "blank, one is made from the content."),
    ] = None
    tier: Annotated[
        Annotated[Tier, _documented("mid")] | None,
        Meta(description="How long it should live: short (hours), mid (days) or long (for ever)."),
    ] = None
    namespace: Annotated[
        Annotated[str, _documented("global")] | None, Meta(description="Where it belongs, like team/project.")
    ] = None
    tags: Annotated[_Tags, _documented([])] | None = None
    priority: Annotated[
        Annotated[_Priority, _documented(5)] | None, Meta(description="Weight in ranking, 10 is the most important.")
    ] = None
    confidence: Annotated[
        Annotated[_Confidence, _documented(1.0)] | None, Meta(description="How certain it is.")
    ] = None
    source: Annotated[
        str,
        Meta(
            description="What kind of writer it came from: user, claude, hook, api, cli, import, consolidation, "
            "system, chaos, or another word of a-z, 0-9 and _ . : -"
        ),
    ] = "claude"
    metadata: Annotated[_Metadata, _documented({})] | None = None
    agent_id: Annotated[str | None, Meta(description="Author; by default the identity of this connection.")] = None
    scope: Annotated[Scope | None, Meta(description="Who may see it.")] = None
    expires_at: Annotated[str | None, Meta(description="When it expires, RFC 3339; else the tier decides.")] = None
    ttl_secs: Annotated[
        Annotated[int, Meta(ge=1, le=rules.TTL_MAX_S)] | None, Meta(description="Seconds until it expires.")
    ] = None


class RecallParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_recall."""

    context: Annotated[str, Meta(description="What you are about to do or want to know, in plain words.")]
    namespace: _Namespace = None
    limit: Annotated[int, Meta(ge=0, le=50, description="How many at most.")] = 10
    tags: Annotated[str | None, Meta(description="Only memories with this tag (one).")] = None
    since: Annotated[str | None, Meta(description="Only memories created at or after this time, RFC 3339.")] = None
    until: Annotated[str | None, Meta(description="Only memories created at or before this time, RFC 3339.")] = None
    as_agent: _AsAgent = None
    budget_tokens: Annotated[
        _Budget | None, Meta(description="Stop before the texts exceed about this many tokens.")
    ] = None
    context_tokens: Annotated[
        list[str] | None, Meta(description="Recent words of the conversation that colour the query.")
    ] = None
    floor: Annotated[
        bool, Meta(description="Leave out memories that have nothing to do with the context, and count them.")
    ] = True
    explain: Annotated[bool, Meta(description="Say of each memory what its score is made of.")] = False
    format: _Format = Format.TOON_COMPACT


class SearchParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_search."""

    query: Annotated[str, Meta(description="Words that must all occur.")]
    namespace: _Namespace = None
    tier: _OnlyTier = None
    limit: _PageLimit = 20
    agent_id: _Author = None
    as_agent: _AsAgent = None
    format: _Format = Format.TOON_COMPACT


class ListParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_list."""

    namespace: _Namespace = None
    tier: _OnlyTier = None
    limit: _PageLimit = 20
    agent_id: _Author = None
    cursor: Annotated[str | None, Meta(description="next_cursor of the page before.")] = None
    format: _Format = Format.TOON_COMPACT


class GetParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_get."""

    id: _IdOrPrefix


class UpdateParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_update: what is given changes."""

    id: _IdOrPrefix
    title: Annotated[str | None, Meta(description="New title.")] = None
    content: Annotated[str | None, Meta(description="New text.")] = None
    tier: Annotated[Tier | None, Meta(description="New tier; a lower one than it has leaves it.")] = None
    namespace: Annotated[str | None, Meta(description="Move it here.")] = None
    tags: _Tags | None = None
    priority: Annotated[_Priority | None, Meta(description="New weight in ranking.")] = None
    confidence: Annotated[_Confidence | None, Meta(description="How certain it is now.")] = None
    expires_at: Annotated[
        str | UnsetType | None, Meta(description="New expiry, RFC 3339; null or an empty text clears it.")
    ] = UNSET
    metadata: _Metadata | None = None


class DeleteParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_delete."""

    id: _Id


class PromoteParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_promote."""

    id: _Id
    to_namespace: Annotated[
        str | None, Meta(description="An ancestor namespace to copy it into; without it the memory becomes long-lived.")
    ] = None


class LinkParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_link."""

    source_id: Annotated[str, Meta(description="Id of the memory that the statement is about.")]
    target_id: Annotated[str, Meta(description="Id of the memory that it points to.")]
    relation: Annotated[Relation, Meta(description="What the source is to the target.")] = Relation.RELATED_TO


class GetLinksParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_get_links."""

    id: _Id


class NoParams(Struct, kw_only=True, frozen=True):
    """Arguments of a tool that takes none."""


class GcParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_gc."""

    dry_run: Annotated[bool, Meta(description="Only count what is expired.")] = False


class ArchiveListParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_archive_list."""

    namespace: _Namespace = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most.")] = 50
    offset: Annotated[int, Meta(ge=0, le=_COUNT_MAX, description="How many of the newest to skip.")] = 0


class ArchiveRestoreParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_archive_restore."""

    id: _Id
    mode: Annotated[
        Literal["keep", "long"],
        Meta(description="keep: with the tier and expiry that it had; long: for ever, as v0.6.3 did."),
    ] = "keep"
