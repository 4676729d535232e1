"""What a node says of itself: counts, health, and figures for metrics."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct

from aimem import COMPATIBLE_WITH, __version__
from aimem.errors import AimemError
from aimem.model import SYSTEM, Principal, Tier
from aimem.service.alarms import lasting_alarms
from aimem.service.callers import require_operator
from aimem.service.cluster import cluster_alarms
from aimem.service.keyring import AccessMode, access_mode
from aimem.service.meshfigures import mesh_samples
from aimem.service.node import Node
from aimem.service.papers import papers_samples, papers_warnings
from aimem.service.samples import Sample
from aimem.service.thinking import is_thinking, language_samples, language_warnings
from aimem.service.tidiness import upkeep_samples
from aimem.service.trust import OPEN_TEXT, MeshAccess, access_of, trust_alarms
from aimem.store import deliveries, embeddings, live_at, statistics, subscriptions, visible_to
from aimem.wire import (
    Health,
    NamespaceCount,
    NamespacesOut,
    Stats,
    TierCount,
)

SERVICE: Final = "ai-memory"


class NodeStatus(Struct, frozen=True, kw_only=True):
    """All figures of a node at one moment."""

    samples: tuple[Sample, ...]


async def stats(node: Node, who: Principal) -> Stats:
    """Counts of what the caller may see; what others write shows in none but the size. Raises: Unavailable."""
    visible, now = visible_to(who), node.clock.now()
    found = await node.store.read(statistics.counts, visible, now)
    backlog = await node.store.read(embeddings.count_backlog_seen, visible, now)
    return Stats(
        total=sum(count for _, count in found.by_tier),
        by_tier=tuple(TierCount(tier=tier, count=count) for tier, count in found.by_tier),
        by_namespace=tuple(NamespaceCount(namespace=name, count=count) for name, count in found.by_namespace),
        expiring_soon=found.expiring_soon,
        links_count=found.links,
        db_size_bytes=node.store.file_bytes(),
        archived=found.archived,
        tombstones=UNSET if who.sights else found.tombstones,
        embedding_backlog=backlog,
        op_log_count=UNSET if who.sights else found.ops,
    )


async def namespaces(node: Node, who: Principal) -> NamespacesOut:
    """Namespaces that have live memories, the largest first. Raises: Unavailable."""
    where = live_at(node.clock.now()) & visible_to(who)
    found = await node.store.read(statistics.by_namespace, where)
    return NamespacesOut(namespaces=tuple(NamespaceCount(namespace=name, count=count) for name, count in found))


async def health(node: Node) -> Health:
    """Cheap liveness: one read that touches an index only; an error becomes `status: error`, not an exception."""
    status, backlog = "ok", 0
    warnings = (*node.warnings, *language_warnings(node), *papers_warnings(node.papers, node.clock.now()))
    access = AccessMode.AGENT_KEYS
    try:
        backlog = await node.store.read(embeddings.count_backlog)
        access = await access_mode(node)
    except AimemError as error:
        # By its code alone: who asks for health needs no key, and messages name paths.
        status, warnings = "error", (f"the store cannot be read: {error.code}", *warnings)
    warnings = (*warnings, *_fetching(node))
    warnings = (*warnings, *trust_alarms(node), *cluster_alarms(node))
    if node.mesh is not None:
        warnings = (*warnings, *lasting_alarms(node.mesh))
    has_peers = node.mesh is not None and bool(node.mesh.peers)
    opened = access_of(node, access) if has_peers else ""
    if opened == MeshAccess.OPEN:
        warnings = (*warnings, OPEN_TEXT)
    return Health(
        status=status,
        service=SERVICE,
        version=__version__,
        embedder_ready=node.recaller.model != "none",
        federation_enabled=has_peers,
        compatible_with=COMPATIBLE_WITH,
        mode=node.recaller.mode,
        embedding_backlog=backlog,
        open_access=access is AccessMode.OPEN,
        access=access.value,
        stream=node.store.stream,
        cluster=node.store.cluster,
        warnings=warnings,
        llm="none" if node.language is None else node.language.name,
        llm_ready=is_thinking(node),
        ready=node.mesh is None or node.mesh.is_ready,
        mesh_access=opened,
        behind=0 if node.mesh is None else node.mesh.behind,
    )


def _fetching(node: Node) -> tuple[str, ...]:
    """How far this node is with the state of a peer, and why it may not write yet."""
    mesh = node.mesh
    now = None if mesh is None else mesh.joins.now
    if mesh is None or (now is None and mesh.is_ready):
        return ()
    if now is None:
        return ("this node began a new stream and fetches what its peers know; it refuses to write",)
    share = f", {now.objects} of {now.of} objects are done" if now.of else f", {now.objects} objects are done"
    refusing = "" if mesh.is_ready else "; it refuses to write until it knows what its peers know"
    return (f"this node fetches the state of a peer{share}{refusing}",)


async def status(node: Node, who: Principal) -> NodeStatus:
    """Figures for monitoring, over everything (they name no memory). Raises: Denied(operator_required), Unavailable."""
    require_operator(who, "reading the metrics")
    found = await node.store.read(statistics.counts, visible_to(SYSTEM), node.clock.now())
    backlog = await node.store.read(embeddings.count_backlog)
    subscribed, _ = await node.store.read(subscriptions.count, None)
    waiting, dead = await node.store.read(deliveries.totals)
    samples = [
        *_kept(found),
        _gauge("ai_memory_db_bytes", "Size of the database with its write-ahead log.", node.store.file_bytes()),
        _gauge("ai_memory_embedding_backlog", "Live memories that wait for their vectors.", backlog),
        _gauge("ai_memory_embedding_awaited", "Texts whose vectors their writers are to send.", node.embedding.count),
        _gauge("ai_memory_subscriptions_active", "Subscriptions.", subscribed),
        _gauge("ai_memory_webhook_waiting", "Deliveries that wait to be sent.", waiting),
        _gauge("ai_memory_webhook_dead", "Deliveries that were given up.", dead),
        *_at_work(node),
        *_limited(node),
        *_counters(node),
        *language_samples(node),
        *mesh_samples(node),
        *upkeep_samples(node.store, node.upkeep),
        *papers_samples(node.papers, node.clock.now()),
    ]
    return NodeStatus(samples=(*samples, *(sample for source in node.figures for sample in source())))


def _kept(found: statistics.Counts) -> list[Sample]:
    by_tier = dict(found.by_tier)
    return [
        *(_gauge("ai_memory_memories", "Live memories.", by_tier.get(tier.value, 0), tier=tier.value) for tier in Tier),
        _gauge("ai_memory_archived_memories", "Archived memories.", found.archived),
        _gauge("ai_memory_links", "Links.", found.links),
        _gauge("ai_memory_tombstones", "Deleted objects that are remembered as dead.", found.tombstones),
        _gauge("ai_memory_ops_held", "Ops that this version cannot fold yet.", found.held),
        _gauge("ai_memory_conflicts", "Writes that lost a field to one that did not know of them.", found.conflicts),
        _gauge("ai_memory_op_log_ops", "Ops in the log.", found.ops),
    ]


def _at_work(node: Node) -> list[Sample]:
    """How much waits, for whom, and who follows."""
    return [
        _gauge("ai_memory_index_chunks", "Vectors in the index.", node.recaller.chunk_count),
        _gauge("ai_memory_write_queue", "Writes that wait for their group.", node.store.queued_count),
        _gauge(
            "ai_memory_touch_queue",
            "Recalls whose touch is not written yet.",
            node.touches[0].statistics().current_buffer_used,
        ),
        _gauge("ai_memory_audit_queue", "Audit rows that wait for the store.", node.refusals.unwritten_count),
        _gauge("ai_memory_write_wait_seconds", "How long a write would wait, as estimated.", node.store.write_wait_s),
        _gauge("ai_memory_limited_agents", "Agents whose rates are known now.", node.limiter.agents_count),
        _gauge("ai_memory_event_readers", "Readers that follow the events.", node.happenings.reader_count),
        _gauge(
            "ai_memory_semantic", "1 if recall uses vectors, 0 if it is by keyword.", node.recaller.mode != "keyword"
        ),
    ]


def _limited(node: Node) -> list[Sample]:
    return [
        Sample(
            name="ai_memory_limited", help="Requests refused by a limit.", kind="counter", value=float(count),
            labels=(("limit", limit.value),),
        )
        for limit, count in node.limiter.refused.items()
    ]


def _counters(node: Node) -> list[Sample]:
    writer, did, refused = node.store.counts, node.counters, node.refusals.folding
    follow, post = node.happenings, node.post
    table: tuple[tuple[str, str, float], ...] = (
        ("ai_memory_commits", "Transactions committed.", writer.groups),
        ("ai_memory_writes", "Write jobs committed or rolled back alone.", writer.jobs),
        ("ai_memory_writes_rolled_back", "Write jobs that failed alone.", writer.rolled_back),
        ("ai_memory_commits_failed", "Transactions of which nothing was stored.", writer.failed_groups),
        ("ai_memory_stored", "Memories created.", did.stored),
        ("ai_memory_updated", "Memories updated.", did.updated),
        ("ai_memory_deleted", "Memories deleted.", did.deleted),
        ("ai_memory_recalls", "Recalls.", did.recalls),
        ("ai_memory_searches", "Searches.", did.searches),
        ("ai_memory_embedded_texts", "Texts embedded.", did.embedded),
        ("ai_memory_embeddings_fetched", "Texts whose vectors came from their writers.", did.embeddings_fetched),
        ("ai_memory_embeddings_refused", "Texts whose vectors came and could not be used.", did.embeddings_refused),
        ("ai_memory_embeddings_lent", "Texts whose vectors other nodes fetched here.", did.embeddings_lent),
        ("ai_memory_collected", "Expired memories collected.", did.collected),
        ("ai_memory_touches_dropped", "Touches dropped because their queue was full.", did.touches_dropped),
        ("ai_memory_refusals", "Requests that were refused and that the audit tells of.", refused.noted_count),
        ("ai_memory_refusals_folded", "Refusals that are counted in the row of another.", refused.folded_count),
        ("ai_memory_audit_dropped", "Audit rows lost: the store took none for too long.", node.refusals.dropped_count),
        ("ai_memory_event_readers_dropped", "Readers cut off because they did not read.", follow.dropped_count),
        ("ai_memory_event_readers_refused", "Readers refused because too many follow.", follow.refused_count),
        ("ai_memory_webhook_dispatched", "Deliveries that a receiver took.", post.dispatched_count),
        ("ai_memory_webhook_failed", "Attempts to deliver that failed.", post.failed_count),
        ("ai_memory_webhook_dropped", "Events that were not sent to a subscriber.", post.dropped_count),
        ("ai_memory_webhook_lost", "Events that left the log before webhooks were made of them.", post.lost_count),
        ("ai_memory_idempotent_replays", "Requests answered from an earlier answer.", did.idempotent_replays),
    )
    return [Sample(name=name, help=text, kind="counter", value=float(value)) for name, text, value in table]


def _gauge(name: str, text: str, value: float, **labels: str) -> Sample:
    return Sample(name=name, help=text, kind="gauge", value=float(value), labels=tuple(labels.items()))
