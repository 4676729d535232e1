"""Figures of the mesh, for metrics: of each peer, of what writes came to, and of ops that arrived."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import trio

from aimem.replication import LATENCIES_S, Mesh, Peer, breaker, lag
from aimem.service.cluster import cluster_samples
from aimem.service.node import Node
from aimem.service.samples import Sample


def mesh_samples(node: Node) -> tuple[Sample, ...]:
    """All figures; none of a process that will never have peers."""
    mesh = node.mesh
    if mesh is None:
        return ()
    of_peers = (sample for peer in mesh.peers for sample in _of_peer(mesh, peer))
    of_mesh = (
        *_of_members(mesh), *cluster_samples(mesh), *_of_writes(mesh), *_of_heads(mesh), *_of_rows(mesh),
        *_of_snapshots(mesh),
        *_of_road(mesh),
    )
    return (*of_peers, *_of_trust(node), *of_mesh)


def _of_trust(node: Node) -> Iterator[Sample]:
    counts = node.trust.counts
    for reason, value in sorted(counts.refused.items()):
        yield _counter("ai_memory_mesh_claims_refused", "Nodes that are not who they say.", value, reason=reason)
    yield _counter(
        "ai_memory_mesh_proofs_wrong", "Requests under which a signature of something else stood.", counts.wrong_proofs
    )
    yield _counter("ai_memory_mesh_pins_changed", "Names that got a key, or another one.", counts.pinned)
    yield _gauge("ai_memory_mesh_untrusted", "Nodes that wait for an operator's word.", len(node.trust.waiting))


def _of_members(mesh: Mesh) -> Iterator[Sample]:
    log = mesh.store.log
    yield _gauge("ai_memory_mesh_members_agree", "0 if the nodes were told of different members.", mesh.members_agree)
    yield _gauge("ai_memory_mesh_ready", "0 while the node begins a new stream and catches up.", mesh.is_ready)
    yield _gauge("ai_memory_mesh_behind_ops", "Ops that peers know, as last heard, and this node lacks.", mesh.behind)
    yield _gauge("ai_memory_mesh_streams", "Streams known.", len(log.vector))
    yield _gauge("ai_memory_mesh_streams_closed", "Streams of which two histories were written.", len(log.closed))
    yield _counter(
        "ai_memory_mesh_renewals", "New streams that this node had to begin since its start.", mesh.renewal.count
    )


def _of_writes(mesh: Mesh) -> Iterator[Sample]:
    counts = mesh.counts
    outcomes = (
        ("acknowledged", counts.acknowledged), ("not_applied", counts.not_applied),
        ("indeterminate", counts.indeterminate),
    )
    for outcome, value in outcomes:
        yield _counter("ai_memory_mesh_writes", "Writes that other nodes were to have.", value, outcome=outcome)
    for result, value in (("taken", counts.taken), ("known", counts.skipped)):
        yield _counter("ai_memory_mesh_ops_received", "Ops that other nodes handed over.", value, result=result)
    for reason, value in sorted(counts.stopped.items()):
        yield _counter("ai_memory_mesh_batches_stopped", "Batches that were not taken whole.", value, reason=reason)


def _of_heads(mesh: Mesh) -> Iterator[Sample]:
    heads = mesh.counts.heads
    results = (("proven", heads.proven), ("unproven", heads.unproven), ("forged", heads.forged))
    for result, value in results:
        yield _counter(
            "ai_memory_mesh_heads_received", "Heads that others named beyond what was known here.", value, result=result
        )
    yield _counter("ai_memory_mesh_proofs_sent", "Proofs of heads that were sent.", heads.sent)


def _of_road(mesh: Mesh) -> Iterator[Sample]:
    counts = mesh.road.counts
    for route, value in sorted(counts.requests.items()):
        yield _counter("ai_memory_mesh_requests", "Requests that peers answered.", value, route=route)
    for direction, by_route in (("sent", counts.sent_bytes), ("received", counts.received_bytes)):
        for route, value in sorted(by_route.items()):
            yield _counter(
                "ai_memory_mesh_bytes", "Of the bodies of these requests, and of their answers, as they travelled.",
                value, route=route, direction=direction,
            )


def _of_snapshots(mesh: Mesh) -> Iterator[Sample]:
    counts, now, spool = mesh.joins.counts, mesh.joins.now, mesh.store.spool.counts
    yield _counter("ai_memory_mesh_snapshots_joined", "Snapshots of peers that were joined.", counts.joined)
    yield _counter("ai_memory_mesh_snapshots_resumed", "Joins that went on where one broke off.", counts.resumed)
    for reason, value in sorted(counts.failed.items()):
        yield _counter("ai_memory_mesh_snapshots_failed", "Joins that broke off.", value, reason=reason)
    yield _counter("ai_memory_mesh_snapshot_chunks_joined", "Chunks of snapshots that were joined.", counts.chunks)
    yield _gauge(
        "ai_memory_mesh_joining", "Share of a peer's snapshot that is joined; 1 while none is to be.",
        1.0 if now is None else now.chunk / max(1, now.chunks),
    )
    yield _counter("ai_memory_mesh_snapshots_made", "Snapshots that were made for others.", spool.made)
    yield _counter("ai_memory_mesh_snapshots_not_made", "Snapshots that could not be made.", spool.failed)
    yield _counter("ai_memory_mesh_snapshot_chunks_given", "Chunks of snapshots that were given.", spool.given)
    yield _gauge("ai_memory_mesh_snapshot_bytes", "Bytes of the snapshots beside the database.", spool.kept_bytes)


def _of_rows(mesh: Mesh) -> Iterator[Sample]:
    compared, size = mesh.counts.compared, mesh.log_size
    yield _counter("ai_memory_mesh_objects_compared", "Objects that were compared with a peer's.", compared.objects)
    yield _counter(
        "ai_memory_mesh_objects_differing", "Objects that comparisons found to differ, each time.",
        compared.differing,
    )
    yield _counter(
        "ai_memory_mesh_objects_repaired", "Objects that got back here what they had lost.", compared.repaired
    )
    yield _counter(
        "ai_memory_mesh_objects_undecided", "Objects of which nothing tells which of two values is right.",
        compared.undecided,
    )
    yield _gauge("ai_memory_mesh_log_ops", "Ops in the log, when it was last looked at.", size.count)
    yield _gauge("ai_memory_mesh_log_bytes", "Bytes of their entries.", size.bytes)


def _of_peer(mesh: Mesh, peer: Peer) -> Iterator[Sample]:
    state, now = peer.state, trio.current_time()
    known = mesh.store.log.vector
    behind_s = 0.0 if peer.behind_since is None else now - peer.behind_since
    gauges = (
        ("ai_memory_mesh_lag_ops", "Ops of this node's log that the peer lacks, as last heard.", lag(state, known)),
        ("ai_memory_mesh_lag_seconds", "How long the peer has been behind.", behind_s),
        ("ai_memory_mesh_reachable", "1 if a write may count on the peer.", mesh.is_reachable(peer)),
        ("ai_memory_mesh_in_flight", "Exchanges on their way to the peer.", state.asked_at is not None),
        ("ai_memory_mesh_failures", "Exchanges that failed since the last one that did not.", state.failures),
        ("ai_memory_mesh_breaker_open", "1 if the peer is asked only now and then.",
         breaker(state, peer.rules) != "closed"),
        ("ai_memory_mesh_differing", "Objects that differed when all were last compared with the peer's.",
         peer.differing),
        ("ai_memory_mesh_clock_offset_seconds", "The peer's clock less this node's.", (state.offset_us or 0) / 1e6),
    )
    for name, text, value in gauges:
        yield Sample(name=name, help=text, kind="gauge", value=float(value), labels=(("peer", peer.url),))
    for kind, count in sorted(peer.failed.items()):
        yield _counter(
            "ai_memory_mesh_exchanges_failed", "Exchanges that failed.", count, peer=peer.url, reason=kind
        )
    sums = tuple(itertools.accumulate(peer.latencies.counts))
    bounds = (*(f"{bound:g}" for bound in LATENCIES_S), "+Inf")
    yield Sample(
        name="ai_memory_mesh_ack_seconds", help="From sending ops to a peer until it reported them.", kind="histogram",
        value=peer.latencies.total_s, labels=(("peer", peer.url),),
        buckets=tuple((bound, float(value)) for bound, value in zip(bounds, sums, strict=True)),
    )


def _gauge(name: str, text: str, value: float) -> Sample:
    return Sample(name=name, help=text, kind="gauge", value=float(value))


def _counter(name: str, text: str, value: int, **labels: str) -> Sample:
    return Sample(name=name, help=text, kind="counter", value=value, labels=tuple(labels.items()))
