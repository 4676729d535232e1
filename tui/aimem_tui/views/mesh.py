"""The screen Mesh: a row for each node, the quorum, and what happened."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem import __version__
from aimem.wire import MeshDocument, PeerStatus
from aimem_tui.sheet import Cell, Column, Line, Row, Sheet, Tone, cell, line, marked, sparkline
from aimem_tui.state import Happening, NodeView, State
from aimem_tui.words import clock_time, count, counted, millis, since, span

CERTIFICATE_WARN_DAYS: Final = 30
OFFSET_WARN_MS: Final = 500.0
SPARK_CHARS: Final = 12

COLUMNS: Final = (
    Column(title="node", width=8, share=1),
    Column(title="state", width=11),
    Column(title="rtt ms", width=6, is_number=True),
    Column(title="rtt", width=SPARK_CHARS, rank=5),
    Column(title="ack ms", width=6, is_number=True),
    Column(title="ack", width=SPARK_CHARS, rank=4),
    Column(title="behind", width=7, is_number=True),
    Column(title="acked", width=6, is_number=True),
    Column(title="breaker", width=7, rank=2),
    Column(title="clock", width=5, rank=1, is_number=True),
    Column(title="cert", width=5, is_number=True),
    Column(title="version", width=7, rank=3),
)
EVENT_COLUMNS: Final = (
    Column(title="time", width=8),
    Column(title="event", width=14),
    Column(title="what", width=15, share=1),
    Column(title="namespace", width=11, share=2),
    Column(title="by", width=10, share=1),
    Column(title="on nodes", width=8),
)


class Member(Struct, frozen=True, kw_only=True):
    """One node of the mesh: as it tells of itself if it is asked, and as the eye sees it."""

    name: str
    asked: NodeView | None = None
    peer: PeerStatus | None = None


def members(state: State) -> tuple[Member, ...]:
    """The nodes that are asked, in their order, then those that only the eye knows."""
    eye = state.eye
    peers = () if eye is None or eye.mesh is None else eye.mesh.peers
    found, matched = [], set()
    for node in state.nodes:
        peer = next((peer for peer in peers if _is_same(node, peer)), None)
        if peer is not None:
            matched.add(peer.url)
        known = node.name if node.mesh is not None or peer is None else peer.node or node.name
        found.append(Member(name=known, asked=node, peer=peer))
    found += [Member(name=peer.node or peer.url, peer=peer) for peer in peers if peer.url not in matched]
    return tuple(found)


def _is_same(node: NodeView, peer: PeerStatus) -> bool:
    return bool(peer.stream and peer.stream == node.stream) or peer.url.rstrip("/") == node.door.rstrip("/")


def standing(member: Member, state: State) -> Cell:
    """A node's state as one word: the worse one of what it says itself and what the eye sees of it."""
    if member.asked is None:
        return cell("-", Tone.DIM) if member.peer is None else _of_peer(member.peer)
    is_cut_off = member.peer is not None and member.peer.state == "unreachable" and member.asked is not state.eye
    own = _of_asked(member.asked, state)
    return marked("cut off", Tone.BAD) if is_cut_off and own.tone is not Tone.BAD else own


def _of_asked(node: NodeView, state: State) -> Cell:
    if node.trouble is not None:
        return marked(node.trouble.kind, Tone.BAD)
    if node.health is None or node.heard_s is None:
        return marked("asking", Tone.DIM)
    if node.is_stale(state.now_s):
        return marked(f"old {span(state.now_s - node.heard_s)}", Tone.WARN)
    if node.health.status != "ok":
        return marked(node.health.status, Tone.BAD)
    if not node.health.ready:
        return marked("catching up" if node.health.behind else "not ready", Tone.WARN)
    if node.mesh_trouble is not None:
        return marked("no entry", Tone.WARN)
    return marked("warning" if warnings_of(node) else "ok", Tone.WARN if warnings_of(node) else Tone.GOOD)


def _of_peer(peer: PeerStatus) -> Cell:
    if peer.state == "reachable":
        return marked("ok", Tone.GOOD)
    word = "offline" if peer.state == "unreachable" else peer.state
    return marked(word, Tone.DIM if word == "unasked" else Tone.BAD)


def warnings_of(node: NodeView) -> tuple[str, ...]:
    """What a node warns of, each sentence once, and that it is of another version."""
    told = (*(() if node.health is None else node.health.warnings), *(() if node.mesh is None else node.mesh.alarms))
    version = __version__ if node.health is None else node.health.version
    other = (f"it runs version {version} and this console is {__version__}: give both the same",)
    return tuple(dict.fromkeys((*told, *(other if version != __version__ else ()))))


def mesh_sheet(state: State) -> Sheet:
    """A row for each node."""
    eye = state.eye
    rows = [
        Row(key=member.peer.url if member.asked is None and member.peer else member.name,
            cells=_cells(member, eye, state))
        for member in members(state)
    ]
    return Sheet(columns=COLUMNS, rows=tuple(rows), empty="no node was named")


def _cells(member: Member, eye: NodeView | None, state: State) -> Line:
    node, peer = member.asked, member.peer
    rtts = () if node is None or node.trouble is not None else node.rtts_ms
    acks = eye.acks.get(peer.url) if eye is not None and peer is not None else None
    means = () if acks is None else acks.means_ms
    is_eye = node is not None and node is eye
    return (
        cell(f"{member.name} ◂" if is_eye and len(state.nodes) > 1 else member.name, Tone.STRONG),
        standing(member, state),
        cell(millis(rtts[-1] if rtts else None)),
        cell(sparkline(rtts, SPARK_CHARS), Tone.DIM),
        cell(millis(means[-1] if means else None)),
        cell(sparkline(means, SPARK_CHARS), Tone.DIM),
        _lag(member),
        _acked(member, eye),
        _breaker(peer),
        _offset(peer),
        _certificate(member),
        _version(member),
    )


def _lag(member: Member) -> Cell:
    if member.asked is not None and member.asked.health is not None and member.asked.health.behind:
        return cell(f"-{count(member.asked.health.behind)}", Tone.WARN)
    if member.peer is None:
        return cell("0" if member.asked is not None and member.asked.mesh is not None else "-", Tone.DIM)
    if not member.peer.lag_ops:
        return cell("0", Tone.DIM)
    return cell(f"-{count(member.peer.lag_ops)}/{span(member.peer.lag_s)}", Tone.WARN)


def _acked(member: Member, eye: NodeView | None) -> Cell:
    """How many ops of the eye's stream a node is known to have."""
    if eye is None or eye.mesh is None:
        return cell("-", Tone.DIM)
    own = eye.mesh.vector.get(eye.mesh.stream, 0)
    has = own if member.asked is eye else None if member.peer is None else member.peer.vector.get(eye.mesh.stream, 0)
    if has is None:
        return cell("-", Tone.DIM)
    return cell(count(has), Tone.PLAIN if has >= own else Tone.WARN)


def _breaker(peer: PeerStatus | None) -> Cell:
    if peer is None:
        return cell("-", Tone.DIM)
    return cell(peer.breaker.replace("_", " "), Tone.PLAIN if peer.breaker == "closed" else Tone.BAD)


def _offset(peer: PeerStatus | None) -> Cell:
    if peer is None or peer.clock_offset_ms is None:
        return cell("-", Tone.DIM)
    sign = "-" if peer.clock_offset_ms < 0 else "+"
    far = abs(peer.clock_offset_ms) > OFFSET_WARN_MS
    return cell(f"{sign}{millis(abs(peer.clock_offset_ms))}", Tone.WARN if far else Tone.PLAIN)


def certificate_days(member: Member) -> int | None:
    """Days until a node's server certificate expires, as it says itself or as it showed it; None without TLS."""
    own = () if member.asked is None or member.asked.mesh is None else member.asked.mesh.certificates
    shown = None if member.peer is None else member.peer.certificate
    return next((one.days_left for one in own if one.which == "server"), None if shown is None else shown.days_left)


def _certificate(member: Member) -> Cell:
    days = certificate_days(member)
    if days is None:
        return cell("-", Tone.DIM)
    tone = Tone.BAD if days < 1 else Tone.WARN if days < CERTIFICATE_WARN_DAYS else Tone.PLAIN
    return cell(f"{days}d", tone)


def _version(member: Member) -> Cell:
    if member.asked is None or member.asked.health is None:
        return cell("-", Tone.DIM)
    version = member.asked.health.version
    return cell(version, Tone.PLAIN if version == __version__ else Tone.WARN)


def quorum_lines(state: State) -> tuple[Line, ...]:
    """The strip: how many nodes a write waits for, how many there are, and what came of the last that had too few."""
    eye = state.eye
    if eye is None or eye.mesh is None:
        return (_nobody(state),)
    if eye.trouble is not None:
        return (_nobody(state), _short(eye.mesh, state))
    mesh = eye.mesh
    reachable = reachable_count(state)
    verdict = _verdict(mesh, eye.name, reachable)
    boxes = "■" * reachable + "□" * max(0, mesh.members - reachable)
    first = line(
        cell(f"W {mesh.writes} of N {mesh.members}", Tone.STRONG), "  ",
        cell(boxes, verdict.tone), f" {reachable} reachable  ", verdict,
    )
    return (first, _short(mesh, state))


def _verdict(mesh: MeshDocument, eye: str, reachable: int) -> Cell:
    """Whether a write finds its quorum; the eye alone decides that, and may not have noticed yet what we have."""
    if reachable >= mesh.writes:
        return marked("a write finds its quorum", Tone.GOOD)
    counted_on = 1 + sum(peer.state == "reachable" for peer in mesh.peers)
    if counted_on >= mesh.writes:
        return marked(f"{eye} still counts on {counted_on}: this console cannot reach all of them", Tone.WARN)
    missing = counted(mesh.writes - reachable, "more node")
    return marked(f"writes are refused (503): {missing} must be reachable", Tone.BAD)


def is_reachable(member: Member, state: State) -> bool:
    """Whether a write may count on a node: the eye reaches it, and so does this console if it asks it at all."""
    if member.asked is not None and member.asked.trouble is not None:
        return False
    is_eye = member.asked is not None and member.asked is state.eye
    return is_eye or (member.peer is not None and member.peer.state == "reachable")


def reachable_count(state: State) -> int:
    """How many nodes of the eye's mesh are."""
    return sum(is_reachable(member, state) for member in members(state))


def _short(mesh: MeshDocument, state: State) -> Line:
    last = mesh.last_short
    if last is None:
        return line(cell("no write had too few nodes since this node began", Tone.DIM))
    what = "refused" if last.outcome == "not_applied" else "stored, acks missing"
    return line(
        cell(f"last 503 {since(last.at, state.wall)} ago", Tone.WARN),
        f" ({what}, {counted(mesh.short_writes, 'write')} so far): {last.why}",
    )


def _nobody(state: State) -> Line:
    node = state.nodes[state.chosen]
    trouble = node.trouble or node.mesh_trouble
    if trouble is None:
        return line(marked(f"asking {node.door}", Tone.DIM))
    return line(marked(f"{trouble.what}: {trouble.advice}", Tone.BAD))


def warning_lines(state: State) -> tuple[Line, ...]:
    """Sentences about what wants a look: of each node that is asked, what is wrong with the way to it, or it warns of.

    What several nodes say stands once.
    """
    found: dict[tuple[str, Tone], list[str]] = {}
    is_blind = state.eye is None or state.eye.trouble is not None       # then the strip says what the chosen one's is
    for member, node in zip(members(state), state.nodes, strict=False):     # behind them, those that are not asked
        trouble = node.trouble or node.mesh_trouble
        if trouble is not None and not (is_blind and node is state.nodes[state.chosen]):
            found.setdefault((f"{trouble.what}: {trouble.advice}", Tone.BAD), []).append(member.name)
        for warning in warnings_of(node):
            found.setdefault((warning, Tone.WARN), []).append(member.name)
    everybody = len(state.nodes)
    return tuple(
        line(marked("", tone), cell("" if len(names) == everybody > 1 else f"{', '.join(names)}: ", Tone.STRONG),
             cell(sentence))
        for (sentence, tone), names in found.items()
    )


def event_sheet(state: State) -> Sheet:
    """What happened, the latest first."""
    rows = tuple(
        Row(key=f"{one.version} {one.event} {one.kind} {one.key}", cells=_event(one, state)) for one in state.happened
    )
    is_followed = any(node.is_followed for node in state.nodes)
    empty = "nothing has happened since this console opened" if is_followed else "no node tells of events at the moment"
    return Sheet(columns=EVENT_COLUMNS, rows=rows, empty=empty)


def _event(one: Happening, state: State) -> Line:
    followed = sum(node.is_followed for node in state.nodes)
    return (
        cell(clock_time(one.at), Tone.DIM), cell(one.event), cell(f"{one.kind} {one.key[:8]}"), cell(one.namespace),
        cell(one.agent_id), cell(f"{len(one.nodes)} of {max(followed, len(one.nodes))}", Tone.DIM),
    )
