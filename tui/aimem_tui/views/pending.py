"""The screen Pending: what waits for a decision, what it would change, who may decide, and what came of it."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from aimem.wire import ChangeOut, PendingDetail, PendingOut, VoteOut, WriteOutcome
from aimem_tui.harmless import harmless_lines
from aimem_tui.sheet import Cell, Column, Line, Row, Sheet, Tone, cell, line, marked
from aimem_tui.state import Outcome, State
from aimem_tui.words import clock_time, counted, since, until

COLUMNS: Final = (
    Column(title="age", width=4, is_number=True),
    Column(title="state", width=10),
    Column(title="action", width=8),
    Column(title="namespace", width=12, share=2),
    Column(title="requested by", width=12, share=2),
    Column(title="votes", width=5),
    Column(title="what", width=12, share=3, rank=1),
    Column(title="expires", width=7, rank=2, is_number=True),
)
QUESTION_LINES: Final = 10
_TONES: Final = {
    "pending": Tone.WARN, "approved": Tone.GOOD, "executed": Tone.GOOD, "rejected": Tone.BAD, "failed": Tone.BAD,
}


def pending_sheet(state: State) -> Sheet:
    """A row for each action, the latest first."""
    page = state.docket.page
    rows = () if page is None else tuple(_row(one, state) for one in page.pending)
    return Sheet(columns=COLUMNS, rows=rows, empty=_empty(state))


def _empty(state: State) -> str:
    docket = state.docket
    if docket.trouble is not None:
        return f"{docket.trouble.what}: {docket.trouble.advice}"
    if docket.page is None:
        return "asking for the queue …"
    if docket.shows_all:
        return "nothing ever waited for an approval here; policies say what does (ai-memory help namespace)"
    return "nothing waits for a decision; press h for what was decided before"


def _row(one: PendingOut, state: State) -> Row:
    title = one.payload.get("title", "")
    approvals = f"{len(one.approvals)}/{one.quorum}"
    return Row(key=one.id, cells=(
        cell(since(one.requested_at, state.wall)), marked(one.status, _TONES.get(one.status, Tone.DIM)),
        cell(one.action_type), cell(one.namespace), cell(one.requested_by), cell(approvals),
        cell(title if isinstance(title, str) else "", Tone.DIM), cell(until(one.expires_at, state.wall), Tone.DIM),
    ))


def heading_lines(state: State) -> tuple[Line, ...]:
    """How much waits, and what came of the latest decision."""
    outcomes = state.docket.outcomes
    if not outcomes:
        return (_heading(state),)
    id, last = list(outcomes.items())[-1]
    told = f"{last.did}, {id[:8]}: {last.said}"
    if last.spread is None:
        return (_heading(state), line(cell(told, Tone.ACCENT)))
    return (_heading(state), line(cell(told, Tone.ACCENT), "; ", _spread_cell(last.spread)))


def _heading(state: State) -> Line:
    docket = state.docket
    where = state.nodes[state.door].name
    if docket.page is None:
        return line(cell("pending", Tone.STRONG), cell(f" at {where}", Tone.DIM))
    waiting = sum(one.status == "pending" for one in docket.page.pending)
    more = " or more" if docket.page.more else ""
    shown = "all, decided ones too" if docket.shows_all else "those that wait"
    return line(
        cell(f"{counted(waiting, 'action')}{more} waiting", Tone.WARN if waiting else Tone.GOOD),
        cell(f"  shown: {shown}, at {where}", Tone.DIM),
    )


def detail_lines(state: State, id: str | None) -> tuple[Line, ...]:
    """All about the action under the cursor: what came of it here, who decides, votes, what changes, comments."""
    detail = state.docket.detail
    if id is None:
        return ()
    outcome = state.docket.outcomes.get(id)
    shown = () if outcome is None else outcome_lines(outcome, state)
    if detail is None or detail.id != id:
        return (*shown, line(cell("asking for what it would change …", Tone.DIM)))
    return (
        *shown, line(cell("id      ", Tone.DIM), detail.id), line(cell("rule    ", Tone.DIM), detail.rule),
        line(cell("decides ", Tone.DIM), f"{_approver(detail)}; {counted(detail.quorum, 'approval')} needed"),
        *_result(detail), *(_vote(vote) for vote in detail.votes), *_comments(detail), *_changes(detail),
    )


def question_lines(state: State, id: str) -> tuple[Line, ...]:
    """What somebody has to see who is about to decide: which rule asks, and what would change."""
    detail = state.docket.detail
    if detail is None or detail.id != id:
        return (line(cell("what it would change is not known yet", Tone.WARN)),)
    changes = _changes(detail)
    more = len(changes) - QUESTION_LINES
    left_out = (line(cell(f"  … {counted(more, 'more line')}: Escape, then Tab and the arrows show all", Tone.WARN)),)
    return (line(cell("rule    ", Tone.DIM), detail.rule), *changes[:QUESTION_LINES], *(left_out if more > 0 else ()))


def _approver(detail: PendingDetail) -> str:
    match detail.approver:
        case UnsetType():
            return "nobody: its policy cannot be read"
        case "human":
            return "a person"
        case {"agent": str(agent)}:
            return f"the agent {agent}"
        case {"consensus": count}:
            return f"a consensus of {count}"
    return msgspec.json.encode(detail.approver).decode()


def _result(detail: PendingDetail) -> tuple[Line, ...]:
    lines = []
    if detail.decided_by is not UNSET:
        when = "" if detail.decided_at is UNSET else f" at {clock_time(detail.decided_at)}"
        lines.append(line(cell("decided ", Tone.DIM), marked(detail.status, _TONES.get(detail.status, Tone.DIM)),
                          f" by {detail.decided_by}{when}"))
    if detail.error is not UNSET:
        lines.append(line(cell("failed  ", Tone.DIM), cell(detail.error, Tone.BAD)))
    if detail.orphaned is True:
        lines.append(line(marked("the node that decides is no member any more: ask again with ai-memory pending again",
                                 Tone.BAD)))
    return tuple(lines)


def _vote(vote: VoteOut) -> Line:
    tone = Tone.GOOD if vote.vote == "approve" else Tone.BAD
    state = "" if vote.counts else " (late)" if vote.late else " (does not count)"
    comment = "" if vote.comment is UNSET else f": {vote.comment}"
    return line(cell("vote    ", Tone.DIM), marked(vote.vote, tone),
                f" {vote.agent_id} at {clock_time(vote.voted_at)}{state}{comment}")


def _changes(detail: PendingDetail) -> tuple[Line, ...]:
    if not detail.changes:
        return (line(cell("changes ", Tone.DIM), "nothing would change now"),)
    lines: list[Line] = []
    of = ""
    for change in detail.changes:
        name = f"{change.effect} {change.kind} {change.id}"
        if name != of:
            of = name
            lines.append(line(cell("changes ", Tone.DIM), cell(name, Tone.STRONG)))
        lines += _change(change)
    if detail.changes_total > len(detail.changes):
        lines.append(line(cell(f"        … {detail.changes_total - len(detail.changes)} fields more", Tone.DIM)))
    return tuple(lines)


def _change(change: ChangeOut) -> list[Line]:
    """A field as a diff: what goes, then what comes; the name of the field stands before the first line of each."""
    lines = []
    cut = " (cut)" if change.cut is True else ""
    for sign, value, tone in (("-", change.before, Tone.BAD), ("+", change.after, Tone.GOOD)):
        if value is not None:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            first, *others = harmless_lines(text)
            lines.append(line(cell(f"  {sign} {change.field}{cut}: ", tone), Cell(first)))
            lines += [line(cell(f"  {sign}   ", tone), Cell(other)) for other in others]
    return lines


def _comments(detail: PendingDetail) -> tuple[Line, ...]:
    return tuple(
        line(cell("comment ", Tone.DIM), cell(one.agent_id, Tone.STRONG), f" at {clock_time(one.made_at)}: {one.text}")
        for one in detail.comments
    )


def outcome_lines(outcome: Outcome, state: State) -> tuple[Line, ...]:
    """What the user did, what the node answered, and which nodes have it by now."""
    first = line(cell(outcome.did, Tone.ACCENT), f": {outcome.said}")
    if outcome.spread is None:
        return (first, *((line(cell("  asking which nodes have it …", Tone.DIM)),) if outcome.version else ()))
    return (first, *spread_lines(outcome.spread, state))


def spread_lines(spread: WriteOutcome, state: State) -> tuple[Line, ...]:
    """Which nodes have a write, and why the others do not; a node names its peers by their addresses."""
    eye = state.eye
    names = {} if eye is None or eye.mesh is None else {peer.url: peer.node for peer in eye.mesh.peers if peer.node}
    lines = [line("  ", _spread_cell(spread))]
    lines += [line("    ", marked(names.get(name, name), Tone.GOOD)) for name in spread.acked_by]
    for name, why in spread.waiting_for.items():
        lines.append(line("    ", marked(f"{names.get(name, name)}: {why}", Tone.WARN)))
    return tuple(lines)


def _spread_cell(spread: WriteOutcome) -> Cell:
    total = len(spread.acked_by) + len(spread.waiting_for)
    tone = Tone.WARN if spread.waiting_for else Tone.GOOD
    return marked(f"{spread.outcome}: on {len(spread.acked_by)} of {total} nodes", tone)
