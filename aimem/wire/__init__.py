"""JSON and the model: the shapes of every request and answer, shared by api, client, cli and mcp.

Owns field names and optional fields as v0.6.3 has them (answers only gain fields). Must never decide: a shape says what
may be written, `model.rules` says what is allowed.
"""

from aimem.wire.codec import decode_body, encode, to_builtins
from aimem.wire.requests import (
    ArchiveRequest,
    CreateMemory,
    GetArchivedQuery,
    ImportMemory,
    ImportRequest,
    LinkRequest,
    ListQuery,
    RecallQuery,
    RecallRequest,
    RestoreQuery,
    SearchQuery,
    UpdateMemory,
)
from aimem.wire.responses import (
    ArchivedOut,
    ArchivedPage,
    ArchiveResult,
    ArchiveStats,
    BulkResult,
    Capabilities,
    Deleted,
    ErrorOut,
    ExportDocument,
    GcResult,
    Health,
    ImportResult,
    Linked,
    LinkOut,
    LinksOut,
    MemoryOut,
    MemoryPage,
    MemoryWithLinks,
    NamespaceCount,
    NamespacesOut,
    Promoted,
    RecallResult,
    Restored,
    ScoredMemory,
    SearchResult,
    Stats,
    Stored,
    TierCount,
    link_out,
    memory_out,
)

__all__ = [
    "ArchiveRequest", "ArchiveResult", "ArchiveStats", "ArchivedOut", "ArchivedPage", "BulkResult", "Capabilities",
    "CreateMemory", "Deleted", "ErrorOut", "ExportDocument", "GcResult", "GetArchivedQuery", "Health", "ImportMemory",
    "ImportRequest", "ImportResult", "LinkOut", "LinkRequest", "Linked", "LinksOut", "ListQuery", "MemoryOut",
    "MemoryPage", "MemoryWithLinks", "NamespaceCount", "NamespacesOut", "Promoted", "RecallQuery", "RecallRequest",
    "RecallResult", "RestoreQuery", "Restored", "ScoredMemory", "SearchQuery", "SearchResult", "Stats", "Stored",
    "TierCount", "UpdateMemory", "decode_body", "encode", "link_out", "memory_out", "to_builtins",
]
