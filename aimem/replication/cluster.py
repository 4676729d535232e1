"""Which mesh this is: nodes that belong to two of them take nothing from each other.

A backup of another mesh's node, started under an address of this one, would join the two for ever. So each mesh has an
id. A node without one takes that of the first of its peers that has one. Where nobody has one, one node proposes it; of
two proposals the lesser stands, and it is the id for whoever heard of every member that it holds the same. As each
member's proposal only falls, two nodes with one list of members cannot come to two ids, whatever was lost or restarted
in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct

from aimem.errors import Code, Conflict
from aimem.model import StreamId
from aimem.replication.members import Agreement
from aimem.replication.peer import Standing
from aimem.store import Store, cluster
from aimem.wire import ExchangeAnswer, ExchangeRequest

if TYPE_CHECKING:
    from aimem.replication.mesh import Mesh
    from aimem.replication.neighbour import Peer

log = logging.getLogger(__name__)

CLUSTER_PROTOCOL: Final = 3
"""The first version in which nodes say to which mesh they belong."""
SHOWN_CHARS: Final = 8
"""Of an id, for people to compare."""
LATELY_S: Final = 600.0
NAMES_MAX: Final = 16
"""Nodes of other meshes that are remembered by name, the latest ones."""


class Due(StrEnum):
    """What a node without an id may do about it."""

    REST = "rest"
    PROPOSE = "propose"
    SETTLE = "settle"


class Told(Struct, frozen=True, kw_only=True):
    """What a peer said last; `belonging` is None while it said nothing, as the version before does."""

    stream: StreamId | None
    belonging: cluster.Belonging | None


def due(own: cluster.Belonging, stream: StreamId, told: Iterable[Told]) -> Due:
    """What a node is to do about the id of its mesh, by what its peers said.

    Args:
      told: of every peer, all of which work with this node's list of members.
    """
    known = [(one.stream, one.belonging) for one in told]
    if own.cluster or not known:
        return Due.REST
    if own.proposed:
        is_held = all(said is not None and said.proposed == own.proposed for _, said in known)
        return Due.SETTLE if is_held else Due.REST
    is_free = all(said == cluster.Belonging() for _, said in known)
    return Due.PROPOSE if is_free and all(other is not None and stream < other for other, _ in known) else Due.REST


class Strangers:
    """Nodes of other meshes that asked or answered.

    Attributes:
      count: exchanges with them, none of which was carried out.
    """

    def __init__(self) -> None:
        self.count = 0
        self._seen: dict[str, tuple[str, float]] = {}

    def note(self, node: str, cluster: str) -> None:
        """Another exchange with one. The one that was longest not met is forgotten for a new one."""
        self.count += 1
        self._seen.pop(node, None)
        if not self._seen:
            log.error("cluster.other", extra={"node": node, "cluster": cluster})
        if len(self._seen) >= NAMES_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[node] = (cluster, trio.current_time())

    def note_home(self, node: str, cluster: str) -> None:
        """It was not refused: if it names a mesh, that is this one, whatever database it ran on before."""
        if cluster:
            self._seen.pop(node, None)

    def lately(self) -> dict[str, str]:
        """Name -> id of its mesh, of those that were met within LATELY_S."""
        since = trio.current_time() - LATELY_S
        self._seen = {node: seen for node, seen in self._seen.items() if seen[1] > since}
        return {node: cluster for node, (cluster, _) in self._seen.items()}


async def hear_asker(store: Store, mesh: Mesh | None, asker: StreamId, request: ExchangeRequest) -> None:
    """See to which mesh an asker belongs, before anything that it says counts; learn from it if it is a peer.

    Raises: Conflict(other_cluster); InvalidRequest for what is no id; Unavailable.
    """
    said = cluster.Belonging(cluster=request.cluster, proposed=request.proposed)
    if mesh is None:
        _refuse_other(store, said)
        return
    try:
        _refuse_other(store, said)
    except Conflict:
        mesh.strangers.note(request.node, said.cluster)
        mesh.turn_to(asker, trio.current_time())    # if it is a peer, it is none any more
        raise
    mesh.strangers.note_home(request.node, said.cluster)
    for peer in mesh.peers:
        if peer.state.stream == asker and peer.state.standing is Standing.PEER:
            peer.tongue.note_asked(request.protocol)
            await _hear(store, peer, said, request.protocol)


async def hear_answer(mesh: Mesh, peer: Peer, answer: ExchangeAnswer) -> None:
    """The same of a peer that answered. Raises: as hear_asker."""
    said = cluster.Belonging(cluster=answer.cluster, proposed=answer.proposed)
    try:
        _refuse_other(mesh.store, said)
        await _hear(mesh.store, peer, said, answer.protocol)
    except Conflict:
        peer.tongue.belonging = said
        mesh.strangers.note(answer.node, said.cluster)
        raise
    mesh.strangers.note_home(answer.node, said.cluster)


def _refuse_other(store: Store, said: cluster.Belonging) -> None:
    own = store.cluster
    if own and said.cluster and said.cluster != own:
        cluster.check_cluster(said.cluster)
        raise Conflict(
            f"another mesh: this node belongs to {own[:SHOWN_CHARS]}, the other one to {said.cluster[:SHOWN_CHARS]}",
            code=Code.OTHER_CLUSTER, cluster=own,
        )


async def _hear(store: Store, peer: Peer, said: cluster.Belonging, protocol: int) -> None:
    is_told = protocol >= CLUSTER_PROTOCOL or said != cluster.Belonging()
    peer.tongue.belonging = said if is_told else None
    own = store.belonging
    if own.cluster:
        return
    if said.cluster:
        await store.learn_cluster(said.cluster)
        log.info("cluster.learned", extra={"cluster": store.cluster, "peer": peer.url})
        _refuse_other(store, said)      # another peer's may have come first
    elif said.proposed and (not own.proposed or said.proposed < own.proposed):
        await store.propose_cluster(said.proposed)


async def settle(mesh: Mesh) -> None:
    """Propose an id where nobody has one, and take the one that all hold. Raises: Unavailable."""
    store = mesh.store
    if store.cluster or mesh.agreement is not Agreement.AGREED:
        return
    peers = [(peer.state, peer.tongue.belonging) for peer in mesh.peers]
    told = [
        Told(stream=state.stream, belonging=said if state.standing is Standing.PEER else None) for state, said in peers
    ]
    match due(store.belonging, store.stream, told):
        case Due.PROPOSE:
            await store.propose_cluster(None)
        case Due.SETTLE:
            await store.settle_cluster()
            log.info("cluster.settled", extra={"cluster": store.cluster})
        case Due.REST:
            return
    mesh.ask_all(trio.current_time())
