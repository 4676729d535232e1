"""The screens that are a table and what is known of the row under the cursor: agents, conflicts, the log, metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from aimem.wire import AgentsOut, AuditPage, AuditRowOut, ConflictOut, KeyOut, KeysOut, MeshDocument
from aimem_tui.harmless import harmless_lines
from aimem_tui.sheet import Cell, Column, Line, Row, Sheet, Tone, cell, line, marked, sparkline
from aimem_tui.state import HISTORY_MAX, Figure, State
from aimem_tui.words import clock_time, count, since, span, until

AGENT_COLUMNS: Final = (
    Column(title="agent", width=16, share=3), Column(title="type", width=10, share=1),
    Column(title="role", width=8), Column(title="home", width=10, share=1), Column(title="keys", width=14),
    Column(title="seen", width=5, is_number=True), Column(title="capabilities", width=12, share=2, rank=1),
)
CONFLICT_COLUMNS: Final = (
    Column(title="noted", width=5, is_number=True), Column(title="kind", width=10),
    Column(title="object", width=10, share=1), Column(title="field", width=10),
    Column(title="value that lost", width=20, share=3), Column(title="written by", width=10, share=1),
)
AUDIT_COLUMNS: Final = (
    Column(title="time", width=8), Column(title="agent", width=12, share=2), Column(title="action", width=14, share=1),
    Column(title="decision", width=9), Column(title="namespace", width=10, share=2),
    Column(title="target", width=9, share=1), Column(title="times", width=5, rank=1, is_number=True),
)
METRIC_COLUMNS: Final = (
    Column(title="metric", width=34, share=2), Column(title="now", width=10, is_number=True),
    Column(title="", width=4), Column(title="course", width=20, share=1, is_course=True),
)
MINUTE_S: Final = 60
_SUM, _COUNT = "_seconds_sum", "_seconds_count"
_ENDS: Final = {_SUM: ", time each", _COUNT: ", how often", "_seconds": "", "_total": ""}
"""What stands for the end of a metric's name."""
_LABEL: Final = re.compile(r'\w+="((?:[^"\\]|\\.)*)"')
_DECISIONS: Final = {"allowed": Tone.GOOD, "denied": Tone.BAD, "asked": Tone.WARN}


def looked(state: State, name: str, what: str) -> tuple[Struct | None, str]:
    """What a node answered, and the sentence that stands in the place of rows: why there are none."""
    look = state.looks.get(name)
    if look is None or (look.value is None and look.trouble is None):
        return None, f"asking for {what} …"
    if look.trouble is not None:
        return look.value, f"{look.trouble.what}: {look.trouble.advice}"
    return look.value, ""


def agent_sheet(state: State) -> Sheet:
    """Registered agents and those that have keys."""
    agents, empty = looked(state, "agents", "the agents")
    keys, _ = looked(state, "keys", "their keys")
    by_agent: dict[str, list[KeyOut]] = {}
    for key in keys.keys if isinstance(keys, KeysOut) else ():
        by_agent.setdefault(key.agent_id, []).append(key)
    rows = []
    for one in agents.agents if isinstance(agents, AgentsOut) else ():
        own = by_agent.pop(one.agent_id, [])
        rows.append(Row(key=one.agent_id, cells=(
            cell(one.agent_id, Tone.STRONG), cell(one.agent_type), *_of_keys(own, state),
            cell(since(one.last_seen_at, state.wall)), cell(", ".join(one.capabilities), Tone.DIM),
        )))
    for name, own in by_agent.items():
        cells = (cell(name, Tone.STRONG), cell("-"), *_of_keys(own, state), cell("-"), cell(""))
        rows.append(Row(key=name, cells=cells))
    return Sheet(columns=AGENT_COLUMNS, rows=tuple(rows),
                 empty=empty or "no agent is registered; make keys with `ai-memory agents key add NAME`")


def _of_keys(keys: list[KeyOut], state: State) -> tuple[Cell, Cell, Cell]:
    active = [key for key in keys if key.status == "active"]
    if not keys:
        return cell("-", Tone.DIM), cell("-", Tone.DIM), cell("none", Tone.DIM)
    role, home = keys[0].role, keys[0].home or "-"
    if not active:
        return cell(role), cell(home), marked(keys[-1].status, Tone.BAD)
    soonest = min((key.expires_at for key in active if key.expires_at is not None), default=None)
    ends = "" if soonest is None else f", {until(soonest, state.wall)} left"
    return cell(role), cell(home), cell(f"{len(active)}{ends}")


def conflict_sheet(state: State) -> Sheet:
    """Writes that lost a field to one that did not know of them, the latest first."""
    found, empty = looked(state, "conflicts", "the conflicts")
    lost = found.conflicts if isinstance(found, MeshDocument) and isinstance(found.conflicts, tuple) else ()
    rows = tuple(
        Row(key=f"{no}", cells=(
            cell(since(one.noted_at, state.wall)), cell(one.kind), cell(one.key), cell(one.field),
            cell(_as_text(one.value)), cell(_writer(one, state), Tone.DIM),
        )) for no, one in enumerate(lost)
    )
    return Sheet(columns=CONFLICT_COLUMNS, rows=rows,
                 empty=empty or "no write lost to one that did not know of it")


def conflict_lines(state: State, key: str | None) -> tuple[Line, ...]:
    """The value that lost, whole, and beside it what stands now, if it was read."""
    found, _ = looked(state, "conflicts", "")
    lost = found.conflicts if isinstance(found, MeshDocument) and isinstance(found.conflicts, tuple) else ()
    if key is None or not int(key) < len(lost):
        return ()
    one = lost[int(key)]
    lines = [line(cell(f"{one.kind} {one.key}, field {one.field}", Tone.STRONG)),
             line(cell(f"lost, written by {_writer(one, state)}:", Tone.DIM))]
    lines += [line(Cell(f"  - {part}", Tone.BAD)) for part in harmless_lines(_as_text(one.value))]
    look = state.looks.get("memory")
    value = None if look is None else look.value
    now = getattr(value, one.field, None) if getattr(value, "id", None) == one.key else None
    if now is not None and now is not UNSET:
        lines.append(line(cell("stands now:", Tone.DIM)))
        lines += [line(Cell(f"  + {part}", Tone.GOOD)) for part in harmless_lines(_as_text(now))]
    return tuple(lines)


def _writer(one: ConflictOut, state: State) -> str:
    eye = state.eye
    known = {} if eye is None or eye.mesh is None else {
        eye.mesh.stream: eye.mesh.node, **{peer.stream: peer.node for peer in eye.mesh.peers}}
    return known.get(one.stream) or one.stream[:8]


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def audit_sheet(state: State) -> Sheet:
    """Who did what and was let, the latest first."""
    found, empty = looked(state, "audit", "the audit")
    rows = found.rows if isinstance(found, AuditPage) else ()
    return Sheet(columns=AUDIT_COLUMNS, rows=tuple(_audit(row) for row in rows), empty=empty or "the audit is empty")


def _audit(row: AuditRowOut) -> Row:
    tone = _DECISIONS.get(row.decision, Tone.PLAIN)
    return Row(key=str(row.seq), cells=(
        cell(clock_time(row.at), Tone.DIM), cell(row.agent_id), cell(row.action), cell(row.decision, tone),
        cell(row.namespace or "-"), cell((row.target or "-")[:36]), cell(count(row.count), Tone.DIM),
    ))


def audit_lines(state: State, key: str | None) -> tuple[Line, ...]:
    """A row of the audit, whole."""
    found, _ = looked(state, "audit", "")
    rows = found.rows if isinstance(found, AuditPage) else ()
    row = next((row for row in rows if str(row.seq) == key), None)
    if row is None:
        return ()
    shown = {"row": row.seq, "at": row.at, "agent": row.agent_id, "shown by": row.credential, "action": row.action,
             "decision": row.decision, "namespace": row.namespace, "target": row.target, "rule": row.rule,
             "detail": row.detail, "version": row.version}
    return tuple(
        line(cell(f"{name:<10}", Tone.DIM), str(value)) for name, value in shown.items() if value not in (None, "")
    )


def metric_sheet(state: State) -> Sheet:
    """The metrics of the node that is seen through: those that move first."""
    eye = state.eye
    figures: Mapping[str, Figure] = {} if eye is None else eye.figures
    shown = {name: one for name, one in figures.items() if not name.endswith(_SUM)} | _latencies(figures)
    order = sorted(shown, key=lambda name: (_is_still(shown[name]), name))
    rows = tuple(Row(key=name, cells=_figure(name, shown[name])) for name in order)
    return Sheet(columns=METRIC_COLUMNS, rows=rows, empty="no metrics yet: they are for operators, and read every 4 s")


def _latencies(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """Of what is timed, how long it took on average between two looks, in milliseconds."""
    found = {}
    for name, total in figures.items():
        times = figures.get(name.removesuffix(_SUM) + _COUNT)
        if name.endswith(_SUM) and times is not None:
            kept = min(len(total.course), len(times.course))
            means = tuple(1000 * took / often for took, often in zip(
                total.course[-kept:], times.course[-kept:], strict=True) if often) if kept else ()
            found[name] = Figure(is_counter=False, value=means[-1] if means else 0.0, read_s=total.read_s, course=means)
    return found


def _is_still(figure: Figure) -> bool:
    return len(set(figure.course)) < 2 and not (figure.is_counter and any(figure.course))


def _figure(name: str, figure: Figure) -> Line:
    now = figure.value if not figure.is_counter else figure.course[-1] if figure.course else 0.0
    plain, _, labels = name.removeprefix("ai_memory_").partition("{")
    unit = "/s" if figure.is_counter else "ms" if plain.endswith(_SUM) else "s" if plain.endswith("_seconds") else ""
    shown = f"{now:.4g}" if abs(now) < 10_000 else count(int(now))
    if unit == "ms" and not figure.course:
        shown = "-"
    elif unit == "s" and now >= MINUTE_S:
        shown, unit = span(now), ""
    for end, word in _ENDS.items():
        if plain.endswith(end):
            plain = plain.removesuffix(end) + word
            break
    of = ", ".join(_LABEL.findall(labels))
    return (
        cell(plain.replace("_", " ") + (f", {of}" if of else "")), cell(shown), cell(unit, Tone.DIM),
        cell(sparkline(figure.course, HISTORY_MAX), Tone.ACCENT),
    )
