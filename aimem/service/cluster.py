"""Which mesh this node belongs to, and which versions its peers speak: for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aimem.replication import SHOWN_CHARS, Mesh, Standing
from aimem.service.node import Node
from aimem.service.samples import Sample
from aimem.wire import MeshDocument

NAMED_MAX: Final = 8
"""Nodes that one alarm names."""


def show_cluster(node: Node, document: MeshDocument) -> None:
    """Add to the mesh's document whose it is, and what is spoken with each peer."""
    document.cluster = node.store.cluster
    if node.mesh is None:
        return
    told = {peer.url: peer for peer in node.mesh.peers}
    for out in document.peers:
        peer = told.get(out.url)
        if peer is None:
            continue    # it was taken out while the document was written
        tongue = peer.tongue
        out.protocol = 0 if peer.state.answered_at is None else tongue.protocol
        out.cluster = "" if tongue.belonging is None else tongue.belonging.cluster


def cluster_alarms(node: Node) -> list[str]:
    """What a person must look at: nodes of another mesh, which this one lists, or which list it."""
    mesh = node.mesh
    if mesh is None:
        return []
    own = node.store.cluster[:SHOWN_CHARS]
    listed = [peer for peer in mesh.peers if peer.state.standing is Standing.OTHER_CLUSTER]
    names = {peer.state.node for peer in listed}
    return [
        f"{peer.url} belongs to another mesh than this node ({own}): nothing is exchanged with it; correct the "
        "address, or give whichever of both was started with another mesh's database its own, or an empty one"
        for peer in listed
    ] + [
        f"node {name!r} of another mesh ({cluster[:SHOWN_CHARS]}) asks this one ({own}) and is refused: take this "
        "node's address out of its --quorum-peers, or give it its own database"
        for name, cluster in sorted(mesh.strangers.lately().items()) if name not in names
    ]


def members_alarm(mesh: Mesh) -> str:
    """What to say where the nodes were told of different members: who was told of others than this one."""
    own = mesh.members_hash
    others = [
        f"{peer.state.node} ({peer.url})" for peer in mesh.peers
        if own and peer.state.members not in ("", own) and not peer.state.failures
    ]
    named = f" as this one: {', '.join(others[:NAMED_MAX])}" if others else ""
    return f"the nodes were not told of the same members{named}; make their --quorum-peers equal"


def cluster_samples(mesh: Mesh) -> Iterator[Sample]:
    """Figures, for metrics."""
    yield Sample(
        name="ai_memory_mesh_cluster_known", help="1 once this node knows the id of its mesh.", kind="gauge",
        value=float(bool(mesh.store.cluster)),
    )
    yield Sample(
        name="ai_memory_mesh_other_cluster", help="Exchanges with nodes of another mesh: all were refused.",
        kind="counter", value=mesh.strangers.count,
    )
    for peer in mesh.peers:
        yield Sample(
            name="ai_memory_mesh_protocol", kind="gauge", labels=(("peer", peer.url),),
            help="Version of the protocol between nodes that is spoken with the peer.",
            value=float(peer.tongue.protocol),
        )
