"""Beyond the logs: a node joins a peer's whole state, and lets its own log go where all have it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import trio

from aimem.errors import AimemError, Code, Corrupt, InvalidRequest
from aimem.model import HeadProof, StreamHead, StreamId, Vector, dominates
from aimem.replication.closure import close_streams, note_joined, to_join
from aimem.replication.headproof import proven
from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer
from aimem.replication.peer import Standing, Wanted
from aimem.replication.untaken import with_all_of
from aimem.store import Store, Transaction, buffers, headproofs, snapshot, trimming
from aimem.wire import ExchangeAnswer, copies, heads_in

log = logging.getLogger(__name__)

PAGE_DEADLINE_S: Final = 30.0
TRIM_INTERVAL_S: Final = 60.0


async def join_snapshot(mesh: Mesh, peer: Peer) -> bool:
    """Fetch a peer's state page by page and join it; only then know what its vector covers.

    Whatever ends it early does no harm: what was joined stays, and the next exchange begins anew.
    Returns: whether it covers anything that was not known here.
    Raises: Unavailable, InvalidRequest for nonsense; Corrupt.
    """
    log.info("peer.snapshot_begins", extra={"peer": peer.url})
    shown: dict[StreamId, HeadProof] = {}
    heads: dict[StreamId, StreamHead] = {}
    count, after = 0, None
    while True:
        with trio.fail_after(PAGE_DEADLINE_S):
            request = copies.SnapshotRequest(protocol=peer.tongue.protocol, after=after)
            page = await mesh.road.snapshot(peer.url, request)
        if after is None:
            said = heads_in(page.vector)
            # Who says that it knows more of a stream than its owner signed would keep the owner's ops from being taken.
            shown = await proven(mesh.store, mesh.counts.heads, said, page.proofs)
            heads = {stream: said[stream] for stream in shown}
        await mesh.store.write(_join_page, page)
        if page.after is not None and (page.after == after or not page.objects):
            raise InvalidRequest("its pages lead nowhere", code=Code.SCHEMA_MISMATCH)
        count, after = count + len(page.objects), page.after
        if after is None:
            break
    covers_more = not dominates(mesh.store.log.vector, {stream: head.seq for stream, head in heads.items()})
    await _close_overtaken(mesh, heads)
    await mesh.store.write(snapshot.adopt_heads, heads, shown, mesh.store.stream)
    log.info("peer.snapshot_joined", extra={"peer": peer.url, "objects": count})
    return covers_more


async def _close_overtaken(mesh: Mesh, heads: Mapping[StreamId, StreamHead]) -> None:
    """Where the ops between are gone, nobody can say whether this node's end of a stream that it wrote is known there.

    What it wrote after it was put back from a copy would then be lost to all others; so its rows are to be joined.
    """
    known = mesh.store.log.vector
    overtaken = {
        stream: await mesh.store.read(headproofs.word_of, stream) for stream in mesh.renewal.former
        if stream in heads and 0 < known.get(stream, 0) < heads[stream].seq
    }
    await close_streams(mesh.store, overtaken, "a peer's log does not reach back to what is known here")


def _join_page(transaction: Transaction, page: copies.SnapshotAnswer) -> None:
    told = [snapshot.Told(kind=sent.kind, key=sent.key, state=copies.object_in(sent)) for sent in page.objects]
    snapshot.join_objects(transaction, told)


async def join_if_due(mesh: Mesh, peer: Peer, answer: ExchangeAnswer) -> None:
    """Behind an exchange: join a peer's state for each reason that there is. Raises: Unavailable, Corrupt."""
    await catch_up_if_trimmed(mesh, peer, answer)
    await join_if_closed(mesh, peer)
    await join_if_rejoining(mesh, peer)


async def catch_up_if_trimmed(mesh: Mesh, peer: Peer, answer: ExchangeAnswer) -> None:
    """Where the peer's log does not reach back to what this node knows, join its state.

    Raises: Unavailable, Corrupt.
    """
    if answer.trimmed and peer.state.standing is Standing.PEER:
        await _join(mesh, peer)


async def join_if_closed(mesh: Mesh, peer: Peer) -> None:
    """Where a stream has two histories, join the rows of each node once it takes no more ops of it.

    Raises: Unavailable, Corrupt.
    """
    streams, node = to_join(mesh, peer), peer.state.stream
    if streams and node is not None and await _join(mesh, peer):
        await note_joined(mesh, peer, streams, node)


async def join_if_rejoining(mesh: Mesh, peer: Peer) -> None:
    """Where an operator had this node join its mesh anew, join the whole state of the first peer that hands it over.

    Raises: Unavailable, Corrupt.
    """
    if not mesh.renewal.is_rejoining or mesh.is_forked or peer.state.standing is not Standing.PEER:
        return
    if await _join(mesh, peer):
        await mesh.renewal.note_rejoined()


async def _join(mesh: Mesh, peer: Peer) -> bool:
    if mesh.draining not in (None, peer):
        return False
    mesh.draining = peer
    try:
        covers_more = await join_snapshot(mesh, peer)
    except trio.TooSlowError:
        log.warning("peer.snapshot_failed", extra={"peer": peer.url, "reason": "timeout"})
    except Corrupt:
        raise
    except (AimemError, ValueError) as error:
        # An object of a kind that this version does not know: a newer one is to be installed, or another peer asked.
        reason = error.message if isinstance(error, AimemError) else type(error).__name__
        log.warning("peer.snapshot_failed", extra={"peer": peer.url, "reason": reason})
    else:
        if covers_more:     # else it would go on so without end
            peer.apply(Wanted(now=trio.current_time()))     # for what was written meanwhile
        return True
    finally:
        mesh.draining = None
        mesh.ring()
    return False


async def run_trimmer(mesh: Mesh, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Now and then drop from the log what every peer has, and what is beyond its bounds."""
    task_status.started()
    measured, mesh.log_size = mesh.store.log.vector, await mesh.store.read(trimming.log_size)
    while True:
        await trio.sleep(TRIM_INTERVAL_S)
        if measured != mesh.store.log.vector:
            measured, mesh.log_size = mesh.store.log.vector, await mesh.store.read(trimming.log_size)
        mesh.log_size = await trim_log(mesh.store, mesh.log_size, mesh.settings.log, partial(known_to_all, mesh))


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
