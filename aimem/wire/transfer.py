"""Export and import: the document that carries memories from one database to another, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from aimem.wire.responses import ArchivedOut, LinkOut, MemoryOut

T = TypeVar("T", bound=Struct)

DOCUMENT_SCHEMA: Final = 1
DIGEST_FORMAT: Final = 1
_MODULUS: Final = 1 << 128
_NODE_LOCAL: Final = ("access_count", "last_accessed_at")


class ExportQuery(Struct, kw_only=True):
    """Query of GET /export. With either, the answer is a page of at most so many rows, and says how to go on."""

    limit: int | None = None
    cursor: str | None = None


class ExportedValidity(Struct, kw_only=True):
    """A time in which a link held before it was stated anew."""

    valid_from: str
    valid_until: str
    observed_by: str | None | UnsetType = UNSET
    ended_by: str | None | UnsetType = UNSET
    reason: str | None | UnsetType = UNSET


class ExportedLink(Struct, kw_only=True):
    """A link as `LinkOut` shows it: who ended it, and when it held before it was stated anew."""

    source_id: str
    target_id: str
    relation: str = "related_to"
    created_at: str | None | UnsetType = UNSET
    valid_from: str | None | UnsetType = UNSET
    valid_until: str | None | UnsetType = UNSET
    observed_by: str | None | UnsetType = UNSET
    ended_by: str | None | UnsetType = UNSET
    reason: str | None | UnsetType = UNSET
    ended_at: str | None | UnsetType = UNSET
    past: tuple[ExportedValidity, ...] | None | UnsetType = UNSET


class ExportedAlias(Struct, kw_only=True):
    """Another name of an entity; `ordinal` is its place among them."""

    entity_id: str
    alias: str
    created_at: str | None = None
    ordinal: int = 0


class ExportedAgent(Struct, kw_only=True):
    """A registered agent."""

    agent_id: str
    agent_type: str
    capabilities: tuple[str, ...] = ()
    registered_at: str | None = None
    last_seen_at: str | None = None
    registered_by: str | None = None


class ExportedNamespace(Struct, kw_only=True):
    """What is set for a namespace; `governance` is the JSON text of its policy."""

    namespace: str
    standard_id: str | None = None
    parent: str | None = None
    governance: str | None = None
    owner: str | None = None
    changed_by: str | None = None
    changed_at: str | None = None


class ExportDocument(Struct, kw_only=True):
    """All that one caller may see, or a page of it.

    Attributes:
      memories: the live ones; as a whole in order of creation, in pages in the order in which they came here.
      links: whose ends are both here, live or archived.
      count: of `memories`.
      schema: version of this shape.
      digest: of the rows of this document; the digests of all pages, added by `add_digests`, are the whole's.
      next_cursor: absent on the last page.
    """

    memories: tuple[MemoryOut, ...]
    links: tuple[LinkOut, ...]
    count: int
    exported_at: str
    archived: tuple[ArchivedOut, ...] = ()
    aliases: tuple[ExportedAlias, ...] = ()
    agents: tuple[ExportedAgent, ...] = ()
    namespaces: tuple[ExportedNamespace, ...] = ()
    schema: int = DOCUMENT_SCHEMA
    digest: str = ""
    next_cursor: str | UnsetType = UNSET


class ImportMemory(Struct, kw_only=True):
    """A memory as exported: all that CreateMemory has, and what only an import may set."""

    content: str
    id: str | None = None
    title: str | None = None
    tier: str | None = None
    namespace: str | None = None
    tags: list[str] | None = None
    priority: int | None = None
    confidence: float | None = None
    source: str | None = None
    expires_at: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    metadata: dict[str, object] | None = None
    title_generated: bool = False


class ImportArchived(ImportMemory, kw_only=True):
    """An archived memory as exported: it goes into the archive."""

    archived_at: str | None = None
    archive_reason: str | None = None


class ImportRequest(Struct, kw_only=True):
    """Body of POST /import: at most 1,000 rows of each kind a request.

    Attributes:
      trust_source: keep the authors that the rows name; only then rows of the system's namespaces are taken.
      dry_run: say what would happen, and change nothing.
      conversations: the memories are conversations: each is one of its own even if its title is taken, one that goes
        on from the text stored here replaces it, and without an expiry it has that of its tier.
    """

    memories: list[ImportMemory]
    links: list[ExportedLink] = field(default_factory=list)
    archived: list[ImportArchived] = field(default_factory=list)
    aliases: list[ExportedAlias] = field(default_factory=list)
    agents: list[ExportedAgent] = field(default_factory=list)
    namespaces: list[ExportedNamespace] = field(default_factory=list)
    trust_source: bool = False
    dry_run: bool = False
    conversations: bool = False


class ImportRefusal(Struct, kw_only=True):
    """A row that was not taken: where it stands in the request, and why."""

    section: str
    position: int
    item: str
    code: str
    error: str


class ImportResult(Struct, kw_only=True):
    """Answer to an import.

    Attributes:
      imported: memories that are new or newer; `updated` of them were here before.
      errors: `<id or title>: <reason>` per refused row; `refused` has the same with code and place.
      unchanged: memories that are here as new or newer already.
      archived_imported: memories that went into the archive.
      merged: id of a row -> id of the memory here that has its name, and that it is taken for; what refers to the row
        in a later request should name that (`translated`).
      namespaces_imported: namespaces for which a standard or a policy was set.
      skipped: registrations of agents, and what is set for namespaces, left out because the source is not trusted.
    """

    imported: int
    errors: tuple[str, ...]
    restamped: int = 0
    trusted_source: bool = False
    unchanged: int = 0
    links_imported: int = 0
    updated: int = 0
    archived_imported: int = 0
    aliases_imported: int = 0
    agents_imported: int = 0
    namespaces_imported: int = 0
    skipped: int = 0
    dry_run: bool = False
    merged: dict[str, str] = {}
    refused: tuple[ImportRefusal, ...] = ()


def translated(rows: Sequence[T], ids: Mapping[str, str]) -> list[T]:
    """The rows with the ids of memories that they refer to replaced; those that refer to none as they are."""
    if not ids:
        return list(rows)
    return [msgspec.structs.replace(row, **_references(row, ids)) for row in rows]


def _references(row: Struct, ids: Mapping[str, str]) -> dict[str, str]:
    named = {name: getattr(row, name, None) for name in ("source_id", "target_id", "entity_id", "standard_id")}
    return {name: ids[known] for name, known in named.items() if isinstance(known, str) and known in ids}


def canonical_row(kind: str, row: Struct) -> bytes:
    """The one encoding of an exported row, without what is each node's own. `kind` is the document's field."""
    fields = msgspec.to_builtins(row)
    for name in _NODE_LOCAL:
        fields.pop(name, None)
    return msgspec.json.encode([DIGEST_FORMAT, kind, fields], order="sorted")


def digest_rows(rows: Iterable[bytes]) -> str:
    """The digest of canonical rows, 32 hex digits: the sum of their SHA-256 modulo 2**128, so their order is free."""
    return _text(sum(int.from_bytes(hashlib.sha256(row).digest(), "big") for row in rows))


def add_digests(digests: Iterable[str]) -> str:
    """The digest of all the rows of which these are digests of parts. Raises: ValueError for what is none."""
    return _text(sum(int(digest, 16) for digest in digests))


def digest_document(document: ExportDocument) -> str:
    """The digest of a document's rows, whatever it says itself."""
    sections: dict[str, Iterable[Struct]] = {
        "memories": document.memories, "archived": document.archived, "links": document.links,
        "aliases": document.aliases, "agents": document.agents,
        "namespaces": document.namespaces,
    }
    return digest_rows(canonical_row(kind, row) for kind, rows in sections.items() for row in rows)


def _text(total: int) -> str:
    return f"{total % _MODULUS:032x}"
