"""Snapshots for nodes that are too far behind the log: the manifest of one, and its chunks."""

from __future__ import annotations

from typing import Final

import trio

from aimem.service.node import Node
from aimem.wire import copies, vector_in

ANSWER_S: Final = 4.0
"""Whoever asks hears by then at the latest that this node is at it: a line that is dead says nothing."""


async def spooled(node: Node, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
    """The manifest of a snapshot that is to begin, the name of one that is not there yet, or a chunk of one.

    Raises: Gone if that snapshot is; InvalidRequest for a chunk that it does not have; Unavailable, storage_full too.
    """
    spool = node.store.spool
    if request.begin is None:
        data = await spool.chunk(request.snapshot[:copies.ID_CHARS], request.chunk)
        return copies.SnapshotAnswer(protocol=request.protocol, objects=(), chunk=data)
    covering, named = vector_in(request.begin), request.snapshot[:copies.ID_CHARS]
    making = spool.begin_anew(named) if request.anew else spool.begin(covering, named)
    with trio.move_on_after(ANSWER_S):
        return copies.SnapshotAnswer(protocol=request.protocol, objects=(), manifest=await making.made())
    return copies.SnapshotAnswer(protocol=request.protocol, objects=(), making=making.name)
