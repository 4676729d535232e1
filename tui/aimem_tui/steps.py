"""From one state to the next: what can happen to the console, and what that changes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import UNSET, Struct
from msgspec.structs import replace

from aimem.model import Instant
from aimem.wire import EventOut, Health, MeshDocument, PendingDetail, PendingPage, WriteOutcome
from aimem_tui.state import (
    HAPPENED_MAX,
    HISTORY_MAX,
    Acks,
    Deed,
    Figure,
    Happening,
    Look,
    NodeView,
    Outcome,
    State,
    Verified,
)
from aimem_tui.trouble import Trouble

OUTCOMES_MAX: Final = 50
FIGURES_MAX: Final = 500
_KIND: Final = re.compile(r"^# TYPE (\S+) (\w+)$", re.MULTILINE)
_SAMPLE: Final = re.compile(r"^(\w+)(\{[^\n]*\})? ([-+.\deE]+)$", re.MULTILINE)
_ACK: Final = re.compile(r'^ai_memory_mesh_ack_seconds_(sum|count)\{peer="([^"]*)"\} (\S+)$', re.MULTILINE)


class Ticked(Struct, frozen=True, kw_only=True):
    """Time went by."""

    now_s: float
    wall: Instant


class Answered(Struct, frozen=True, kw_only=True):
    """A node said how it is."""

    place: int
    now_s: float
    rtt_ms: float
    health: Health
    mesh: MeshDocument | None
    mesh_trouble: Trouble | None = None


class Failed(Struct, frozen=True, kw_only=True):
    """A node did not."""

    place: int
    trouble: Trouble


class Measured(Struct, frozen=True, kw_only=True):
    """A node's metrics, as text."""

    place: int
    now_s: float
    metrics: str


class Followed(Struct, frozen=True, kw_only=True):
    """A node began, or ceased, to tell of events."""

    place: int
    is_followed: bool


class Told(Struct, frozen=True, kw_only=True):
    """A node told of an event."""

    place: int
    event: EventOut


class Chosen(Struct, frozen=True, kw_only=True):
    """The user wants to see through another node."""

    place: int


class Verifying(Struct, frozen=True, kw_only=True):
    """Copies are being compared."""


class VerifyEnded(Struct, frozen=True, kw_only=True):
    """What came of comparing copies."""

    verified: Verified


class GotDocket(Struct, frozen=True, kw_only=True):
    """Actions were listed, or could not be."""

    page: PendingPage | None
    shows_all: bool
    trouble: Trouble | None = None


class GotDetail(Struct, frozen=True, kw_only=True):
    """One action with what it would change; None to look at none."""

    detail: PendingDetail | None


class Decided(Struct, frozen=True, kw_only=True):
    """The user decided on an action, and the node answered."""

    id: str
    did: str
    said: str
    version: str = ""


class Spread(Struct, frozen=True, kw_only=True):
    """How far the write of a decision has come."""

    id: str
    outcome: WriteOutcome


class Looked(Struct, frozen=True, kw_only=True):
    """A node answered a question of a screen, or did not; it is asked about `of` from now on, if there is no look."""

    name: str
    of: str
    look: Look | None


class Did(Struct, frozen=True, kw_only=True):
    """Something was done on a screen, or could not be."""

    screen: str
    deed: Deed


Step: TypeAlias = (
    Looked | Did | Ticked | Answered | Failed | Measured | Followed | Told | Chosen | Verifying | VerifyEnded
    | GotDocket | GotDetail | Decided | Spread
)


def step(state: State, event: Step) -> State:
    """The state after an event."""
    match event:
        case Ticked():
            return replace(state, now_s=event.now_s, wall=event.wall)
        case Answered() | Failed() | Measured() | Followed():
            return _of_node(state, event.place, event)
        case Told():
            return _told(state, event)
        case Chosen():
            return replace(state, chosen=event.place % len(state.nodes))
        case Verifying():
            return replace(state, verified=replace(state.verified, is_running=True))
        case Looked():
            look = event.look or replace(state.looks.get(event.name, Look()), of=event.of)
            return replace(state, looks={**state.looks, event.name: look})
        case Did():
            return replace(state, deeds={**state.deeds, event.screen: event.deed})
        case VerifyEnded():
            return replace(state, verified=event.verified)
    return _of_docket(state, event)


def _of_node(state: State, place: int, event: Answered | Failed | Measured | Followed) -> State:
    node = state.nodes[place]
    match event:
        case Answered():
            node = replace(
                node, health=event.health, mesh=event.mesh, mesh_trouble=event.mesh_trouble, heard_s=event.now_s,
                rtts_ms=(*node.rtts_ms, event.rtt_ms)[-HISTORY_MAX:], trouble=None,
            )
        case Failed():
            node = replace(node, trouble=event.trouble, is_followed=False)
        case Measured():
            figures = _figures(node.figures, event.metrics, event.now_s)
            node = replace(node, acks=_acks(node.acks, event.metrics), figures=figures)
        case Followed():
            node = replace(node, is_followed=event.is_followed)
    now_s = max(state.now_s, event.now_s) if isinstance(event, Answered) else state.now_s
    return replace(state, nodes=(*state.nodes[:place], node, *state.nodes[place + 1:]), now_s=now_s)


def _acks(before: Mapping[str, Acks], metrics: str) -> Mapping[str, Acks]:
    """The acks of each peer by now; the mean of the new ones, if there are any. A restarted node counts from 0."""
    found: dict[str, dict[str, float]] = {}
    for what, peer, value in _ACK.findall(metrics):
        found.setdefault(peer, {})[what] = float(value)
    now = {}
    for peer, values in found.items():
        last, count, total_s = before.get(peer, Acks()), values.get("count", 0.0), values.get("sum", 0.0)
        since = count - last.count
        means = last.means_ms
        if since > 0 and total_s >= last.total_s:
            means = (*means, 1000 * (total_s - last.total_s) / since)[-HISTORY_MAX:]
        now[peer] = Acks(count=count, total_s=total_s, means_ms=means)
    return now


def _figures(before: Mapping[str, Figure], metrics: str, now_s: float) -> Mapping[str, Figure]:
    """Each metric by now; what a histogram counts is a counter. A restarted node counts from 0.

    Counters are added up over their labels. Gauges are not: two certificates do not expire later than one.
    """
    gauges = {name for name, kind in _KIND.findall(metrics) if kind == "gauge"}
    sums: dict[str, float] = {}
    for name, labels, value in _SAMPLE.findall(metrics):
        if not name.endswith("_bucket"):
            key = name + labels if name in gauges else name
            sums[key] = sums.get(key, 0.0) + float(value)
    now = {}
    for name, value in list(sums.items())[:FIGURES_MAX]:
        is_counter = name.partition("{")[0] not in gauges
        last = before.get(name)
        course = () if last is None else last.course
        if not is_counter:
            course = (*course, value)
        elif last is not None and value >= last.value and now_s > last.read_s:
            course = (*course, (value - last.value) / (now_s - last.read_s))
        now[name] = Figure(is_counter=is_counter, value=value, read_s=now_s, course=course[-HISTORY_MAX:])
    return now


def _told(state: State, told: Told) -> State:
    """Note an event; one that another node told of before is the same one, and has come further."""
    event, name = told.event, state.nodes[told.place].name
    same = (event.version, event.event, event.kind, event.key)
    for place, known in enumerate(state.happened):
        if (known.version, known.event, known.kind, known.key) == same:
            if name in known.nodes:
                return state
            further = replace(known, nodes=(*known.nodes, name))
            return replace(state, happened=(*state.happened[:place], further, *state.happened[place + 1:]))
    new = Happening(
        at=event.at, event=event.event, kind=event.kind, key=event.key, version=event.version, nodes=(name,),
        namespace="" if event.namespace is UNSET else event.namespace,
        agent_id="" if event.agent_id is UNSET else event.agent_id,
    )
    return replace(
        state, happened=(new, *state.happened)[:HAPPENED_MAX], happened_count=state.happened_count + 1
    )


def _of_docket(state: State, event: GotDocket | GotDetail | Decided | Spread) -> State:
    docket = state.docket
    match event:
        case GotDocket():
            page = docket.page if event.page is None else event.page
            docket = replace(docket, page=page, shows_all=event.shows_all, trouble=event.trouble)
        case GotDetail():
            docket = replace(docket, detail=event.detail)
        case Decided():
            kept = dict(list(docket.outcomes.items())[1 - OUTCOMES_MAX:])
            outcome = Outcome(did=event.did, said=event.said, version=event.version)
            docket = replace(docket, outcomes={**kept, event.id: outcome})
        case Spread():
            known = docket.outcomes.get(event.id)
            if known is not None:
                docket = replace(
                    docket, outcomes={**docket.outcomes, event.id: replace(known, spread=event.outcome)}
                )
    return replace(state, docket=docket)


def first_state(doors: tuple[str, ...], wall: Instant, now_s: float) -> State:
    """What is known before anybody was asked."""
    return State(nodes=tuple(NodeView(door=door) for door in doors), wall=wall, now_s=now_s)
