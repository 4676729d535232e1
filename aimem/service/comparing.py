"""Comparing copies: what a peer is answered that compares with this node, and comparing on an operator's behalf."""

from __future__ import annotations

from typing import Final

import trio

from aimem.errors import InvalidRequest
from aimem.model import Principal
from aimem.replication import FOUND_MAX, Compared, Lost, Mending, Peer, compare_span
from aimem.service.mesh import refuse_protocol, refuse_stranger
from aimem.service.node import Node
from aimem.store import digests, headproofs, repair, snapshot, walking
from aimem.wire import copies, heads_out

VERIFY_S: Final = 2.0
"""How long one step of a comparison goes on: whoever asks shows how far it is."""


async def digest_of(node: Node, who: Principal, request: copies.DigestRequest) -> copies.DigestAnswer:
    """The digest of a range of keys, and what it consists of if the asker's is another.

    Raises: InvalidRequest(protocol_mismatch) also for another format, and for a place that is none; Denied;
      Unavailable.
    """
    refuse_stranger(who)
    refuse_protocol(request.protocol)
    if request.format != digests.DIGEST_FORMAT:
        raise InvalidRequest(
            f"this node makes digests of format {digests.DIGEST_FORMAT}, not {request.format}: bring both nodes to one "
            "version", field="format",
        )
    after, until = _place(request.after), _place(request.until)
    span = await node.store.read(digests.read_span, after, until, copies.SPAN_OBJECTS)
    is_other = span.until == until and span.digest != request.digest
    return copies.DigestAnswer(
        protocol=request.protocol, digest=span.digest,
        until=None if span.until is None else walking.place_text(span.until),
        objects=tuple(_term(term) for term in span.terms) if is_other else (),
    )


def _place(text: str | None) -> walking.Place | None:
    return None if text is None else walking.parse_place(text)


def _term(term: digests.Term) -> copies.TermOut:
    return copies.TermOut(term.place.table, term.place.key, term.hash)


async def snapshot_of(node: Node, who: Principal, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
    """A page of the whole state, for a node that is too far behind the log; or what is known of the objects named.

    Raises: InvalidRequest(protocol_mismatch) and for a place that is none; Denied; Unavailable while ops are held here.
    """
    refuse_stranger(who)
    refuse_protocol(request.protocol)
    if request.named:
        return await _states_of(node, request)
    store = node.store
    # What this node was told of by itself: a peer that knew more of it would take it for one that lost its writes.
    heads = dict(store.log.heads) if request.after is None else {}
    if request.after is None:
        await store.read(snapshot.refuse_held)
    after = _place(request.after)
    proofs = await store.read(headproofs.proofs_of, heads.values())
    page = await store.read(snapshot.snapshot_page, after, copies.SNAPSHOT_OBJECTS, copies.SNAPSHOT_BYTES)
    return copies.SnapshotAnswer(
        protocol=request.protocol,
        objects=tuple(copies.object_out(told.kind, told.key, told.state) for told in page.objects),
        after=None if page.after is None else walking.place_text(page.after), vector=heads_out(heads),
        proofs={str(stream): proof for stream, proof in proofs.items()},
    )


async def _states_of(node: Node, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
    facts = await node.store.read(repair.facts_of, request.named, copies.SNAPSHOT_BYTES)
    ended = tuple(at for at, one in enumerate(facts.objects) if one.has_dead_end)
    return copies.SnapshotAnswer(
        protocol=request.protocol,
        objects=tuple(copies.object_out(one.kind, one.key, one.state) for one in facts.objects),
        vector=heads_out(facts.heads), ended=ended, held=facts.held,
    )


async def verify(node: Node, who: Principal, request: copies.VerifyRequest) -> copies.VerifyAnswer:
    """Compare with a peer for a moment, from where the answer before ended; and mend this node, if asked.

    Raises: InvalidRequest for an address that is no peer's; Denied; Unavailable if the peer does not answer.
    """
    refuse_stranger(who)
    mesh = node.mesh
    peer = None if mesh is None else next((peer for peer in mesh.peers if peer.url == request.peer.rstrip("/")), None)
    if mesh is None or peer is None:
        own = () if mesh is None else (peer.url for peer in mesh.peers)
        raise InvalidRequest(
            f"{request.peer[:200]} is no peer of this node; these are: {', '.join(own) or 'none'}", field="peer"
        )
    mending = Mending.MEND if request.repair else Mending.LOOK
    after = _place(request.after)
    total = await node.store.read(walking.count_objects) if after is None else 0
    found: list[Compared] = []
    until = trio.current_time() + VERIFY_S
    while not found or (found[-1].after is not None and trio.current_time() < until):
        found.append(await compare_span(mesh, peer, found[-1].after if found else after, mending))
    return _verified(peer, total, found)


def _verified(peer: Peer, total: int, found: list[Compared]) -> copies.VerifyAnswer:
    after = found[-1].after
    different = [one for compared in found for one in compared.different]
    return copies.VerifyAnswer(
        url=peer.url, node=peer.state.node, after=None if after is None else walking.place_text(after), total=total,
        compared=sum(one.compared for one in found), differing=len(different),
        pending=sum(one.pending for one in found), repaired=sum(one.repaired for one in found),
        left=len(different) - sum(one.repaired for one in found) + sum(one.lost is Lost.BOTH for one in different),
        undecided=sum(one.undecided for one in found),
        objects=tuple(copies.DifferOut(kind=o.kind, key=o.key, lost=o.lost.value) for o in different[:FOUND_MAX]),
    )
