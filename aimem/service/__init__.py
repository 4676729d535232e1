"""The use cases: one coroutine each, on behalf of a caller, over the store and recall.

Owns the rules of the product: what a store, a recall, an archive does. Must never know a door (HTTP, MCP, command
line), hold SQL, or own a deadline.
"""

from aimem.service.abilities import capabilities
from aimem.service.access import access, namespace_history
from aimem.service.agentkeys import add_key, list_keys, revoke_key, revoke_keys, rotate_key
from aimem.service.agents import list_agents, register_agent, remove_agent
from aimem.service.approvals import approve_pending, comment_pending, reject_pending
from aimem.service.archive import archive, archive_stats, list_archive, purge_archive, restore
from aimem.service.asking import ask_again
from aimem.service.auditing import expire_audit, list_audit, prune_audit, verify_audit
from aimem.service.autoconsolidate import auto_consolidate
from aimem.service.bulk import remember_many
from aimem.service.catchingup import catch_up
from aimem.service.comparing import digest_of, snapshot_of, verify
from aimem.service.consolidating import consolidate
from aimem.service.contradictions import contradictions, resolve
from aimem.service.curation import Cycle, begin_cycle, curate, curation_reports, end_cycle, run_cycle
from aimem.service.delivering import run_webhooks
from aimem.service.docket import get_pending, list_pending
from aimem.service.duplicates import check_duplicate
from aimem.service.edit import delete, promote, update
from aimem.service.entities import entity_by_alias, register_entity
from aimem.service.exporting import export
from aimem.service.following import Follower, run_events
from aimem.service.forgetting import forget
from aimem.service.graph import kg_invalidate, kg_query, kg_timeline
from aimem.service.hooks import note_metadata, offer_hooks, run_hooks
from aimem.service.importing import import_memories
from aimem.service.indexer import drop_unused_vectors, index_status, run_indexer
from aimem.service.insight import auto_tag, detect_contradiction, expand
from aimem.service.keyring import AccessMode, access_mode, keyring, refuse_ended_caller
from aimem.service.legacy import rows_since, take_push
from aimem.service.lending import embeddings_for
from aimem.service.lifetimes import collect, run_touches, tidy
from aimem.service.limits import Limiter, admit_request, admit_write
from aimem.service.linking import link, unlink
from aimem.service.looking import look_at
from aimem.service.lookup import get, links_of, list_memories, search
from aimem.service.membership import Membership
from aimem.service.mesh import (
    changes_for,
    changes_since,
    exchange,
    mesh_alarms,
    mesh_status,
)
from aimem.service.messages import delete_message, inbox, mark_read, notify
from aimem.service.naming import run_naming
from aimem.service.node import Node, Once, Policy
from aimem.service.overview import (
    NodeStatus,
    health,
    namespaces,
    stats,
    status,
)
from aimem.service.papers import WARN_DAYS, OwnCertificate, Papers, Which, days_left, run_expiry
from aimem.service.recall import recall
from aimem.service.refusals import Claim, note_refusal, note_refused_error, run_refusals, write_refusals
from aimem.service.reindex import reindex
from aimem.service.rejoining import rejoin
from aimem.service.reloading import reload
from aimem.service.remember import remember
from aimem.service.rollback import roll_back
from aimem.service.rulemaking import clear_standard, set_standard
from aimem.service.samples import Sample
from aimem.service.session import start_session
from aimem.service.settling import run_approvals, settle_due
from aimem.service.standards import standard_of, standards_for
from aimem.service.subscriptions import list_deliveries, list_subscriptions, redeliver, subscribe, unsubscribe
from aimem.service.taxonomy import get_taxonomy
from aimem.service.thinking import (
    expand_query,
    is_thinking,
    judge_contradiction,
    look_for_language,
    run_language,
    suggest_tags,
    summarise,
)
from aimem.service.trust import MeshAccess, admit_claim, refuse_unsigned, refuse_wrong_proof, trust_node
from aimem.service.upkeep import run_upkeep
from aimem.service.versions import wait_version, write_outcome
from aimem.service.words import run_words, settle_words

__all__ = [
    "WARN_DAYS",
    "AccessMode",
    "Claim",
    "Cycle",
    "Follower",
    "Limiter",
    "Membership",
    "MeshAccess",
    "Node",
    "NodeStatus",
    "Once",
    "OwnCertificate",
    "Papers",
    "Policy",
    "Sample",
    "Which",
    "access",
    "access_mode",
    "add_key",
    "admit_claim",
    "admit_request",
    "admit_write",
    "approve_pending",
    "archive",
    "archive_stats",
    "ask_again",
    "auto_consolidate",
    "auto_tag",
    "begin_cycle",
    "capabilities",
    "catch_up",
    "changes_for",
    "changes_since",
    "check_duplicate",
    "clear_standard",
    "collect",
    "comment_pending",
    "consolidate",
    "contradictions",
    "curate",
    "curation_reports",
    "days_left",
    "delete",
    "delete_message",
    "detect_contradiction",
    "digest_of",
    "drop_unused_vectors",
    "embeddings_for",
    "end_cycle",
    "entity_by_alias",
    "exchange",
    "expand",
    "expand_query",
    "expire_audit",
    "export",
    "forget",
    "get",
    "get_pending",
    "get_taxonomy",
    "health",
    "import_memories",
    "inbox",
    "index_status",
    "is_thinking",
    "judge_contradiction",
    "keyring",
    "kg_invalidate",
    "kg_query",
    "kg_timeline",
    "link",
    "links_of",
    "list_agents",
    "list_archive",
    "list_audit",
    "list_deliveries",
    "list_keys",
    "list_memories",
    "list_pending",
    "list_subscriptions",
    "look_at",
    "look_for_language",
    "mark_read",
    "mesh_alarms",
    "mesh_status",
    "namespace_history",
    "namespaces",
    "note_metadata",
    "note_refusal",
    "note_refused_error",
    "notify",
    "offer_hooks",
    "promote",
    "prune_audit",
    "purge_archive",
    "recall",
    "redeliver",
    "refuse_ended_caller",
    "refuse_unsigned",
    "refuse_wrong_proof",
    "register_agent",
    "register_entity",
    "reindex",
    "reject_pending",
    "rejoin",
    "reload",
    "remember",
    "remember_many",
    "remove_agent",
    "resolve",
    "restore",
    "revoke_key",
    "revoke_keys",
    "roll_back",
    "rotate_key",
    "rows_since",
    "run_approvals",
    "run_cycle",
    "run_events",
    "run_expiry",
    "run_hooks",
    "run_indexer",
    "run_language",
    "run_naming",
    "run_refusals",
    "run_touches",
    "run_upkeep",
    "run_webhooks",
    "run_words",
    "search",
    "set_standard",
    "settle_due",
    "settle_words",
    "snapshot_of",
    "standard_of",
    "standards_for",
    "start_session",
    "stats",
    "status",
    "subscribe",
    "suggest_tags",
    "summarise",
    "take_push",
    "tidy",
    "trust_node",
    "unlink",
    "unsubscribe",
    "update",
    "verify",
    "verify_audit",
    "wait_version",
    "write_outcome",
    "write_refusals",
]
