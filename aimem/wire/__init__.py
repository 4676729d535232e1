"""JSON and the model: the shapes of every request and answer, shared by api, client, cli and mcp.

Owns field names and optional fields as v0.6.3 has them (answers only gain fields). Must never decide: a shape says what
may be written, `model.rules` says what is allowed.
"""

from aimem.wire.bench import BenchRate, BenchRecord, BenchRegression, BenchReport, BenchRequest, BenchResult, BenchSize
from aimem.wire.codec import decode_body, encode, to_builtins
from aimem.wire.consolidating import (
    AutoConsolidated,
    AutoConsolidateRequest,
    Consolidated,
    ConsolidateRequest,
    GroupOut,
)
from aimem.wire.curation import (
    ActName,
    ActOut,
    Autonomy,
    CurateRequest,
    CurationReport,
    ReportsPage,
    ReportsQuery,
    Reversal,
    RollbackRequest,
    RolledBack,
)
from aimem.wire.forgetting import ForgetRequest, Forgotten, ForgottenMemory, NotRestored
from aimem.wire.recalled import ArmScore, Explanation, PeriodOut, RankingOut, RecallResult, ScoredMemory
from aimem.wire.requests import (
    ArchiveRequest,
    CreateMemory,
    GcQuery,
    GetArchivedQuery,
    ImportedLink,
    ImportMemory,
    ImportRequest,
    IndexQuery,
    LinkRequest,
    ListQuery,
    PromoteRequest,
    PurgeQuery,
    RecallQuery,
    RecallRequest,
    ReindexRequest,
    RestoreQuery,
    SearchQuery,
    UpdateMemory,
)
from aimem.wire.responses import (
    ArchivedOut,
    ArchivedPage,
    ArchiveResult,
    ArchiveStats,
    Capabilities,
    Deleted,
    ErrorOut,
    ExportDocument,
    GcResult,
    Health,
    ImportResult,
    IndexStatus,
    Linked,
    LinkOut,
    LinksOut,
    MemoryOut,
    MemoryPage,
    MemoryWithLinks,
    NamespaceCount,
    NamespacesOut,
    Promoted,
    Purged,
    Restored,
    SearchResult,
    Stats,
    Stored,
    TierCount,
    UpdatedMemory,
    link_out,
    memory_fields,
    memory_out,
)

__all__ = [
    "ActName", "ActOut", "ArchiveRequest", "ArchiveResult", "ArchiveStats", "ArchivedOut", "ArchivedPage", "ArmScore",
    "AutoConsolidateRequest", "AutoConsolidated", "Autonomy", "BenchRate", "BenchRecord", "BenchRegression",
    "BenchReport", "BenchRequest", "BenchResult", "BenchSize", "Capabilities", "ConsolidateRequest", "Consolidated",
    "CreateMemory", "CurateRequest", "CurationReport", "Deleted", "ErrorOut", "Explanation", "ExportDocument",
    "ForgetRequest", "Forgotten", "ForgottenMemory", "GcQuery", "GcResult", "GetArchivedQuery", "GroupOut", "Health",
    "ImportMemory", "ImportRequest", "ImportResult", "ImportedLink", "IndexQuery", "IndexStatus", "LinkOut",
    "LinkRequest", "Linked", "LinksOut", "ListQuery", "MemoryOut", "MemoryPage", "MemoryWithLinks", "NamespaceCount",
    "NamespacesOut", "NotRestored", "PeriodOut", "PromoteRequest", "Promoted", "PurgeQuery", "Purged", "RankingOut",
    "RecallQuery", "RecallRequest", "RecallResult", "ReindexRequest", "ReportsPage", "ReportsQuery", "RestoreQuery",
    "Restored", "Reversal", "RollbackRequest", "RolledBack", "ScoredMemory", "SearchQuery", "SearchResult", "Stats",
    "Stored", "TierCount", "UpdateMemory", "UpdatedMemory", "decode_body", "encode", "link_out", "memory_fields",
    "memory_out", "to_builtins",
]
