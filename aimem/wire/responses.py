"""What callers get. Fields of v0.6.3 keep their names; fields that it did not have come after them."""

from __future__ import annotations

from typing import Any, Final  # memory_fields: one table of fields for several structs

from msgspec import UNSET, Struct, UnsetType

from aimem.model import Instant, Link, Memory, PastValidity, format_instant


class ErrorOut(Struct, kw_only=True, omit_defaults=True):
    """Every refusal: a sentence, a stable code, and the input field at fault."""

    error: str
    code: str
    field: str | None = None


class MemoryOut(Struct, kw_only=True):
    """A memory: the 15 fields of v0.6.3, then ours. Absent times are left out."""

    id: str
    tier: str
    namespace: str
    title: str
    content: str
    tags: tuple[str, ...]
    priority: int
    confidence: float
    source: str
    access_count: int
    created_at: str
    updated_at: str
    last_accessed_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    metadata: dict[str, object]
    title_generated: bool | UnsetType = UNSET


class PastValidityOut(Struct, kw_only=True):
    """A time in which a link held before it was stated anew."""

    valid_from: str
    valid_until: str
    observed_by: str | UnsetType = UNSET
    ended_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class LinkOut(Struct, kw_only=True):
    """A link; all behind `created_at` are additions to v0.6.3's shape.

    Attributes:
      ended_by, reason, ended_at: who invalidated it, why, and when that was said.
      past: when it held before it was stated anew, the latest last.
    """

    source_id: str
    target_id: str
    relation: str
    created_at: str
    valid_from: str | UnsetType = UNSET
    valid_until: str | UnsetType = UNSET
    observed_by: str | UnsetType = UNSET
    ended_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    ended_at: str | UnsetType = UNSET
    past: tuple[PastValidityOut, ...] | UnsetType = UNSET


class Stored(Struct, kw_only=True):
    """Answer to a store: the stored row's values. `version` is the write's dot.

    `autonomy_hook_skipped` says why the language model will not look at a new memory, if it is configured to;
    `quorum_acks`, in a mesh, how many nodes have the write, this one included.
    """

    id: str
    tier: str
    namespace: str
    title: str
    agent_id: str
    action: str
    version: str
    quorum_acks: int | UnsetType = UNSET
    potential_contradictions: tuple[str, ...] | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    title_generated: bool | UnsetType = UNSET
    autonomy_hook_skipped: str | UnsetType = UNSET


class UpdatedMemory(MemoryOut, kw_only=True):
    """Answer to an update: the memory as stored, and the write's version."""

    version: str


class MemoryWithLinks(MemoryOut, kw_only=True):
    """GET one: the memory's fields flat, and beside them as `memory`, with its links."""

    memory: MemoryOut
    links: tuple[LinkOut, ...]


class MemoryPage(Struct, kw_only=True):
    """A page of the list. `next_cursor` is absent on the last page."""

    memories: tuple[MemoryOut, ...]
    count: int
    next_cursor: str | UnsetType = UNSET


class SearchResult(Struct, kw_only=True):
    """Answer to a search; `memories` repeats `results` for clients that read it there."""

    results: tuple[MemoryOut, ...]
    count: int
    query: str
    memories: tuple[MemoryOut, ...]


class Deleted(Struct, kw_only=True):
    """Answer to a delete (of a link, a message, a registration)."""

    deleted: bool
    id: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class DeletedMemory(Deleted, kw_only=True):
    """Answer to the delete of a memory; `warning` if it was the standard of a namespace."""

    warning: str | UnsetType = UNSET


class Promoted(Struct, kw_only=True):
    """Answer to a promotion, of the tier or (`mode` vertical) into an ancestor namespace."""

    promoted: bool
    mode: str
    id: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET
    source_id: str | UnsetType = UNSET
    clone_id: str | UnsetType = UNSET
    to_namespace: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class Linked(Struct, kw_only=True):
    """Answer to a new link.

    Attributes:
      created: false if it stood already.
      reasserted: present and true if it had ended or was taken back, and holds anew.
    """

    linked: bool
    source_id: str
    target_id: str
    relation: str
    created: bool
    version: str | UnsetType = UNSET
    reasserted: bool | UnsetType = UNSET


class LinksOut(Struct, kw_only=True):
    """Links in both directions of one memory."""

    links: tuple[LinkOut, ...]
    count: int


class NamespaceCount(Struct, kw_only=True):
    """Live memories in one namespace."""

    namespace: str
    count: int


class NamespacesOut(Struct, kw_only=True):
    """Namespaces that have live memories, the largest first."""

    namespaces: tuple[NamespaceCount, ...]


class TierCount(Struct, kw_only=True):
    """Live memories of one tier."""

    tier: str
    count: int


class Stats(Struct, kw_only=True):
    """Counts of live rows; `expiring_soon` is within an hour; the size includes the write-ahead log.

    `tombstones` and `op_log_count` are the whole node's: they are left out for who does not see everything.
    """

    total: int
    by_tier: tuple[TierCount, ...]
    by_namespace: tuple[NamespaceCount, ...]
    expiring_soon: int
    links_count: int
    db_size_bytes: int
    archived: int
    tombstones: int | UnsetType = UNSET
    embedding_backlog: int
    op_log_count: int | UnsetType = UNSET


class ArchivedOut(MemoryOut, kw_only=True):
    """An archived memory."""

    archived_at: str
    archive_reason: str


class ArchivedPage(Struct, kw_only=True):
    """A page of the archive, newest first."""

    archived: tuple[ArchivedOut, ...]
    count: int


class ArchiveResult(Struct, kw_only=True):
    """Answer to archiving by ids; `warning` if one of the memories was the standard of a namespace."""

    archived: tuple[str, ...]
    missing: tuple[str, ...]
    count: int
    reason: str
    version: str | UnsetType = UNSET
    warning: str | UnsetType = UNSET


class Restored(Struct, kw_only=True):
    """Answer to a restore."""

    restored: bool
    id: str
    tier: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class ArchiveStats(Struct, kw_only=True):
    """Counts of the archive."""

    archived_total: int
    by_namespace: tuple[NamespaceCount, ...]


class Purged(Struct, kw_only=True):
    """How many archived memories were deleted for ever."""

    purged: int


TIER_IS_KEYWORD: Final = "the tier is keyword"
"""The reason for recall by words alone where that is what was asked for."""


class IndexStatus(Struct, kw_only=True):
    """How far embedding and the vector index are; `reason` says why the mode is `keyword`, if it is.

    `index_backlog` counts memories whose vectors are there and still have to come into the index, `text_backlog` those
    that the index of words still lacks, `embedding_awaited` texts whose vectors are to come from the nodes that wrote
    them.
    """

    mode: str
    model: str
    embedding_backlog: int
    embedded: int
    reason: str
    indexed: int = 0
    index_backlog: int = 0
    text_backlog: int = 0
    embedding_awaited: int = 0


class GcResult(Struct, kw_only=True):
    """How many expired rows were collected; `collected` repeats it under the MCP name."""

    expired_deleted: int
    collected: int
    dry_run: bool


class Health(Struct, kw_only=True):
    """Cheap liveness: no query over rows. `llm` is the language model that is configured, or `none`.

    Attributes:
      open_access: whether callers over TCP are asked for no key.
      access: `open`, `api_key` (one shared key) or `agent_keys` (each agent proves who it is).
      mesh_access: what opens the routes between nodes: `mtls`, `keys` or `open`; empty for a node without peers.
      ready: whether it may write; not while it begins a new stream, or fetches what its peers knew when it did.
      behind: writes that its peers know, by their latest words, and it lacks; it fetches them.
      cluster: id of the mesh, the same on all its nodes; empty while none is known.
    """

    status: str
    service: str
    version: str
    embedder_ready: bool
    federation_enabled: bool
    compatible_with: str
    mode: str
    embedding_backlog: int
    open_access: bool
    stream: str
    warnings: tuple[str, ...] = ()
    llm: str = "none"
    llm_ready: bool = False
    access: str = "open"
    ready: bool = True
    mesh_access: str = ""
    cluster: str = ""
    behind: int = 0


class Capabilities(Struct, kw_only=True):
    """Capabilities v2: the effective state, not the wish."""

    schema_version: str
    tier: str
    version: str
    features: dict[str, bool]
    models: dict[str, object]
    permissions: dict[str, object]
    hooks: dict[str, object]
    compaction: dict[str, object]
    approval: dict[str, object]
    transcripts: dict[str, object]
    compatible_with: str
    limits: dict[str, int | float]
    warnings: tuple[str, ...] = ()


def memory_fields(memory: Memory) -> dict[str, Any]:
    """The fields of MemoryOut: author and scope appear inside `metadata`, as v0.6.3 has them."""
    metadata = {**memory.metadata, "agent_id": memory.author}
    if memory.scope is not None:
        metadata["scope"] = memory.scope.value
    return {
        "id": memory.id,
        "tier": memory.tier.value,
        "namespace": memory.namespace,
        "title": memory.title,
        "content": memory.content,
        "tags": memory.tags,
        "priority": memory.priority,
        "confidence": memory.confidence,
        "source": memory.source,
        "access_count": memory.access_count,
        "created_at": format_instant(memory.created_at),
        "updated_at": format_instant(memory.updated_at),
        "last_accessed_at": UNSET if memory.last_accessed_at is None else format_instant(memory.last_accessed_at),
        "expires_at": UNSET if memory.expires_at is None else format_instant(memory.expires_at),
        "metadata": metadata,
        "title_generated": memory.title_generated or UNSET,
    }


def memory_out(memory: Memory) -> MemoryOut:
    """A memory in wire form."""
    return MemoryOut(**memory_fields(memory))


def link_out(link: Link) -> LinkOut:
    """A link in wire form."""
    return LinkOut(
        source_id=link.source_id,
        target_id=link.target_id,
        relation=link.relation.value,
        created_at=format_instant(link.created_at),
        valid_from=format_instant(link.valid_from),
        valid_until=UNSET if link.valid_until is None else format_instant(link.valid_until),
        observed_by=UNSET if link.observed_by is None else link.observed_by,
        ended_by=UNSET if link.ended is None else link.ended.by,
        reason=(UNSET if link.ended is None else link.ended.reason) or UNSET,
        ended_at=UNSET if link.ended is None else format_instant(link.ended.at),
        past=tuple(map(_past_out, link.past)) or UNSET,
    )


def _past_out(past: PastValidity) -> PastValidityOut:
    return PastValidityOut(
        valid_from=format_instant(Instant(past.valid_from)),
        valid_until=format_instant(Instant(past.valid_until)),
        observed_by=past.observed_by or UNSET,
        ended_by=past.ended_by or UNSET,
        reason=past.reason or UNSET,
    )
