"""A peer's whole state, fetched and joined: chunk by chunk from a snapshot of one moment, or by pages from older nodes.

No chunk is kept that is not what the manifest says, and none is joined before all of them are there. Fetching that
breaks off goes on where it stood as long as the peer keeps that snapshot.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Final

import outcome
import trio
from msgspec import Struct
from msgspec.structs import replace

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import HeadProof, Op, StreamHead, StreamId, dominates
from aimem.ports import Connection
from aimem.replication.closure import close_passed_over, close_streams
from aimem.replication.headproof import forged, proven
from aimem.replication.joins import Joining
from aimem.replication.manifest import check_manifest, refused
from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer
from aimem.replication.receiving import is_signed_op
from aimem.store import KINDS, Inbox, Store, adoption, digests, headproofs, snapshot
from aimem.wire import copies, heads_in, op_in

log = logging.getLogger(__name__)

BEGIN_DEADLINE_S: Final = 300.0
"""Until the manifest is there, however often it was asked for."""
ANSWER_DEADLINE_S: Final = 10.0
"""For one answer: whoever still makes the snapshot says so before, and is asked again."""
SLOWEST_BYTES_S: Final = 32_768
"""A chunk has its time beyond that, by what the manifest says of its size: a line may be slow, and none is dead for
longer than an exchange."""
ASK_AGAIN_S: Final = 1.0
PAGE_DEADLINE_S: Final = 30.0
"""Of a page nobody says beforehand how large it is."""
TOLD_CHUNKS: Final = 100
"""A line in the log every so many chunks."""


class Freshness(Enum):
    """Which snapshot of a peer does."""

    KEPT = "kept"       # one that it made before, too
    ANEW = "anew"       # one that is made after this


async def join_snapshot(mesh: Mesh, peer: Peer, freshness: Freshness) -> bool:
    """Fetch a peer's state, then join it, and know what its vector covers.

    Whatever ends it early does no harm.
    Returns: whether it covers anything that was not known here.
    Raises: Unavailable, InvalidRequest, ValueError for nonsense; trio.TooSlowError; Corrupt.
    """
    noted = await mesh.store.read(adoption.load)
    is_kept = freshness is Freshness.KEPT
    request = copies.SnapshotRequest(
        protocol=peer.tongue.protocol, begin={str(stream): seq for stream, seq in peer.state.acked.items()},
        snapshot=noted.id if is_kept and noted.stream == peer.state.stream else "", anew=not is_kept,
    )
    log.info("peer.snapshot_begins", extra={"peer": peer.url})
    mesh.joins.now = Joining(url=peer.url)
    with trio.fail_after(BEGIN_DEADLINE_S):
        answer = await _begun(mesh, peer, request)
    if answer.manifest is None:
        return await _join_pages(mesh, peer, answer)
    manifest = answer.manifest
    check_manifest(manifest, mesh.store.cluster)
    said = heads_in(manifest.vector)
    # Who says that it knows more of a stream than its owner signed would keep the owner's ops from being taken.
    shown = await proven(mesh.store, mesh.counts.heads, said, manifest.proofs)
    is_same = (noted.stream, noted.id) == (manifest.stream, manifest.id)
    if is_same and await mesh.store.inbox.has(noted.chunk - 1):
        mesh.joins.counts.resumed += 1
        log.info("peer.snapshot_resumes", extra={"peer": peer.url, "chunk": noted.chunk})
    else:
        noted = adoption.Progress(stream=manifest.stream, id=manifest.id)
    held = await _fetch_chunks(mesh, peer, manifest, noted)
    return await _adopt(mesh, manifest.chunks, {stream: said[stream] for stream in shown}, shown, held)


async def _begun(mesh: Mesh, peer: Peer, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
    """The manifest, once the peer has made what it is of. Raises: Unavailable, InvalidRequest; trio.TooSlowError."""
    while True:
        began = trio.current_time()
        with trio.fail_after(ANSWER_DEADLINE_S):
            answer = await mesh.road.snapshot(peer.url, request)
        if answer.manifest is not None or not answer.making:
            return answer
        request = replace(request, snapshot=answer.making[:copies.ID_CHARS])
        # Whoever says so at once would be asked without a pause.
        await trio.sleep_until(began + ASK_AGAIN_S)


async def _fetch_chunks(mesh: Mesh, peer: Peer, manifest: copies.Manifest, at: adoption.Progress) -> list[Op]:
    """Fetch and keep what is left. Returns: the ops that the peer holds."""
    held: list[Op] = []
    noted = at
    if not noted.chunk:
        await mesh.store.inbox.begin()
    for number, chunk in list(enumerate(manifest.chunks))[at.chunk:]:
        mesh.joins.now = Joining(
            url=peer.url, chunk=number, chunks=len(manifest.chunks), objects=noted.objects, of=manifest.objects
        )
        with trio.fail_after(ANSWER_DEADLINE_S + chunk.bytes / SLOWEST_BYTES_S):
            request = copies.SnapshotRequest(protocol=peer.tongue.protocol, snapshot=manifest.id, chunk=number)
            answer = await mesh.road.snapshot(peer.url, request)
        body = copies.unpack_chunk(answer.chunk, chunk)
        held += map(op_in, body.held)
        if body.objects:
            # What is held is fetched again after a restart: it comes last, and is known with all else or not at all.
            _check(body.objects, chunk)
            await mesh.store.inbox.keep(number, answer.chunk)
            noted = replace(noted, chunk=number + 1, objects=noted.objects + len(body.objects))
            await mesh.store.write(adoption.note, noted)
        _count(mesh, number)
    return held


def _count(mesh: Mesh, number: int) -> None:
    mesh.joins.counts.chunks += 1
    now = mesh.joins.now
    if now is not None and number % TOLD_CHUNKS == TOLD_CHUNKS - 1:
        log.info("peer.snapshot_goes_on", extra={
            "peer": now.url, "chunk": number + 1, "chunks": now.chunks, "objects": now.objects,
        })


def _check(sent: Sequence[copies.ObjectOut], chunk: copies.ChunkOut) -> None:
    """See that objects are what a manifest says.

    Raises: InvalidRequest if one is of a kind that is not known here, or they are others here than where they are from;
      ValueError for a state that no row can hold.
    """
    unknown = sorted({one.kind[:64] for one in sent if one.kind not in KINDS})
    if unknown:
        raise refused(f"its snapshot has objects of kind {unknown[0]!r}: install the newer version here first", "kind")
    total = sum(digests.hash_of_state(KINDS[one.kind], one.key, copies.object_in(one)) for one in sent)
    if digests.text_of(total) != chunk.digest:
        raise refused("a chunk of its snapshot holds other objects here than there", "digest")


def _verify_held(held: Sequence[Op], conn: Connection) -> None:
    """See that their owners signed ops, by what is known of the owners once the state is joined.

    Raises: InvalidRequest(forged).
    """
    keys = headproofs.public_keys(conn, {op.dot.stream for op in held}) if held else {}
    for op in held:
        key = keys.get(op.dot.stream)
        if key is None or not is_signed_op(op, key):
            raise forged(f"{op.dot}, which it holds, is not what its owner signed")


class _Waiting(Struct):
    """Whether somebody still waits for what the writer's thread does, which hears of no cancellation."""

    is_over: bool = False

    async def watch(self) -> None:
        """Note when it is over."""
        try:
            await trio.sleep_forever()
        finally:
            self.is_over = True


async def _adopt(
    mesh: Mesh, chunks: Sequence[copies.ChunkOut], heads: Mapping[StreamId, StreamHead],
    shown: Mapping[StreamId, HeadProof], held: Sequence[Op],
) -> bool:
    """Join what was kept, all of it by one transaction, unless this is cancelled before."""
    store = mesh.store
    covers_more = not dominates(store.log.vector, {stream: head.seq for stream, head in heads.items()})
    await close_passed_over(store, heads, shown)
    await _close_overtaken(mesh, heads)
    async with trio.open_nursery() as nursery:
        waiting = _Waiting()
        nursery.start_soon(waiting.watch)
        kept = _kept(store.inbox, chunks, waiting)
        joined = await outcome.acapture(_join, store, kept, heads, shown, held)
        nursery.cancel_scope.cancel()
    done = joined.unwrap()
    if done.held:
        store.note_held_nowait()
    store.log.full |= done.full
    log.info("peer.snapshot_joined", extra={"streams": len(heads), "held": done.held})
    return covers_more


async def _join(
    store: Store, kept: Iterator[list[snapshot.Told]], heads: Mapping[StreamId, StreamHead],
    shown: Mapping[StreamId, HeadProof], held: Sequence[Op],
) -> adoption.Finished:
    written = await store.write(adoption.adopt, kept, heads, shown, store.stream, held, partial(_verify_held, held))
    done: adoption.Finished = written.value
    return done


def _kept(inbox: Inbox, chunks: Sequence[copies.ChunkOut], waiting: _Waiting) -> Iterator[list[snapshot.Told]]:
    """The objects of each chunk that was kept, for the writer's thread.

    Raises: InvalidRequest for a chunk that a crash or the disk took or cut; Unavailable once nobody waits any more.
    """
    for number, chunk in enumerate(chunks):
        if waiting.is_over:
            raise Unavailable("the node is stopping", code=Code.SHUTTING_DOWN)
        if chunk.objects:
            body = copies.unpack_chunk(inbox.read(number, copies.CHUNK_MAX_BYTES), chunk)
            yield [snapshot.Told(kind=one.kind, key=one.key, state=copies.object_in(one)) for one in body.objects]


async def _close_overtaken(mesh: Mesh, heads: Mapping[StreamId, StreamHead]) -> None:
    """Where the ops between are gone, nobody can say whether this node's end of a stream that it wrote is known there.

    What it wrote after it was put back from a copy would then be lost to all others; so its rows are to be joined.
    Where it lost its database it has none of its own: what it knows of that stream it has from a snapshot before.
    """
    known, written = mesh.store.log.vector, mesh.renewal.written
    overtaken = {
        stream: await mesh.store.read(headproofs.word_of, stream) for stream in mesh.renewal.former
        if stream in heads and written.get(stream, 0) and known.get(stream, 0) < heads[stream].seq
    }
    await close_streams(mesh.store, overtaken, "a peer's log does not reach back to what is known here")


async def _join_pages(mesh: Mesh, peer: Peer, first: copies.SnapshotAnswer) -> bool:
    """The state of a node one version older, page by page; its first page is there."""
    said = heads_in(first.vector)
    shown = await proven(mesh.store, mesh.counts.heads, said, first.proofs)
    page, count = first, 0
    chunks: list[copies.ChunkOut] = []
    await mesh.store.write(adoption.forget)
    await mesh.store.inbox.begin()
    while True:
        data, chunk = copies.pack_chunk(copies.ChunkBody(objects=page.objects), "")
        if len(data) > copies.CHUNK_MAX_BYTES or len(chunks) == copies.CHUNKS_MAX:
            raise refused("its state is too large to be joined by pages", "size")
        await mesh.store.inbox.keep(len(chunks), data)
        chunks.append(chunk)
        count, after = count + len(page.objects), page.after
        mesh.joins.now = Joining(url=peer.url, objects=count)
        if after is None:
            return await _adopt(mesh, chunks, {stream: said[stream] for stream in shown}, shown, ())
        with trio.fail_after(PAGE_DEADLINE_S):
            request = copies.SnapshotRequest(protocol=peer.tongue.protocol, after=after)
            page = await mesh.road.snapshot(peer.url, request)
        if page.after == after or not page.objects:
            raise InvalidRequest("its pages lead nowhere", code=Code.SCHEMA_MISMATCH, reason="nonsense")
