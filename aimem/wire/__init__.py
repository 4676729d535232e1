"""JSON and the model: the shapes of every request and answer, shared by api, client, cli and mcp.

Owns field names and optional fields as v0.6.3 has them (answers only gain fields). Must never decide: a shape says what
may be written, `model.rules` says what is allowed.
"""

from aimem.wire.agents import AgentOut, AgentRequest, AgentsOut, AgentsQuery, Registered, agent_out
from aimem.wire.bench import BenchRate, BenchRecord, BenchRegression, BenchReport, BenchRequest, BenchResult, BenchSize
from aimem.wire.bulk import BulkAnswer, BulkMemories, BulkRequest, BulkResult
from aimem.wire.codec import decode_body, encode, to_builtins
from aimem.wire.consolidating import (
    AutoConsolidated,
    AutoConsolidateRequest,
    Consolidated,
    ConsolidateRequest,
    GroupOut,
)
from aimem.wire.contradictions import ContradictionLink, Contradictions, ContradictionsQuery, Resolved, ResolveRequest
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
from aimem.wire.duplicates import DuplicateCheck, DuplicateResult, NearestMemory
from aimem.wire.entities import AliasQuery, EntityFound, EntityOut, EntityRequest
from aimem.wire.forgetting import ForgetRequest, Forgotten, ForgottenMemory, NotRestored
from aimem.wire.graph import (
    GraphQuery,
    GraphResult,
    GraphRow,
    Invalidated,
    InvalidateRequest,
    Timeline,
    TimelineEvent,
    TimelineQuery,
)
from aimem.wire.messages import (
    Inbox,
    InboxMessage,
    InboxQuery,
    MarkedRead,
    MessageQuery,
    Notified,
    NotifyRequest,
    ReadRequest,
    inbox_message,
)
from aimem.wire.namespaces import NamespacesQuery, NamespaceStandard, NamespaceStandards
from aimem.wire.recalled import ArmScore, Explanation, PeriodOut, RankingOut, RecallResult, ScoredMemory
from aimem.wire.requests import (
    ArchiveRequest,
    CreateMemory,
    GcQuery,
    GetArchivedQuery,
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
    GcResult,
    Health,
    IndexStatus,
    Linked,
    LinkOut,
    LinksOut,
    MemoryOut,
    MemoryPage,
    MemoryWithLinks,
    NamespaceCount,
    NamespacesOut,
    PastValidityOut,
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
from aimem.wire.session import Session, SessionRequest
from aimem.wire.taxonomy import Taxonomy, TaxonomyNode, TaxonomyQuery
from aimem.wire.thinking import (
    AutoTagged,
    ContradictionOut,
    ContradictionRequest,
    ExpandedQuery,
    ExpandRequest,
    MemoryName,
)
from aimem.wire.transfer import (
    DOCUMENT_SCHEMA,
    ExportDocument,
    ExportedAgent,
    ExportedAlias,
    ExportedLink,
    ExportedValidity,
    ExportQuery,
    ImportArchived,
    ImportMemory,
    ImportRefusal,
    ImportRequest,
    ImportResult,
    add_digests,
    canonical_row,
    digest_document,
    digest_rows,
)

__all__ = [
    "DOCUMENT_SCHEMA", "ActName", "ActOut", "AgentOut", "AgentRequest", "AgentsOut", "AgentsQuery", "AliasQuery",
    "ArchiveRequest", "ArchiveResult", "ArchiveStats", "ArchivedOut", "ArchivedPage", "ArmScore",
    "AutoConsolidateRequest", "AutoConsolidated", "AutoTagged", "Autonomy", "BenchRate", "BenchRecord",
    "BenchRegression", "BenchReport", "BenchRequest", "BenchResult", "BenchSize", "BulkAnswer", "BulkMemories",
    "BulkRequest", "BulkResult", "Capabilities", "ConsolidateRequest", "Consolidated", "ContradictionLink",
    "ContradictionOut", "ContradictionRequest", "Contradictions", "ContradictionsQuery", "CreateMemory",
    "CurateRequest", "CurationReport", "Deleted", "DuplicateCheck", "DuplicateResult", "EntityFound", "EntityOut",
    "EntityRequest", "ErrorOut", "ExpandRequest", "ExpandedQuery", "Explanation", "ExportDocument", "ExportQuery",
    "ExportedAgent", "ExportedAlias", "ExportedLink", "ExportedValidity", "ForgetRequest", "Forgotten",
    "ForgottenMemory", "GcQuery", "GcResult", "GetArchivedQuery", "GraphQuery", "GraphResult", "GraphRow", "GroupOut",
    "Health", "ImportArchived", "ImportMemory", "ImportRefusal", "ImportRequest", "ImportResult", "Inbox",
    "InboxMessage", "InboxQuery", "IndexQuery", "IndexStatus", "InvalidateRequest", "Invalidated", "LinkOut",
    "LinkRequest", "Linked", "LinksOut", "ListQuery", "MarkedRead", "MemoryName", "MemoryOut", "MemoryPage",
    "MemoryWithLinks", "MessageQuery", "NamespaceCount", "NamespaceStandard", "NamespaceStandards", "NamespacesOut",
    "NamespacesQuery", "NearestMemory", "NotRestored", "Notified", "NotifyRequest", "PastValidityOut", "PeriodOut",
    "PromoteRequest", "Promoted", "PurgeQuery", "Purged", "RankingOut", "ReadRequest", "RecallQuery", "RecallRequest",
    "RecallResult", "Registered", "ReindexRequest", "ReportsPage", "ReportsQuery", "ResolveRequest", "Resolved",
    "RestoreQuery", "Restored", "Reversal", "RollbackRequest", "RolledBack", "ScoredMemory", "SearchQuery",
    "SearchResult", "Session", "SessionRequest", "Stats", "Stored", "Taxonomy", "TaxonomyNode", "TaxonomyQuery",
    "TierCount", "Timeline", "TimelineEvent", "TimelineQuery", "UpdateMemory", "UpdatedMemory", "add_digests",
    "agent_out", "canonical_row", "decode_body", "digest_document", "digest_rows", "encode", "inbox_message",
    "link_out", "memory_fields", "memory_out", "to_builtins",
]
