"""The fields of v0.6.3, route by route, tool by tool and verb by verb: what is asked and what is answered.

Written from the description of that version by hand, so that nothing of ours can hide a field that got lost. A dot
leads into an item; a field with `?` is not in every answer; parameters of a path are left out.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

MEMORY: Final = (
    "id tier namespace title content tags priority confidence source access_count created_at updated_at "
    "last_accessed_at? expires_at? metadata"
)
IMPORTED: Final = (
    "id tier namespace title content tags priority confidence source created_at updated_at expires_at metadata"
)
LINK: Final = "source_id target_id relation created_at"
EVENT: Final = "target_id relation valid_from valid_until observed_by title target_namespace"
NODE: Final = "namespace name count subtree_count children"
AGENT: Final = "agent_id agent_type capabilities registered_at last_seen_at"
MESSAGE: Final = "id from title payload priority tier created_at read access_count"
NAMED: Final = "namespace count"
SET: Final = "id parent governance"
STANDARD_SET: Final = "set namespace standard_id parent? governance?"
STANDARD: Final = "namespace standard_id title? content? priority? governance? warning?"


def each(name: str, fields: str) -> str:
    """These fields of each item below a field."""
    return " ".join(f"{name}.{field}" for field in fields.split())


MEMORIES: Final = each("memories", MEMORY) + " count"
SCORED: Final = MEMORIES + " memories.score"
STATS: Final = (
    f"total by_tier.tier by_tier.count {each('by_namespace', NAMED)} expiring_soon links_count db_size_bytes"
)
CAPABILITIES: Final = " ".join((
    "schema_version tier version",
    each("features", "keyword_search semantic_search hybrid_recall query_expansion auto_consolidation auto_tagging "
         "contradiction_analysis cross_encoder_reranking memory_reflection embedder_loaded"),
    each("models", "embedding embedding_dim llm cross_encoder"),
    each("permissions", "mode active_rules rule_summary"),
    each("hooks", "registered_count by_event"),
    each("compaction", "enabled interval_minutes last_run_at last_run_stats"),
    each("approval", "subscribers pending_requests default_timeout_seconds"),
    each("transcripts", "enabled total_count total_size_mb"),
))
KG_QUERY: Final = f"source_id max_depth {each('memories', EVENT + ' depth path')} paths count"
INVALIDATED: Final = "found source_id target_id relation valid_until previous_valid_until"
DUPLICATE: Final = (
    f"is_duplicate threshold {each('nearest', 'id title namespace similarity')} suggested_merge candidates_scanned"
)
CONSOLIDATE: Final = "ids title summary namespace"
FOUND_ENTITY: Final = "found entity_id canonical_name namespace aliases"
ENTITY: Final = "entity_id canonical_name namespace aliases created"
REGISTERED: Final = "registered id agent_id agent_type capabilities"
NOTIFIED: Final = "id from to namespace tier delivered_at"
SUBSCRIBED: Final = "id url events namespace_filter agent_filter created_by"
SUBSCRIPTION: Final = f"{SUBSCRIBED} created_at dispatch_count failure_count"
SUBSCRIPTIONS: Final = "count " + each("subscriptions", SUBSCRIPTION)
INBOX: Final = f"agent_id namespace count unread_only {each('messages', MESSAGE)}"
ARCHIVED: Final = each("archived", MEMORY + " archived_at archive_reason") + " count"
ARCHIVE_STATS: Final = "archived_total " + each("by_namespace", NAMED)
PENDING: Final = (
    "id action_type memory_id? namespace payload requested_by requested_at status decided_by? decided_at? approvals"
)
PENDINGS: Final = f"count {each('pending', PENDING)}"
APPROVED: Final = "approved id decided_by? executed? memory_id? status? votes? quorum? reason?"
REJECTED: Final = "rejected id decided_by"
VERTICAL: Final = "promoted mode? id? tier? source_id? clone_id? to_namespace?"


class Fields(Struct, frozen=True):
    """What one entry of the surface is asked and what it answers; names divided by spaces."""

    asks: str = ""
    answers: str = ""


CREATE: Final = (
    "title content tier namespace tags priority confidence source expires_at ttl_secs metadata agent_id scope"
)
RECALL: Final = "context namespace limit tags since until as_agent budget_tokens"

ROUTES: Final = {
    ("GET", "/api/v1/health"): Fields("", "status service version embedder_ready federation_enabled"),
    ("GET", "/api/v1/memories"): Fields(
        "namespace tier limit offset min_priority since until tags agent_id", MEMORIES),
    ("POST", "/api/v1/memories"): Fields(
        CREATE, "id tier namespace title agent_id potential_contradictions? quorum_acks?"),
    ("POST", "/api/v1/memories/bulk"): Fields(each("memories", CREATE), "created errors"),
    ("GET", "/api/v1/memories/{memory_id}"): Fields("", f"{each('memory', MEMORY)} {each('links', LINK)}"),
    ("PUT", "/api/v1/memories/{memory_id}"): Fields(
        "title content tier namespace tags priority confidence expires_at metadata", MEMORY),
    ("DELETE", "/api/v1/memories/{memory_id}"): Fields("", "deleted"),
    ("POST", "/api/v1/memories/{memory_id}/promote"): Fields("", "promoted id? tier?"),
    ("GET", "/api/v1/search"): Fields(
        "q namespace tier limit min_priority since until tags agent_id as_agent",
        f"{each('results', MEMORY)} count query"),
    ("GET", "/api/v1/recall"): Fields(RECALL, f"{SCORED} tokens_used mode budget_tokens?"),
    ("POST", "/api/v1/recall"): Fields(RECALL, f"{SCORED} tokens_used mode budget_tokens?"),
    ("POST", "/api/v1/forget"): Fields("namespace pattern tier", "deleted"),
    ("POST", "/api/v1/consolidate"): Fields(f"{CONSOLIDATE} tier agent_id", "id consolidated"),
    ("GET", "/api/v1/contradictions"): Fields(
        "topic namespace limit",
        f"{each('memories', MEMORY)} {each('links', 'source_id target_id relation synthesized')}"),
    ("POST", "/api/v1/links"): Fields("source_id target_id relation", "linked"),
    ("DELETE", "/api/v1/links"): Fields("source_id target_id relation", "deleted"),
    ("GET", "/api/v1/links/{memory_id}"): Fields("", each("links", LINK)),
    ("GET", "/api/v1/namespaces"): Fields("namespace inherit", each("namespaces", NAMED)),
    ("POST", "/api/v1/namespaces"): Fields(f"namespace {SET} standard", STANDARD_SET),
    ("DELETE", "/api/v1/namespaces"): Fields("namespace", "cleared namespace"),
    ("POST", "/api/v1/namespaces/{namespace}/standard"): Fields(f"{SET} standard", STANDARD_SET),
    ("GET", "/api/v1/namespaces/{namespace}/standard"): Fields("inherit", STANDARD),
    ("DELETE", "/api/v1/namespaces/{namespace}/standard"): Fields("", "cleared namespace"),
    ("GET", "/api/v1/taxonomy"): Fields("prefix depth limit", f"{each('tree', NODE)} total_count truncated"),
    ("POST", "/api/v1/check_duplicate"): Fields("title content namespace threshold", DUPLICATE),
    ("POST", "/api/v1/entities"): Fields("canonical_name namespace aliases metadata agent_id", ENTITY),
    ("GET", "/api/v1/entities/by_alias"): Fields("alias namespace", FOUND_ENTITY),
    ("GET", "/api/v1/kg/timeline"): Fields(
        "source_id since until limit", f"source_id {each('events', EVENT)} count"),
    ("POST", "/api/v1/kg/invalidate"): Fields("source_id target_id relation valid_until", INVALIDATED),
    ("POST", "/api/v1/kg/query"): Fields("source_id max_depth valid_at allowed_agents limit", KG_QUERY),
    ("GET", "/api/v1/stats"): Fields("", STATS),
    ("POST", "/api/v1/gc"): Fields("", "expired_deleted"),
    ("GET", "/api/v1/export"): Fields(
        "", f"{MEMORIES} {each('links', LINK)} exported_at"),
    ("POST", "/api/v1/import"): Fields(
        f"{each('memories', IMPORTED)} {each('links', LINK)}",
        "imported errors"),
    ("GET", "/api/v1/archive"): Fields("namespace limit offset", ARCHIVED),
    ("POST", "/api/v1/archive"): Fields("ids reason", "archived missing count reason"),
    ("DELETE", "/api/v1/archive"): Fields("older_than_days", "purged"),
    ("POST", "/api/v1/archive/{memory_id}/restore"): Fields("", "restored id"),
    ("GET", "/api/v1/archive/stats"): Fields("", ARCHIVE_STATS),
    ("GET", "/api/v1/agents"): Fields("", f"count {each('agents', AGENT)}"),
    ("POST", "/api/v1/agents"): Fields("agent_id agent_type capabilities", REGISTERED),
    ("GET", "/api/v1/capabilities"): Fields("", CAPABILITIES),
    ("POST", "/api/v1/notify"): Fields("target_agent_id title payload content priority tier agent_id", NOTIFIED),
    ("GET", "/api/v1/inbox"): Fields("agent_id unread_only limit", INBOX),
    ("POST", "/api/v1/sync/push"): Fields(
        f"sender_agent_id sender_clock.entries {each('memories', 'id title content updated_at')} deletions archives "
        f"restores {each('links', 'source_id target_id relation created_at')} pendings pending_decisions "
        "namespace_meta namespace_meta_clears dry_run",
        "applied deleted archived restored links_applied pendings_applied pending_decisions_applied "
        "namespace_meta_applied namespace_meta_cleared noop skipped dry_run receiver_agent_id receiver_clock.entries"),
    ("GET", "/api/v1/sync/since"): Fields(
        "since limit peer",
        f"count limit updated_since earliest_updated_at latest_updated_at {each('memories', MEMORY)}"),
    ("GET", "/api/v1/pending"): Fields("status limit", PENDINGS),
    ("POST", "/api/v1/pending/{pending_id}/approve"): Fields("", APPROVED),
    ("POST", "/api/v1/pending/{pending_id}/reject"): Fields("", REJECTED),
    ("POST", "/api/v1/subscriptions"): Fields(
        "url events secret namespace_filter agent_filter namespace agent_id", f"{SUBSCRIBED} namespace? agent_id"),
    ("DELETE", "/api/v1/subscriptions"): Fields("id agent_id namespace", "id removed"),
    ("GET", "/api/v1/subscriptions"): Fields(
        "agent_id", f"{SUBSCRIPTIONS} {each('subscriptions', 'namespace agent_id')}"),
    ("POST", "/api/v1/session/start"): Fields(
        "namespace limit agent_id", f"{SCORED} mode session_id agent_id? standard? standards?"),
}

TOOLS: Final = {
    "subscribe": Fields("url events secret namespace_filter agent_filter", SUBSCRIBED),
    "unsubscribe": Fields("id", "id removed"),
    "list_subscriptions": Fields("", SUBSCRIPTIONS),
    "store": Fields(
        "title content tier namespace tags priority confidence source metadata agent_id scope",
        "id tier title namespace agent_id potential_contradictions? duplicate? action autonomy_hook_skipped?"),
    "recall": Fields(
        f"{RECALL} context_tokens format", f"{SCORED} mode tokens_used budget_tokens? standard? standards?"),
    "search": Fields(
        "query namespace tier limit agent_id as_agent format", f"{each('results', MEMORY)} count"),
    "list": Fields("namespace tier limit agent_id format", MEMORIES),
    "get": Fields("id", f"{MEMORY} {each('links', LINK)}"),
    "update": Fields(
        "id title content tier namespace tags priority confidence expires_at metadata",
        f"updated {each('memory', MEMORY)}"),
    "delete": Fields("id", "deleted"),
    "promote": Fields("id to_namespace", VERTICAL),
    "forget": Fields("namespace pattern tier dry_run", "deleted archived would_delete? dry_run"),
    "stats": Fields("", STATS),
    "link": Fields("source_id target_id relation", "linked source_id target_id relation"),
    "get_links": Fields("id", f"{each('links', LINK)} count"),
    "kg_timeline": Fields("source_id since until limit", f"source_id {each('events', EVENT)} count"),
    "kg_invalidate": Fields("source_id target_id relation valid_until", INVALIDATED),
    "kg_query": Fields("source_id max_depth valid_at allowed_agents limit", KG_QUERY),
    "entity_register": Fields("canonical_name namespace aliases metadata agent_id", ENTITY),
    "entity_get_by_alias": Fields("alias namespace", FOUND_ENTITY),
    "get_taxonomy": Fields("namespace_prefix depth limit", f"{each('tree', NODE)} total_count truncated"),
    "check_duplicate": Fields("title content namespace threshold", DUPLICATE),
    "consolidate": Fields(CONSOLIDATE, "id consolidated auto_summary? summary_preview? warning?"),
    "expand_query": Fields("query", "original expanded_terms"),
    "auto_tag": Fields("id", "id new_tags all_tags"),
    "detect_contradiction": Fields(
        "id_a id_b", f"contradicts {each('memory_a', 'id title')} {each('memory_b', 'id title')}"),
    "archive_list": Fields("namespace limit offset", ARCHIVED),
    "archive_restore": Fields("id", "restored id"),
    "archive_purge": Fields("older_than_days", "purged"),
    "archive_stats": Fields("", ARCHIVE_STATS),
    "gc": Fields("dry_run", "collected dry_run"),
    "session_start": Fields("namespace limit format", f"{MEMORIES} mode summary? standard? standards?"),
    "capabilities": Fields("", CAPABILITIES),
    "namespace_set_standard": Fields(f"namespace {SET}", STANDARD_SET),
    "namespace_get_standard": Fields("namespace inherit", STANDARD),
    "namespace_clear_standard": Fields("namespace", "cleared namespace"),
    "agent_register": Fields("agent_id agent_type capabilities", REGISTERED),
    "agent_list": Fields("", f"count {each('agents', AGENT)}"),
    "notify": Fields("target_agent_id title payload priority tier", NOTIFIED),
    "inbox": Fields("agent_id unread_only limit", INBOX),
    "pending_list": Fields("status limit", PENDINGS),
    "pending_approve": Fields("id agent_id", APPROVED),
    "pending_reject": Fields("id agent_id", REJECTED),
}

# Options with their short forms; arguments that are no options stand in <>.
VERBS: Final = {
    "store": Fields(
        "--tier -t --namespace -n --title -T --content -c --tags --priority -p --confidence --source -S --expires-at "
        "--ttl-secs --scope", f"{MEMORY} potential_contradictions?"),
    "update": Fields(
        "<id> --title -T --content -c --tier -t --namespace -n --tags --priority -p --confidence --expires-at", MEMORY),
    "recall": Fields(
        "<context> --namespace -n --limit --tags --since --until --tier -T --as-agent --budget-tokens "
        "--context-tokens", f"{SCORED} mode tokens_used budget_tokens?"),
    "search": Fields(
        "<query> --namespace -n --tier -t --limit --since --until --tags --agent-id --as-agent",
        f"{each('results', MEMORY)} count"),
    "get": Fields("<id>", f"{each('memory', MEMORY)} {each('links', LINK)}"),
    "list": Fields("--namespace -n --tier -t --limit --since --until --tags --offset --agent-id", MEMORIES),
    "delete": Fields("<id>", "deleted id"),
    "promote": Fields("<id> --to-namespace", VERTICAL),
    "forget": Fields("--namespace -n --pattern -p --tier -t", "deleted"),
    "link": Fields("<source> <target> --relation -r", "linked"),
    "resolve": Fields("<winner> <loser>", "resolved winner loser"),
    "consolidate": Fields("<ids> --title -T --summary -s --namespace -n", "id consolidated"),
    "auto-consolidate": Fields(
        "--namespace -n --short-only --min-count --dry-run",
        f"consolidated dry_run {each('groups', 'namespace tag count titles')}"),
    "pending": Fields("", PENDINGS),
    "pending list": Fields("--status --limit", PENDINGS),
    "pending approve": Fields("<id>", APPROVED),
    "pending reject": Fields("<id>", REJECTED),
    "gc": Fields("", "expired_deleted"),
    "stats": Fields("", STATS),
    "namespaces": Fields("", each("namespaces", NAMED)),
    "export": Fields("", f"{MEMORIES} {each('links', LINK)} exported_at"),
    "backup": Fields("--to --keep", "snapshot sha256 bytes source_db version created_at"),
    "restore": Fields("--from --skip-verify", "status from to"),
    "import": Fields("--trust-source", "imported restamped trusted_source errors"),
    "archive list": Fields("--namespace -n --limit --offset", ARCHIVED),
    "archive restore": Fields("<id>", "restored id"),
    "archive purge": Fields("--older-than-days", "purged"),
    "archive stats": Fields("", ARCHIVE_STATS),
    "shell": Fields(),
    "completions": Fields("<shell>"),
    "man": Fields(),
    "mine": Fields(
        "<path> --format -f --namespace -n --tier -t --min-messages --dry-run",
        "imported skipped errors total_conversations namespace tier"),
    "bench": Fields(
        "--iterations --warmup --baseline --regression-threshold --history",
        "iterations warmup results.operation results.label results.target_p95_ms results.measured_p50_ms "
        "results.measured_p95_ms results.measured_p99_ms results.samples results.status regressions"),
    "curator": Fields(
        "--once --daemon --rollback --rollback-last --interval-secs --max-ops --dry-run --include-namespace "
        "--exclude-namespace",
        "started_at completed_at cycle_duration_ms memories_scanned memories_eligible auto_tagged "
        "contradictions_found operations_attempted operations_skipped_cap autonomy.clusters_formed "
        "autonomy.memories_consolidated autonomy.memories_forgotten autonomy.priority_adjustments "
        "autonomy.rollback_entries_written autonomy.errors errors dry_run"),
    "sync": Fields("<remote> --direction -d --trust-source --dry-run", "direction pulled pushed"),
    "agents": Fields("", f"count {each('agents', AGENT)}"),
    "agents list": Fields("", f"count {each('agents', AGENT)}"),
    "agents register": Fields("--agent-id --agent-type --capabilities", REGISTERED),
    "mcp": Fields("--tier"),
    "serve": Fields(
        "--host --port --quorum-writes --quorum-peers --quorum-timeout-ms --catchup-interval-secs --tls-cert --tls-key "
        "--mtls-allowlist --quorum-client-cert --quorum-client-key --quorum-ca-cert"),
    "sync-daemon": Fields("--peers --interval --api-key --batch-size --client-cert --client-key"),
}

def lost_from(answer: object, fields: str) -> list[str]:
    """Which of these fields an answer lacks; those with `?` may be absent. An empty list lacks all."""
    return [name for name in fields.split() if not name.endswith("?") and not _is_there(answer, name)]


def _is_there(value: object, path: str) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_is_there(item, path) for item in value)
    head, _, rest = path.partition(".")
    return isinstance(value, dict) and head in value and (not rest or _is_there(value[head], rest))
