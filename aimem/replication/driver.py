"""The tasks of the mesh: one sender a peer, which carries out what the peer's state machine decides."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

import trio
from msgspec.structs import replace

from aimem.errors import AimemError, Code, Corrupt, Gone, InvalidRequest, Unavailable
from aimem.model import Instant, Op, StopReason, StreamHead, StreamId, parse_dot
from aimem.replication.absence import Absence, failed
from aimem.replication.catchup import join_if_due, run_trimmer
from aimem.replication.closure import evidence_for, look_at_histories, note_received, to_prove, told
from aimem.replication.cluster import hear_answer, settle
from aimem.replication.comparison import run_comparer
from aimem.replication.following import run_for_peers
from aimem.replication.headproof import proofs_of_own
from aimem.replication.intake import CLOCK_WARN_S
from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer
from aimem.replication.peer import Answered, Ask, Failed, Heard, Rest, Standing
from aimem.replication.quorum import HeldThere
from aimem.replication.receiving import receive
from aimem.replication.renewal import pause_after
from aimem.replication.tongue import exchange
from aimem.replication.untaken import full_in, told_full, untaken_by, with_all_of
from aimem.replication.withheld import has_more, note_withheld
from aimem.store import Received
from aimem.wire import (
    EXCHANGE_MAX_BYTES,
    ExchangeAnswer,
    ExchangeRequest,
    heads_out,
    op_in,
    op_out,
    stream_in,
)

log = logging.getLogger(__name__)

EXCHANGE_DEADLINE_S: Final = 10.0
"""For one exchange as a whole: a peer that sends one byte a second ends here too."""
_LACKING: Final = frozenset({StopReason.ASSUMED, StopReason.GAP})
"""The peer knew less than it was taken to know, as under load or after its return: the next exchange begins there."""
_STANDINGS: Final = {Code.NODE_UNTRUSTED: Standing.UNTRUSTED, Code.OTHER_CLUSTER: Standing.OTHER_CLUSTER}


async def run_mesh(mesh: Mesh, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Exchange with all peers, whoever they are at the time, until cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for_peers, mesh, partial(_run_sender, mesh))
        nursery.start_soon(run_trimmer, mesh)
        nursery.start_soon(run_comparer, mesh)
        await nursery.start(_run_renewals, mesh)
        task_status.started()
        seen_count = 0
        while True:
            seen_count = await mesh.store.log.wait_change(seen_count)
            mesh.ring()
            if mesh.store.lacks_past or mesh.is_forked:
                mesh.renewal.ring()
                mesh.wake()


async def _run_renewals(mesh: Mesh, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Begin a new stream when peers know another history of this one, and see when its past is known."""
    await mesh.renewal.load()
    task_status.started()
    while True:
        try:
            if mesh.is_forked:
                await _renew(mesh)
            elif mesh.store.lacks_past and not mesh.is_alone and mesh.has_caught_up:
                await mesh.renewal.note_caught_up()
                mesh.wake()
        except Unavailable as error:
            await pause_after(error)
            continue
        await mesh.renewal.wait_rung()


async def _renew(mesh: Mesh) -> None:
    if await mesh.renewal.renew(trio.current_time()):
        mesh.begin_anew()
    else:
        log.error("stream.not_renewed", extra={"reason": "too many new streams within the hour"})
        await trio.sleep_until(mesh.renewal.resumes_at)
        mesh.renewal.ring()


def ask_untrusted(mesh: Mesh, now: float) -> None:
    """Have those asked at once that were not believed: somebody has said who they are."""
    for peer in mesh.peers:
        if peer.state.standing is Standing.UNTRUSTED:
            peer.apply(Heard(now=now, vector=peer.state.assumed, members=peer.state.members))
            peer.ring()


async def _run_sender(mesh: Mesh, peer: Peer) -> None:
    """One exchange after the other: whatever was written meanwhile goes with the next."""
    while True:
        match mesh.look(peer, trio.current_time()):
            case Ask() as ask:
                await _exchange(mesh, peer, ask)
            case Rest(until):
                await peer.wait_bell(until)


async def _exchange(mesh: Mesh, peer: Peer, ask: Ask) -> None:
    began = trio.current_time()
    reason, failure = "timeout", None
    try:
        with trio.move_on_after(EXCHANGE_DEADLINE_S):
            request = await _request(mesh, peer, ask)
            sent_at = mesh.clock.now()
            answer = await exchange(mesh, peer, request)
            await hear_answer(mesh, peer, answer)
            heads = await look_at_histories(mesh, peer, answer)
            # As it is by now: others may have told the peer what was written while it was asked.
            event = _understood(answer, heads, mesh.own_head, sent_at, mesh.clock.now(), peer.share())
            event = replace(event, more=has_more(request, answer))  # else it would be asked without end
            _note(peer, event)
            before = peer.state.stream
            peer.apply(event)
            mesh.moves.note(peer.url, before, peer.state.stream, trio.current_time())
            if request.ops:
                peer.latencies.note(trio.current_time() - began)
            mesh.note_reported(peer)    # whoever waits for acks need not wait for what comes back
            received = await _take(mesh, answer)
            note_withheld(mesh, peer, request, answer, received)
            reason = ""
        if not reason:
            await join_if_due(mesh, peer, answer)
            await settle(mesh)
    except Corrupt:
        raise
    except InvalidRequest as error:
        reason = f"{'forged' if error.code is Code.FORGED else 'nonsense'}: {error.message}"
    except AimemError as error:
        reason, failure = error.message, error
    mesh.renewal.note_ended(peer.url, failure)
    if reason:
        _note_failed(peer, reason, began)
        peer.tongue.note_lost()
        standing = None if failure is None else _STANDINGS.get(failure.code)
        peer.apply(Failed(now=trio.current_time(), reason=reason, share=peer.share(), standing=standing))
    mesh.note_reported(peer)


async def _request(mesh: Mesh, peer: Peer, ask: Ask) -> ExchangeRequest:
    store = mesh.store
    ops: tuple[Op, ...] = ()
    is_trimmed = False
    if ask.count:
        try:
            known = with_all_of(ask.assumed, untaken_by(store, peer.state))
            ops = (await store.lacking(known, ask.count, EXCHANGE_MAX_BYTES, until=ask.until)).ops
        except Gone:
            is_trimmed = True       # it has to fetch the state as a whole
    proofs = await proofs_of_own(store, peer.state.stream, ask.assumed)
    mesh.counts.heads.sent += len(proofs)
    return ExchangeRequest(
        protocol=peer.tongue.for_exchange(trio.current_time()),
        node=store.node_name, stream=store.stream, vector=heads_out(store.log.heads),
        assumed={str(stream): seq for stream, seq in ask.assumed.items()}, ops=tuple(map(op_out, ops)),
        wants=ask.wants, now=mesh.clock.now(), trimmed=is_trimmed, members=mesh.members_hash, closed=told(store),
        evidence=evidence_for(store, peer.joined), proofs=proofs, prove=to_prove(mesh, peer),
        cluster=store.belonging.cluster, proposed=store.belonging.proposed, full=told_full(store),
    )


def _understood(
    answer: ExchangeAnswer, heads: dict[StreamId, StreamHead], own_head: StreamHead, sent_at: Instant, wall: Instant,
    share: float,
) -> Answered:
    """What an answer says; of its vector what counts. Raises: InvalidRequest for nonsense."""
    dots = frozenset(parse_dot(text, field="held") for text in answer.held)
    held = HeldThere(dots=dots, own=own_head.stream, is_whole=answer.held_count <= len(dots))
    return Answered(
        now=trio.current_time(), node=answer.node[:128], stream=stream_in(answer.stream),
        heads=heads, named={StreamId(stream): head.seq for stream, head in answer.vector.items()}, held=held,
        own_head=own_head,
        more=answer.more, stopped=_reason(answer.stopped), members=answer.members[:128],
        full=full_in(answer.full), offset_us=answer.now - (sent_at + wall) // 2, wall_us=wall, share=share,
    )


def _reason(word: str) -> StopReason | None:
    """A word that this version does not know stops as what nobody can do anything about."""
    if not word:
        return None
    return StopReason(word) if word in set(StopReason) else StopReason.MALFORMED


async def _take(mesh: Mesh, answer: ExchangeAnswer) -> Received:
    """Take the ops of an answer."""
    if not answer.ops:
        return Received(taken=0, skipped=0, held=(), stop=None)
    received = await take_ops(mesh, tuple(map(op_in, answer.ops)), stream_in(answer.stream))
    if received.stop is not None:
        log.warning("peer.ops_refused", extra={"reason": received.stop.reason.value, "dot": str(received.stop.dot)})
    return received


async def take_ops(mesh: Mesh, ops: tuple[Op, ...], writer: StreamId) -> Received:
    """Take ops that the writer of a stream handed over. Raises: Unavailable, Corrupt."""
    received = await receive(mesh.store, ops, writer)
    note_received(mesh.store, received)
    count_received(mesh, received)
    return received


def count_received(mesh: Mesh, received: Received) -> None:
    """For metrics."""
    counts = mesh.counts
    counts.taken += received.taken
    counts.skipped += received.skipped
    if received.full:
        counts.stopped["full"] = counts.stopped.get("full", 0) + 1
    if received.stop is not None:
        reason = received.stop.reason.value
        counts.stopped[reason] = counts.stopped.get(reason, 0) + 1


def _note_failed(peer: Peer, reason: str, began: float) -> None:
    """One warning for an absence that lasts; what a moment mends is for whoever looks for it."""
    now = trio.current_time()
    peer.absence, is_due = failed(peer.absence, reason, began, now)
    if is_due:
        away_s = now - (peer.absence.since or now)
        log.warning("peer.lost", extra={"peer": peer.url, "reason": reason, "away_s": round(away_s, 1)})
    else:
        log.debug("peer.not_asked", extra={"peer": peer.url, "reason": reason, "failures": peer.state.failures + 1})


def _note(peer: Peer, event: Answered) -> None:
    """Tell a person what a person must see."""
    state, absence, peer.absence = peer.state, peer.absence, Absence()
    lacking = {f"refused: {reason}" for reason in _LACKING}
    takes_again = state.last_error.startswith("refused: ") and state.last_error not in lacking and event.stopped is None
    if absence.told or takes_again:     # of each there was a warning
        away_s = 0.0 if absence.since is None else event.now - absence.since
        log.info("peer.back", extra={"peer": peer.url, "node": event.node, "away_s": round(away_s, 1)})
    if event.stopped is not None and state.last_error != f"refused: {event.stopped}":
        what = {"peer": peer.url, "node": event.node, "reason": event.stopped.value}
        if event.stopped in _LACKING:
            log.info("peer.lacks", extra=what)
        else:
            log.warning("peer.refuses", extra=what)
    if abs(event.offset_us) > CLOCK_WARN_S * 1e6:
        log.debug("peer.clock", extra={"peer": peer.url, "offset_ms": event.offset_us // 1000})
