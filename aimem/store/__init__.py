"""The store: one SQLite database per node, written by one task in groups, read by a pool.

Owns all SQL, the schema, the op log, the objects and the view of names. Must never decide what a write means: services
hand it plain functions, replication hands it the fold's rule.
"""

from aimem.store import (
    agents,
    curation,
    duplicates,
    embeddings,
    entities,
    forgetting,
    fulltext,
    graph,
    idempotency,
    inbound,
    likeness,
    linkage,
    memories,
    messages,
    narrowing,
    oplog,
    outbound,
    statistics,
    taxonomy,
    topics,
    transfer,
)
from aimem.store.changes import ChangeFeed
from aimem.store.digest import digest
from aimem.store.filters import Clause, Filters, live_at, matching, visible_to
from aimem.store.fold import Merge, UnknownKind, fold_entries
from aimem.store.inbound import Examine, LogBook, Received
from aimem.store.kinds import AGENT, ALIAS, KINDS, LINK, LIVE, MEMORY, STREAM, alias_key_text, link_key_text
from aimem.store.logfeed import LogFeed
from aimem.store.outbound import HeldDots, LogPage
from aimem.store.schema import SCHEMA_VERSION
from aimem.store.store import LOCK_SUFFIX, SOCKET_SUFFIX, Assent, NodeLock, Store, StorePorts, StoreSettings, Wrote
from aimem.store.transaction import OP_MAX_BYTES, Transaction
from aimem.store.view import effective_expiry, expiry_judged, is_collected, standing

__all__ = [
    "AGENT",
    "ALIAS",
    "KINDS",
    "LINK",
    "LIVE",
    "LOCK_SUFFIX",
    "MEMORY",
    "OP_MAX_BYTES",
    "SCHEMA_VERSION",
    "SOCKET_SUFFIX",
    "STREAM",
    "Assent",
    "ChangeFeed",
    "Clause",
    "Examine",
    "Filters",
    "HeldDots",
    "LogBook",
    "LogFeed",
    "LogPage",
    "Merge",
    "NodeLock",
    "Received",
    "Store",
    "StorePorts",
    "StoreSettings",
    "Transaction",
    "UnknownKind",
    "Wrote",
    "agents",
    "alias_key_text",
    "curation",
    "digest",
    "duplicates",
    "effective_expiry",
    "embeddings",
    "entities",
    "expiry_judged",
    "fold_entries",
    "forgetting",
    "fulltext",
    "graph",
    "idempotency",
    "inbound",
    "is_collected",
    "likeness",
    "link_key_text",
    "linkage",
    "live_at",
    "matching",
    "memories",
    "messages",
    "narrowing",
    "oplog",
    "outbound",
    "standing",
    "statistics",
    "taxonomy",
    "topics",
    "transfer",
    "visible_to",
]
