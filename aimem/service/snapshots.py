"""Snapshots for nodes that are too far behind the log: the manifest of one, and its chunks."""

from __future__ import annotations

from aimem.service.node import Node
from aimem.wire import copies, vector_in


async def spooled(node: Node, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
    """The manifest of a snapshot that is to begin, or a chunk of one.

    Raises: Gone if that snapshot is; InvalidRequest for a chunk that it does not have; Unavailable, storage_full too.
    """
    spool = node.store.spool
    if request.begin is None:
        data = await spool.chunk(request.snapshot[:copies.ID_CHARS], request.chunk)
        return copies.SnapshotAnswer(protocol=request.protocol, objects=(), chunk=data)
    covering = vector_in(request.begin)
    if request.anew:
        manifest = await spool.begin_anew()
    else:
        manifest = await spool.begin(covering, request.snapshot[:copies.ID_CHARS])
    return copies.SnapshotAnswer(protocol=request.protocol, objects=(), manifest=manifest)
