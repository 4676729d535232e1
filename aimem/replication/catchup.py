"""Beyond the logs: a node joins a peer's whole state, and lets its own log go where all have it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from aimem.errors import AimemError, Corrupt, InvalidRequest, Unavailable
from aimem.model import Vector
from aimem.replication.closure import note_joined, to_join
from aimem.replication.joining import Freshness, join_snapshot
from aimem.replication.joins import reason_of
from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer
from aimem.replication.peer import Standing, Wanted
from aimem.replication.untaken import with_all_of
from aimem.store import Store, adoption, buffers, trimming
from aimem.wire import ExchangeAnswer

log = logging.getLogger(__name__)

SNAPSHOT_FROM_OPS: Final = 10_000
SNAPSHOT_FROM_SHARE: Final = 10
"""So many ops behind, and so many times as many as it knows, a node takes the state and not the log."""
TRIM_INTERVAL_S: Final = 60.0


async def join_if_due(mesh: Mesh, peer: Peer, answer: ExchangeAnswer) -> None:
    """Behind an exchange: join a peer's state for each reason that there is. Raises: Unavailable, Corrupt."""
    await catch_up_if_trimmed(mesh, peer, answer)
    await join_if_closed(mesh, peer)
    await join_if_rejoining(mesh, peer)


async def catch_up_if_trimmed(mesh: Mesh, peer: Peer, answer: ExchangeAnswer) -> None:
    """Where the peer's log does not reach back to what this node knows, or by far not soon, join its state.

    Raises: Unavailable, Corrupt.
    """
    if peer.state.standing is Standing.PEER and (answer.trimmed or is_far_behind(mesh.store, peer.state.acked)):
        await _join(mesh, peer, Freshness.KEPT)


def is_far_behind(store: Store, theirs: Vector) -> bool:
    """Whether a node lacks so much of what a peer knows that its state is much less than the ops between."""
    mine = store.log.vector
    missing = sum(max(0, seq - mine.get(stream, 0)) for stream, seq in theirs.items() if stream not in store.log.full)
    return missing >= SNAPSHOT_FROM_OPS and missing >= SNAPSHOT_FROM_SHARE * sum(mine.values())


async def join_if_closed(mesh: Mesh, peer: Peer) -> None:
    """Where a stream has two histories, join the rows of each node once it takes no more ops of it.

    Raises: Unavailable, Corrupt.
    """
    streams, node = to_join(mesh, peer), peer.state.stream
    if streams and node is not None and await _join(mesh, peer, Freshness.ANEW):
        await note_joined(mesh, peer, streams, node)


async def join_if_rejoining(mesh: Mesh, peer: Peer) -> None:
    """Where an operator had this node join its mesh anew, join the whole state of the first peer that hands it over.

    Raises: Unavailable, Corrupt.
    """
    if not mesh.renewal.is_rejoining or mesh.is_forked or peer.state.standing is not Standing.PEER:
        return
    if await _join(mesh, peer, Freshness.ANEW):
        await mesh.renewal.note_rejoined()


async def _join(mesh: Mesh, peer: Peer, freshness: Freshness) -> bool:
    """Join a peer's state; only one is joined at a time. Returns: whether it was."""
    joins = mesh.joins
    if joins.now is not None or mesh.draining not in (None, peer):
        other = peer if mesh.draining is None else mesh.draining
        log.info("peer.snapshot_waits", extra={"peer": peer.url, "for": other.url})
        return False
    if not joins.is_due(peer.url, trio.current_time()):
        return False
    mesh.draining = peer
    try:
        covers_more = await join_snapshot(mesh, peer, freshness)
    except trio.TooSlowError:
        _note_failed(mesh, peer, "timeout", "timeout")
    except Corrupt:
        raise
    except (AimemError, ValueError) as error:
        if isinstance(error, (InvalidRequest, ValueError)):
            await mesh.store.write(adoption.forget)      # the rest of it is no better
        sentence = error.message if isinstance(error, AimemError) else type(error).__name__
        _note_failed(mesh, peer, reason_of(error), sentence)
    else:
        joins.note_joined(peer.url)
        if mesh.store.lacks_past:
            mesh.renewal.note_joined()
            mesh.ask_all(trio.current_time())
        if covers_more:     # else it would go on so without end
            peer.apply(Wanted(now=trio.current_time()))     # for what was written meanwhile
        joins.now = None
        await mesh.store.inbox.end()
        return True
    finally:
        mesh.draining = joins.now = None
        mesh.ring()
    return False


def _note_failed(mesh: Mesh, peer: Peer, reason: str, sentence: str) -> None:
    """Have another peer asked, and this one after a pause."""
    log.warning("peer.snapshot_failed", extra={"peer": peer.url, "kind": reason, "reason": sentence})
    now = trio.current_time()
    until = mesh.joins.note_failed(peer.url, reason, now)
    for other in mesh.peers:
        other.apply(Wanted(now=until if other is peer else now))


async def run_trimmer(mesh: Mesh, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Now and then drop from the log what every peer has, and what is beyond its bounds."""
    task_status.started()
    measured, mesh.log_size = mesh.store.log.vector, await mesh.store.read(trimming.log_size)
    while True:
        await trio.sleep(TRIM_INTERVAL_S)
        try:
            if measured != mesh.store.log.vector:
                measured, mesh.log_size = mesh.store.log.vector, await mesh.store.read(trimming.log_size)
            mesh.log_size = await trim_log(mesh.store, mesh.log_size, mesh.settings.log, partial(known_to_all, mesh))
        except Unavailable as error:    # a full disk, as a rule: what is too much stays until there is room
            log.warning("log.not_trimmed", extra={"reason": error.code.value})


async def trim_log(
    store: Store, size: trimming.LogSize, bounds: trimming.LogBounds, floor: Callable[[], Vector]
) -> trimming.LogSize:
    """Drop from a log what it need not keep, a batch at a time, between which others write.

    Args:
      size: of the log, as of a moment ago.
      floor: tells what nobody lacks.
    Returns: what is left. Raises: Unavailable, Corrupt.
    """
    fitted = bounds.fitted((await store.read(buffers.pages)).used_bytes)
    while True:
        before = size
        size = (await store.write(trimming.trim, floor(), before, fitted)).value
        if size.count == before.count:
            return size


def known_to_all(mesh: Mesh) -> Vector:
    """What every peer reported; nothing while one of them never did."""
    floor = mesh.store.log.shipped
    for peer in mesh.peers:
        state = peer.state
        acked = with_all_of(state.acked if state.standing is Standing.PEER else {}, state.full)
        floor = {stream: min(seq, acked.get(stream, 0)) for stream, seq in floor.items()}
    closed = {stream: mesh.store.log.vector.get(stream, 0) for stream in mesh.store.log.closed}
    return {**floor, **closed}      # of a closed stream nobody takes anything any more
