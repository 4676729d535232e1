"""Having a node ask its peers at once for what it lacks."""

from __future__ import annotations

from typing import Final

import trio

from aimem.errors import InvalidRequest
from aimem.model import Principal
from aimem.service.mesh import mesh_status, refuse_stranger
from aimem.service.node import Node
from aimem.wire import CatchUpRequest, MeshDocument, MeshQuery

CATCH_UP_WAIT_S: Final = 10.0


async def catch_up(node: Node, who: Principal, request: CatchUpRequest) -> MeshDocument:
    """Exchange with all peers now, and wait a while for what they have. Returns: the mesh then.

    Raises: InvalidRequest if this node has no peers, or not those; Denied; Unavailable.
    """
    refuse_stranger(who)
    mesh = node.mesh
    own = set() if mesh is None else {peer.url for peer in mesh.peers}
    strange = [url[:200] for url in request.peers if url.rstrip("/") not in own]
    if mesh is None or not mesh.peers or strange:
        raise InvalidRequest(
            f"this node does not exchange with {', '.join(strange) or 'anybody'}; its peers are "
            f"{', '.join(sorted(own)) or 'none'}: start it with --quorum-peers", field="peers", peers=sorted(own),
        )
    began = trio.current_time()
    mesh.ask_all(began)
    with trio.move_on_after(CATCH_UP_WAIT_S):
        await mesh.wait_answered(began)
    return await mesh_status(node, who, MeshQuery())
