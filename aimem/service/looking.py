"""Who answers at an address, before it is made a peer's."""

from __future__ import annotations

from typing import Final

import trio

from aimem.config import peer_in
from aimem.errors import InvalidRequest, Unavailable
from aimem.model import Principal
from aimem.replication import Mesh
from aimem.service.callers import require_operator
from aimem.service.node import Node
from aimem.wire import Health, reloading

LOOK_DEADLINE_S: Final = 5.0


async def look_at(node: Node, who: Principal, request: reloading.LookRequest) -> reloading.LookedAt:
    """Ask whoever answers at an address how it is, as anybody may ask: neither of both remembers the other by it.

    Raises: InvalidRequest(config_invalid) for what is no address, and for a process without a mesh;
      Denied(operator_required).
    """
    require_operator(who, "having an address looked at")
    mesh, url = node.mesh, peer_in(request.url)
    if mesh is None:
        raise InvalidRequest("this process asks no other node: that is for ai-memory serve")
    reason = "timeout"
    try:
        with trio.move_on_after(LOOK_DEADLINE_S):
            return _judged(node, mesh, url, await mesh.road.health(url))
    except Unavailable as error:
        reason = error.message
    finally:
        if url not in {peer.url for peer in mesh.peers}:
            mesh.road.forget(url)
    return reloading.LookedAt(url=url, verdict="none", reason=reason)


def _judged(node: Node, mesh: Mesh, url: str, health: Health) -> reloading.LookedAt:
    known = next((peer.state.node for peer in mesh.peers if peer.state.stream == health.stream), None)
    own = node.store.cluster
    verdict, name = "new", ""
    if health.stream == node.store.stream:
        verdict, name = "self", node.store.node_name
    elif known is not None:
        verdict, name = "peer", known
    elif own and health.cluster:
        verdict = "member" if health.cluster == own else "other_cluster"
    return reloading.LookedAt(
        url=url, verdict=verdict, node=name, version=health.version[:64], stream=health.stream[:64],
        cluster=health.cluster[:64],
    )
