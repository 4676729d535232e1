"""What the surface of v0.6.3 is, entry by entry, and which part of this version's growth owns it.

`LATER` names the parts that are still to come: what they own must not be there yet, everything else must. Whoever
builds one of them takes it out of `LATER`, and the test then asks for all of it.
"""

from __future__ import annotations

from typing import Final

LATER: Final = frozenset({"governance"})

# (method, path) of http-api.md §2, in its order -> owner. `{ns}` and `{id}` are written as the route table writes them.
ROUTES: Final = {
    ("GET", "/api/v1/health"): "house",
    ("GET", "/metrics"): "house",
    ("GET", "/api/v1/metrics"): "house",
    ("GET", "/api/v1/memories"): "house",
    ("POST", "/api/v1/memories"): "house",
    ("POST", "/api/v1/memories/bulk"): "surface",
    ("GET", "/api/v1/memories/{memory_id}"): "house",
    ("PUT", "/api/v1/memories/{memory_id}"): "house",
    ("DELETE", "/api/v1/memories/{memory_id}"): "house",
    ("POST", "/api/v1/memories/{memory_id}/promote"): "house",
    ("GET", "/api/v1/search"): "house",
    ("GET", "/api/v1/recall"): "house",
    ("POST", "/api/v1/recall"): "house",
    ("POST", "/api/v1/forget"): "surface",
    ("POST", "/api/v1/consolidate"): "surface",
    ("GET", "/api/v1/contradictions"): "surface",
    ("POST", "/api/v1/links"): "house",
    ("DELETE", "/api/v1/links"): "house",
    ("GET", "/api/v1/links/{memory_id}"): "house",
    ("GET", "/api/v1/namespaces"): "surface",
    ("POST", "/api/v1/namespaces"): "policies",
    ("DELETE", "/api/v1/namespaces"): "policies",
    ("POST", "/api/v1/namespaces/{namespace}/standard"): "policies",
    ("GET", "/api/v1/namespaces/{namespace}/standard"): "policies",
    ("DELETE", "/api/v1/namespaces/{namespace}/standard"): "policies",
    ("GET", "/api/v1/taxonomy"): "surface",
    ("POST", "/api/v1/check_duplicate"): "surface",
    ("POST", "/api/v1/entities"): "surface",
    ("GET", "/api/v1/entities/by_alias"): "surface",
    ("GET", "/api/v1/kg/timeline"): "surface",
    ("POST", "/api/v1/kg/invalidate"): "surface",
    ("POST", "/api/v1/kg/query"): "surface",
    ("GET", "/api/v1/stats"): "house",
    ("POST", "/api/v1/gc"): "house",
    ("GET", "/api/v1/export"): "surface",
    ("POST", "/api/v1/import"): "surface",
    ("GET", "/api/v1/archive"): "house",
    ("POST", "/api/v1/archive"): "house",
    ("DELETE", "/api/v1/archive"): "house",
    ("POST", "/api/v1/archive/{memory_id}/restore"): "house",
    ("GET", "/api/v1/archive/stats"): "house",
    ("GET", "/api/v1/agents"): "surface",
    ("POST", "/api/v1/agents"): "surface",
    ("GET", "/api/v1/pending"): "approvals",
    ("POST", "/api/v1/pending/{pending_id}/approve"): "approvals",
    ("POST", "/api/v1/pending/{pending_id}/reject"): "approvals",
    ("POST", "/api/v1/sync/push"): "mesh",
    ("GET", "/api/v1/sync/since"): "mesh",
    ("GET", "/api/v1/capabilities"): "house",
    ("POST", "/api/v1/notify"): "surface",
    ("GET", "/api/v1/inbox"): "surface",
    ("POST", "/api/v1/subscriptions"): "webhooks",
    ("DELETE", "/api/v1/subscriptions"): "webhooks",
    ("GET", "/api/v1/subscriptions"): "webhooks",
    ("POST", "/api/v1/session/start"): "surface",
}

# The 43 tools of mcp-tools.md §2, without their `memory_`.
TOOLS: Final = {
    "house": "store recall search list get update delete promote link get_links stats gc archive_list archive_restore "
    "archive_stats capabilities",
    "surface": "forget kg_timeline kg_invalidate kg_query entity_register entity_get_by_alias get_taxonomy "
    "check_duplicate consolidate expand_query auto_tag detect_contradiction archive_purge session_start "
    "agent_register agent_list notify inbox",
    "policies": "namespace_set_standard namespace_get_standard namespace_clear_standard",
    "approvals": "pending_list pending_approve pending_reject",
    "webhooks": "subscribe unsubscribe list_subscriptions",
}

# The verbs of cli.md §3 and design §11; `agents key` is a verb within a verb.
VERBS: Final = {
    "house": "serve mcp store update recall search get list delete promote link stats namespaces gc archive import "
    "export status",
    "recall": "bench reindex",
    "surface": "forget resolve consolidate auto-consolidate completions man agents shell mine curator sync",
    "approvals": "pending",
    "mesh": "sync-daemon",
    "trust": "pki demo",
    "safety": "backup restore verify",
    "service": "doctor",
    "console": "console",
}

# Additions of ours to v0.6.3's surface, each with the reason that it is there.
OUR_ROUTES: Final = {
    ("GET", "/api/v1/openapi.json"): "the surface describes itself",
    ("DELETE", "/api/v1/subscriptions/{subscription_id}"): "v0.6.3's own Python client unsubscribes so",
    ("GET", "/api/v1/subscriptions/{subscription_id}/deliveries"): "what waits and what was given up",
    ("POST", "/api/v1/subscriptions/{subscription_id}/deliveries"): "what was given up may be tried anew",
    ("GET", "/api/v1/events"): "what happens could only be asked for",
    ("GET", "/api/v1/index"): "how far the indexer is",
    ("POST", "/api/v1/index"): "the verb reindex",
    ("POST", "/api/v1/expand_query"): "the tool memory_expand_query: every door is a client of this surface",
    ("POST", "/api/v1/memories/{memory_id}/auto_tag"): "the tool memory_auto_tag",
    ("POST", "/api/v1/detect_contradiction"): "the tool memory_detect_contradiction",
    ("POST", "/api/v1/resolve"): "the verb resolve",
    ("POST", "/api/v1/auto_consolidate"): "the verb auto-consolidate",
    ("POST", "/api/v1/curator"): "the verb curator --once",
    ("GET", "/api/v1/curator/reports"): "what the curator of a daemon did",
    ("POST", "/api/v1/curator/rollback"): "the verb curator --rollback",
    ("GET", "/api/v1/namespaces/{namespace}/access"): "who could do what under a policy, before anybody tries",
    ("GET", "/api/v1/namespaces/{namespace}/history"): "which policy held when, and who set it",
    ("DELETE", "/api/v1/agents/{agent_id}"): "a registration could never be taken back",
    ("POST", "/api/v1/sync/since"): "what a vector lacks; a position is of one node's log",
    ("POST", "/api/v1/sync/snapshot"): "for a node that is too far behind the log",
    ("POST", "/api/v1/sync/embeddings"): "vectors are made once, not once a node",
    ("POST", "/api/v1/sync/digests"): "for a node that compares its rows with another's",
    ("GET", "/api/v1/mesh"): "the mesh as one node sees it",
    ("POST", "/api/v1/mesh"): "the verb sync-daemon, where a daemon holds the database",
    ("POST", "/api/v1/mesh/verify"): "the verb mesh verify",
    ("POST", "/api/v1/mesh/trust"): "the verb mesh trust",
    ("POST", "/api/v1/mesh/rejoin"): "the verb mesh rejoin",
    ("POST", "/api/v1/mesh/look"): "the verb mesh add --dry-run",
    ("POST", "/api/v1/mesh/reload"): "the verbs mesh add and mesh remove; else SIGHUP",
    ("GET", "/api/v1/writes/{version}"): "what became of a write that was not acknowledged",
    ("GET", "/api/v1/agents/keys"): "the verb agents key list: nothing proved who an agent is",
    ("POST", "/api/v1/agents/keys"): "the verb agents key add",
    ("DELETE", "/api/v1/agents/keys"): "the verb agents key revoke --all-of",
    ("DELETE", "/api/v1/agents/keys/{key_id}"): "the verb agents key revoke",
    ("POST", "/api/v1/agents/keys/{key_id}/rotate"): "the verb agents key rotate",
    ("POST", "/api/v1/inbox/read"): "there was no way to mark a message as read",
    ("DELETE", "/api/v1/inbox/{message_id}"): "the recipient alone may delete a message",
    ("GET", "/api/v1/pending/{pending_id}"): "what would change, who voted, what was said",
    ("POST", "/api/v1/pending/{pending_id}/comment"): "those who decide could not talk about it",
    ("POST", "/api/v1/pending/{pending_id}/again"): "what expired or failed could not be asked for again",
    ("GET", "/api/v1/audit"): "the verb audit list",
    ("GET", "/api/v1/audit/verify"): "the verb audit verify",
    ("DELETE", "/api/v1/audit"): "the verb audit prune",
}
OUR_VERBS: Final = {
    "mesh": "who is behind, what lost, whether all copies are equal",
    "namespace": "what holds in a namespace could be set over HTTP and MCP only",
    "unlink": "takes a link back, which only HTTP could",
    "notify": "messages could not be sent from the command line",
    "inbox": "nor read there",
    "help": "people try it",
    "audit": "who did what here, and whether that is still as it was written",
}
