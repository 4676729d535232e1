"""The mesh's use cases: answer an exchange, tell what is known, what became of a write, and wait for a version."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
import trio

from aimem.errors import AimemError, Code, Denied, Gone, InvalidRequest
from aimem.model import (
    NodeClaim,
    Principal,
    Stop,
    StopReason,
    StreamId,
    Vector,
    dominates,
    format_instant,
    rules,
)
from aimem.replication import (
    HeadCounts,
    Mesh,
    MeshCounts,
    Peer,
    breaker,
    count_received,
    evidence_for,
    full_in,
    heads_heard,
    hear_asker,
    hear_closed,
    is_reachable,
    lag,
    note_received,
    proofs_for,
    receive,
    settle,
    shipped_to,
    thin_answer,
    told,
    told_full,
    wait_known,
    whole_request,
    with_all_of,
)
from aimem.service.alarms import named_alarms
from aimem.service.cluster import cluster_alarms, members_alarm, show_cluster
from aimem.service.node import Node
from aimem.service.papers import show_papers
from aimem.service.trust import note_trust, trust_alarms
from aimem.store import LogPage, Received, conflicts, digest_at, inbound, oplog, outbound
from aimem.wire import (
    EXCHANGE_MAX_BYTES,
    EXCHANGE_MAX_OPS,
    HELD_MAX,
    PROTOCOL,
    PROTOCOL_OLDEST,
    ConflictOut,
    ExchangeAnswer,
    ExchangeRequest,
    MeshDocument,
    MeshQuery,
    PeerStatus,
    SinceAnswer,
    SinceQuery,
    SinceRequest,
    VerifyOut,
    copies,
    heads_in,
    heads_out,
    joining,
    op_in,
    op_out,
    shortage,
    stream_in,
    vector_in,
)

SINCE_LIMIT: Final = 500
CONFLICTS_MAX: Final = 1000
VERIFY_DEADLINE_S: Final = 20.0
STREAMS_WARN: Final = 256
NAMED_MAX: Final = 8
"""Streams that one alarm names."""


def refuse_stranger(who: Principal) -> None:
    """The routes between nodes are for nodes and operators: they show everything. Raises: Denied(operator_required)."""
    if not who.may_administer:
        raise Denied(
            "the mesh is for its nodes and for operators; an agent's key does not do", code=Code.OPERATOR_REQUIRED
        )


async def exchange(node: Node, who: Principal, request: ExchangeRequest, claim: NodeClaim | None) -> ExchangeAnswer:
    """Take the ops that the asker hands over, durably, and answer with what this node knows then.

    Args:
      claim: who signed the request, and is believed.
    Raises: InvalidRequest(protocol_mismatch, schema_mismatch), Denied (proof_required too), Unavailable: nothing of the
      batch is taken.
    """
    refuse_stranger(who)
    refuse_protocol(request.protocol)
    asked, request = request, whole_request(request)
    asker, theirs = stream_in(request.stream), heads_in(request.vector)
    _refuse_other(request, claim)
    await hear_asker(node.store, node.mesh, asker, request)
    closed = copies.closed_in(request.closed)
    await hear_closed(node.store, request.evidence)
    counts = HeadCounts() if node.mesh is None else node.mesh.counts.heads
    heard = await heads_heard(node.store, counts, theirs, request.proofs)
    vector = with_all_of({stream: head.seq for stream, head in theirs.items()}, full_in(request.full))
    rules.bounded(len(request.ops), 0, EXCHANGE_MAX_OPS, field="ops")
    received = await _receive(node, asker, request)
    if node.mesh is not None:
        node.mesh.hear(asker, heard, request.members[:128], trio.current_time())
        if request.trimmed:
            node.mesh.turn_to(asker, trio.current_time())
        await settle(node.mesh)
    heads = node.store.log.heads    # before the ops, which reach as far at least
    try:
        page, is_trimmed = await _lacking(node, vector, min(max(0, request.wants), EXCHANGE_MAX_OPS)), False
    except Gone:
        page, is_trimmed = LogPage(ops=(), more=False, position=0), True
    held = await node.store.held(HELD_MAX, asker)
    ops, stop = tuple(map(op_out, page.ops)), received.stop
    proofs = await proofs_for(node.store, heads, theirs, ops, request)
    counts.sent += len(proofs)
    answer = ExchangeAnswer(
        protocol=request.protocol, node=node.store.node_name, stream=node.store.stream, vector=heads_out(heads),
        held=tuple(map(str, held.dots)), held_count=held.count, ops=ops, more=page.more,
        trimmed=is_trimmed, taken=received.taken, stopped="" if stop is None else stop.reason.value,
        stopped_at="" if stop is None or stop.dot is None else str(stop.dot), now=node.clock.now(),
        members="" if node.mesh is None else node.mesh.members_hash, closed=told(node.store),
        evidence=evidence_for(node.store, closed), proofs=proofs, full=told_full(node.store),
        cluster=node.store.belonging.cluster, proposed=node.store.belonging.proposed,
    )
    return thin_answer(answer, asked)


def _refuse_other(request: ExchangeRequest, claim: NodeClaim | None) -> None:
    if claim is None or (claim.node, claim.stream) != (request.node, request.stream):
        raise Denied(
            "an exchange is signed by the key of the stream that it names, in the headers X-Aimem-*: see "
            "ai-memory-mesh(7)", code=Code.PROOF_REQUIRED, field="stream",
        )


async def _receive(node: Node, asker: StreamId, request: ExchangeRequest) -> Received:
    nothing = Received(taken=0, skipped=0, held=(), stop=None)
    if not await wait_known(node.store, vector_in(request.assumed)):
        received = Received(taken=0, skipped=0, held=(), stop=Stop(StopReason.ASSUMED))
    elif not request.ops:
        return nothing
    else:
        ops = tuple(map(op_in, request.ops))
        received = await receive(node.store, ops, asker)
    note_received(node.store, received)
    if node.mesh is not None:
        count_received(node.mesh, received)
    return received


async def _lacking(node: Node, known: Vector, count: int) -> LogPage:
    if not count or dominates(known, node.store.log.shipped):
        return LogPage(ops=(), more=False, position=0)
    return await node.store.lacking(known, count, EXCHANGE_MAX_BYTES)


def refuse_protocol(spoken: int) -> None:
    """Talk with those alone who speak this version or the one before. Raises: InvalidRequest(protocol_mismatch)."""
    if not PROTOCOL_OLDEST <= spoken <= PROTOCOL:
        raise InvalidRequest(
            f"this node speaks protocols {PROTOCOL_OLDEST} to {PROTOCOL} of the mesh, not {spoken}",
            code=Code.PROTOCOL_MISMATCH, field="protocol", protocols=list(range(PROTOCOL_OLDEST, PROTOCOL + 1)),
        )


async def changes_since(node: Node, who: Principal, query: SinceQuery) -> SinceAnswer:
    """The ops behind a position of this node's log.

    Raises: Gone for a position that this log does not have, with `first` and `last` of those that it has and where to
      ask for a `snapshot`; InvalidRequest, Denied, Unavailable.
    """
    refuse_stranger(who)
    if query.log not in (None, "", node.store.stream):
        raise await _gone(node, Gone(
            f"that position is of another log; this one is {node.store.stream}: ask with a vector",
            log=node.store.stream,
        ))
    clock = rules.bounded(query.clock or 0, 0, 2**62, field="clock")
    try:
        page = await node.store.read(outbound.after, clock, _limit(query.limit), EXCHANGE_MAX_BYTES)
    except Gone as error:
        raise await _gone(node, error) from None
    return _since(node, page, page.position)


async def changes_for(node: Node, who: Principal, request: SinceRequest) -> SinceAnswer:
    """The ops that somebody with a vector lacks. Raises: Gone if the log has some no longer, as `changes_since`."""
    refuse_stranger(who)
    known = vector_in(request.vector)
    try:
        page = await node.store.read(outbound.lacking, known, _limit(request.limit), EXCHANGE_MAX_BYTES)
    except Gone as error:
        raise await _gone(node, error) from None
    return _since(node, page, None)


async def _gone(node: Node, error: Gone) -> Gone:
    """What the log no longer tells, with what it has, and where to ask for all."""
    first, last = await node.store.read(outbound.ends)
    error.details |= {"first": first, "last": last, "snapshot": copies.SNAPSHOT_PATH}
    return error


def _limit(asked: int | None) -> int:
    return rules.bounded(SINCE_LIMIT if asked is None else asked, 1, EXCHANGE_MAX_OPS, field="limit")


def _since(node: Node, page: LogPage, clock: int | None) -> SinceAnswer:
    return SinceAnswer(
        ops=tuple(map(op_out, page.ops)), count=len(page.ops), more=page.more, clock=clock, log=node.store.stream,
        vector_clock={str(stream): seq for stream, seq in node.store.log.vector.items()},
    )


async def mesh_status(node: Node, who: Principal, query: MeshQuery) -> MeshDocument:
    """The mesh as this node sees it. Raises: InvalidRequest, Denied, Unavailable."""
    refuse_stranger(who)
    store, mesh = node.store, node.mesh
    limit = None if query.conflicts is None else rules.bounded(query.conflicts, 1, CONFLICTS_MAX, field="conflicts")
    held = await store.held(HELD_MAX)
    forks = await store.read(inbound.closed_streams)
    document = MeshDocument(
        node=store.node_name, stream=store.stream, protocol=PROTOCOL,
        members=1 if mesh is None else mesh.rule.members, writes=1 if mesh is None else mesh.rule.writes,
        peers=() if mesh is None else tuple(_peer_status(mesh, peer) for peer in mesh.peers),
        vector={str(stream): seq for stream, seq in store.log.vector.items()}, hlc=store.log.hlc,
        held=tuple(map(str, held.dots)), held_count=held.count, conflict_count=await store.read(conflicts.count),
        forks=forks, alarms=tuple(mesh_alarms(node, forks, held.count)), op_log_count=await store.read(oplog.count),
        op_log_bytes=0 if mesh is None else mesh.log_size.bytes,
    )
    if mesh is not None and mesh.joins.now is not None:
        document.joining = joining.JoiningOut(**msgspec.structs.asdict(mesh.joins.now))
    if mesh is not None:
        document.members_hash, document.agreement = mesh.members_hash, mesh.agreement.value
        document.behind = mesh.behind
        _show_short(document, mesh.counts)
    document.told = node.membership.told
    show_papers(document, node.papers, node.clock.now())
    show_cluster(node, document)
    await note_trust(node, document)
    if limit is not None:
        document.conflicts = tuple(_conflict(lost) for lost in await store.read(conflicts.newest, limit))
    if query.digest or query.verify:
        at = await store.read(digest_at)
        document.digest = at.digest
        document.digest_vector = {str(stream): seq for stream, seq in at.vector.items()}
    if query.verify:
        document.verified = () if mesh is None else await _verify(mesh, document)
    return document


def _show_short(document: MeshDocument, counts: MeshCounts) -> None:
    document.short_writes, last = counts.not_applied + counts.indeterminate, counts.last_short
    if last is not None:
        document.last_short = shortage.ShortWriteOut(at=format_instant(last.at), outcome=last.outcome, why=last.why)


def _conflict(lost: conflicts.Lost) -> ConflictOut:
    return ConflictOut(
        kind=lost.kind, key=lost.key, field=lost.field, value=lost.value, version_hlc=lost.stamp.hlc,
        stream=lost.stamp.stream, noted_at=format_instant(lost.noted_at),
    )


def _peer_status(mesh: Mesh, peer: Peer) -> PeerStatus:
    state, now, mine = peer.state, trio.current_time(), shipped_to(mesh.store, peer.state)
    known = [other.state.stream for other in mesh.peers[: mesh.peers.index(peer)]]
    if state.standing != "peer":
        word = state.standing.value
    elif state.stream is not None and state.stream in known:
        word = "duplicate"
    elif state.stream in mesh.store.log.closed:
        word = "forked"     # it signed two histories, and goes on in that stream
    elif state.answered_at is None and not state.failures:
        word = "unasked"
    else:
        word = "reachable" if is_reachable(state, mine, now, peer.rules) else "unreachable"
    return PeerStatus(
        url=peer.url, node=state.node, stream=state.stream or "", state=word, breaker=breaker(state, peer.rules),
        in_flight=state.asked_at is not None, lag_ops=lag(state, mine),
        lag_s=0.0 if peer.behind_since is None else round(now - peer.behind_since, 3), failures=state.failures,
        clock_offset_ms=None if state.offset_us is None else state.offset_us / 1000,
        last_ok_s=None if state.answered_at is None else round(now - state.answered_at, 3),
        last_error=state.last_error, vector={str(stream): seq for stream, seq in state.acked.items()},
        held=len(state.held.dots) if state.held.is_whole else -1, members_hash=state.members,
        compared_s=None if peer.compared_at is None else round(now - peer.compared_at, 3), differing=peer.differing,
    )


def mesh_alarms(node: Node, forks: tuple[StreamId, ...], held_count: int) -> list[str]:
    """What a person must look at."""
    mesh, alarms = node.mesh, []
    if forks:
        alarms.append(f"streams are closed because their nodes signed two histories: {_named(forks)}")
    alarms += _held_alarms(node, held_count)
    if len(node.store.log.heads) > STREAMS_WARN:
        alarms.append(f"{len(node.store.log.heads)} streams are known: nodes are set up anew too often")
    alarms += [*trust_alarms(node), *cluster_alarms(node)]
    if mesh is None:
        return alarms
    alarms += [
        f"{peer.url} names other writes than are known here, and does not show them: {_named(peer.doubted)}"
        for peer in mesh.peers if peer.doubted - node.store.log.closed.keys()
    ]
    if mesh.is_forked:
        alarms.append("peers know more of this node's writes than its database: it begins a new stream")
    elif mesh.is_catching_up:
        alarms.append("this node began a new stream, and does not know yet all that its peers know")
    if not mesh.members_agree:
        alarms.append(members_alarm(mesh))
    if abs(mesh.clock_offset_s) > 0.5:
        alarms.append(f"the clock is {mesh.clock_offset_s:+.1f} s off its peers'")
    alarms += named_alarms(mesh)
    strange = [one for one in (_peer_status(mesh, peer) for peer in mesh.peers) if one.state in ("self", "duplicate")]
    return alarms + [f"{one.url} is no other node ({one.state}): it does not count" for one in strange]


def _held_alarms(node: Node, held_count: int) -> list[str]:
    alarms = []
    if held_count:
        alarms.append(f"{held_count} ops are logged and cannot be applied by this version: install a newer one")
    if node.store.log.full:
        named = _named(node.store.log.full)
        alarms.append(f"no more ops can be held, so nothing more is taken of {named}: install a newer version")
    return alarms


def _named(streams: Collection[StreamId]) -> str:
    """The first of some streams, and how many more there are."""
    rest = f" and {len(streams) - NAMED_MAX} more" if len(streams) > NAMED_MAX else ""
    return ", ".join(sorted(streams)[:NAMED_MAX]) + rest


async def _verify(mesh: Mesh, own: MeshDocument) -> tuple[VerifyOut, ...]:
    """Ask every peer for its digest, and compare."""
    found: dict[str, VerifyOut] = {}

    async def ask(peer: Peer) -> None:
        found[peer.url] = await _verified(mesh, peer, own)

    async with trio.open_nursery() as nursery:
        for peer in mesh.peers:
            nursery.start_soon(ask, peer)
    return tuple(found[peer.url] for peer in mesh.peers)


async def _verified(mesh: Mesh, peer: Peer, own: MeshDocument) -> VerifyOut:
    url, name = peer.url, peer.state.node
    try:
        with trio.fail_after(VERIFY_DEADLINE_S):
            there = await mesh.road.mesh(url)
    except AimemError as error:
        return VerifyOut(url=url, node=name, verdict="unreachable", digest="", reason=error.message)
    except trio.TooSlowError:
        return VerifyOut(url=url, node=name, verdict="unreachable", digest="", reason="timeout")
    digest = there.digest if isinstance(there.digest, str) else ""
    if there.digest_vector != own.digest_vector:
        return VerifyOut(url=url, node=there.node, verdict="behind", digest=digest, reason="it knows other ops")
    if (there.held, there.held_count) != (own.held, own.held_count):
        return VerifyOut(url=url, node=there.node, verdict="behind", digest=digest, reason="it can apply other ops")
    is_equal = digest == own.digest
    return VerifyOut(url=url, node=there.node, verdict="equal" if is_equal else "differs", digest=digest)
