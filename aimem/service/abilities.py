"""What a node can do now: capabilities, schema version 2.

Must never repeat a wish of the configuration: a client reads here what it will get.
"""

from __future__ import annotations

from typing import Final

from aimem import COMPATIBLE_WITH, __version__
from aimem.model import SYSTEM, rules
from aimem.service.curation import curation_reports
from aimem.service.keyring import access_mode
from aimem.service.node import IDEMPOTENCY_KEPT_DAYS, Node
from aimem.service.thinking import is_thinking, language_warnings
from aimem.store import approvals, namespaces, subscriptions
from aimem.wire import Capabilities, ReportsQuery, to_builtins

RUN_FIGURES: Final = ("memories_scanned", "operations_attempted", "autonomy")
"""Of a report of the curator, what capabilities tell."""


async def capabilities(node: Node) -> Capabilities:
    """What this node can do now, not what its configuration wished for; waits while the model is being loaded.

    Clients ask once, and recall, which waits too, will have that model.
    """
    await node.recaller.wait_until_settled()
    is_semantic, thinks = node.recaller.mode != "keyword", is_thinking(node)
    return Capabilities(
        schema_version="2",
        tier=_effective_tier(node),
        version=__version__,
        features={
            "keyword_search": True,
            "semantic_search": is_semantic,
            "hybrid_recall": is_semantic,
            "query_expansion": thinks,
            "auto_consolidation": thinks,
            "auto_tagging": thinks,
            "contradiction_analysis": thinks,
            "cross_encoder_reranking": False,
            "memory_reflection": False,
            "embedder_loaded": node.recaller.model != "none",
        },
        models={
            "embedding": node.recaller.model,
            "embedding_dim": node.recaller.index.dimension if node.recaller.model != "none" else 0,
            "llm": node.language.name if node.language is not None and thinks else "none",
            "cross_encoder": "none",
        },
        permissions={
            "mode": (await access_mode(node)).value,
            "active_rules": await node.store.read(namespaces.count_policies),
            "rule_summary": [],
        },
        hooks=await _hooks(node, thinks=thinks),
        compaction=await _compaction(node),
        approval=await _approval(node),
        transcripts={"enabled": False, "total_count": 0, "total_size_mb": 0},
        compatible_with=COMPATIBLE_WITH,
        limits=_limits(node),
        warnings=(*node.warnings, *language_warnings(node)),
    )


async def _approval(node: Node) -> dict[str, object]:
    """What waits for approval, and for how long at most."""
    return {
        "subscribers": 0, "pending_requests": await node.store.read(approvals.count_open, node.clock.now()),
        "default_timeout_seconds": int(node.policy.pending_expiry_s),
    }


def _limits(node: Node) -> dict[str, int | float]:
    return {
        **_limits_of_agents(node),
        "body_bytes": node.policy.body_max_bytes,
        "content_bytes": rules.CONTENT_MAX_BYTES,
        "title_chars": rules.TITLE_MAX_CHARS,
        "metadata_bytes": rules.METADATA_MAX_BYTES,
        "tags": rules.TAGS_MAX_COUNT,
        "idempotency_days": IDEMPOTENCY_KEPT_DAYS,
    }


def _limits_of_agents(node: Node) -> dict[str, int | float]:
    """What one agent may ask for and keep; nothing of what is not limited."""
    given = node.limiter.limits
    found = {
        "agent_requests_per_sec": given.requests_per_s, "agent_writes_per_min": given.writes_per_min,
        "agent_memories": given.memories, "agent_content_bytes": given.content_bytes,
    }
    return {name: value for name, value in found.items() if value is not None}


async def _hooks(node: Node, *, thinks: bool) -> dict[str, object]:
    """Who is told of what by webhooks, and whether the language model looks at new memories."""
    return {
        "registered_count": (await node.store.read(subscriptions.count, None))[0],
        "by_event": await node.store.read(subscriptions.count_by_event),
        "autonomous": thinks and node.policy.autonomous_hooks,
    }


async def _compaction(node: Node) -> dict[str, object]:
    """The curator: whether this process runs its cycles, and the latest cycle of whichever process ran one."""
    interval_s = node.policy.curator_interval_s
    page = await curation_reports(node, SYSTEM, ReportsQuery(limit=1))
    latest: dict[str, object] = to_builtins(page.reports[0]) if page.reports else {}
    return {
        "enabled": interval_s is not None,
        "interval_minutes": None if interval_s is None else round(interval_s / 60),
        "last_run_at": latest.get("completed_at"),
        "last_run_stats": {name: latest[name] for name in RUN_FIGURES} if latest else None,
    }


def _effective_tier(node: Node) -> str:
    """What is there of the tier that was asked for: the upper ones are a model of language upon one of meaning."""
    if node.recaller.mode == "keyword":
        return "keyword"
    return node.policy.tier if is_thinking(node) else "semantic"
