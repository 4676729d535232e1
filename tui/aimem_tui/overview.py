"""The overview for scripts: every node is asked once, and what the first screen would show becomes a document."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from aimem.errors import AimemError
from aimem.wire import PendingQuery, console
from aimem_tui.doors import Door
from aimem_tui.feed import Feed, Tell
from aimem_tui.run import opened, wall_now
from aimem_tui.sheet import Tone
from aimem_tui.state import NodeView, State
from aimem_tui.steps import GotDocket, Step, Ticked, first_state, step
from aimem_tui.views.mesh import Member, certificate_days, members, reachable_count, standing, warnings_of

PENDING_MAX: Final = 1000


def run_overview(request: console.ConsoleRequest) -> console.ConsoleOverview:
    """Ask all nodes once. Raises: InvalidRequest if what the request names cannot be used."""
    return asyncio.run(_look(request))


async def _look(request: console.ConsoleRequest) -> console.ConsoleOverview:
    now_s = time.monotonic()
    state = first_state(tuple(door.name for door in request.doors), wall_now(), now_s)

    def tell(event: Step) -> None:
        nonlocal state
        state = step(state, event)

    async with opened(request) as doors:
        await asyncio.gather(*(Feed(place, door, tell, time.monotonic).ask() for place, door in enumerate(doors)))
        tell(Ticked(now_s=time.monotonic(), wall=wall_now()))
        if state.eye is not None:
            await _read_pending(doors[state.door], tell)
    return overview(state)


async def _read_pending(door: Door, tell: Tell) -> None:
    try:
        page = await door.client.list_pending(PendingQuery(status="pending", limit=PENDING_MAX))
    except AimemError:
        return      # how many wait is then not known, and said to be so

    tell(GotDocket(page=page, shows_all=False))


def overview(state: State) -> console.ConsoleOverview:
    """What the first screen shows, as a document."""
    eye = state.eye
    warnings = [f"{node.name}: {sentence}" for node in state.nodes for sentence in warnings_of(node)]
    for node in state.nodes:
        trouble = node.trouble or node.mesh_trouble
        if trouble is not None:
            warnings.append(f"{node.name}: {trouble.what}: {trouble.advice}")
    nodes = tuple(_node(member, eye, state) for member in members(state))
    is_well = not warnings and all(node.state == "ok" for node in nodes)
    has_answered = any(node.health is not None for node in state.nodes)
    page = state.docket.page
    return console.ConsoleOverview(
        verdict="ok" if is_well else "warning" if has_answered else "unavailable",
        seen_by="" if eye is None else eye.name, nodes=nodes, quorum=_quorum(state),
        pending=None if page is None else page.count, warnings=tuple(warnings),
    )


def _node(member: Member, eye: NodeView | None, state: State) -> console.NodeOverview:
    asked, peer, shown = member.asked, member.peer, standing(member, state)
    trouble = None if asked is None else asked.trouble or asked.mesh_trouble
    why = "" if shown.tone is Tone.GOOD else trouble.what if trouble is not None else (
        "" if peer is None or asked is not None else peer.last_error)
    acks = None if eye is None or peer is None else eye.acks.get(peer.url)
    own = None if eye is None or eye.mesh is None else eye.mesh.vector.get(eye.mesh.stream, 0)
    has = own if asked is not None and asked is eye else None
    if peer is not None and eye is not None and eye.mesh is not None:
        has = peer.vector.get(eye.mesh.stream, 0)
    return console.NodeOverview(
        door="" if asked is None else asked.door, node=member.name, state=shown.text[2:], why=why,
        rtt_ms=None if asked is None or not asked.rtts_ms else round(asked.rtts_ms[-1], 1),
        ack_ms=None if acks is None or not acks.count else round(1000 * acks.total_s / acks.count, 1),
        lag_ops=None if peer is None else peer.lag_ops, lag_s=None if peer is None else peer.lag_s,
        acked=has, of=own, breaker="" if peer is None else peer.breaker,
        clock_offset_ms=None if peer is None else peer.clock_offset_ms,
        certificate_days_left=certificate_days(member),
        version="" if asked is None or asked.health is None else asked.health.version,
    )


def _quorum(state: State) -> console.QuorumOverview | None:
    eye = state.eye
    if eye is None or eye.mesh is None:
        return None
    mesh = eye.mesh
    return console.QuorumOverview(
        writes=mesh.writes, members=mesh.members, reachable=reachable_count(state), short_writes=mesh.short_writes,
        last_short="" if mesh.last_short is None else mesh.last_short.why,
    )
