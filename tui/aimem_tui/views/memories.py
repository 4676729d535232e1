"""The screen Memories: what recall finds, or what there is, and the memory under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from aimem.wire import Explanation, LinkOut, MemoryOut, MemoryPage, MemoryWithLinks, RecallResult, ScoredMemory
from aimem_tui.harmless import harmless_lines
from aimem_tui.sheet import Cell, Column, Line, Row, Sheet, Tone, cell, line, marked
from aimem_tui.state import State
from aimem_tui.views.lists import looked
from aimem_tui.words import counted, since, until

COLUMNS: Final = (
    Column(title="score", width=5, is_number=True), Column(title="title", width=20, share=4),
    Column(title="namespace", width=12, share=2), Column(title="tier", width=5),
    Column(title="prio", width=4, rank=2, is_number=True), Column(title="author", width=10, share=1),
    Column(title="age", width=4, is_number=True),
)
LISTED_MAX: Final = 10_000
QUESTION_LINES: Final = 8


def memory_sheet(state: State) -> Sheet:
    """A row for each memory that was found."""
    found, empty = looked(state, "memories", "memories")
    rows = tuple(_row(one, state) for one in memories_of(found))
    look = state.looks.get("memories")
    nothing = "nothing is like that; other words may find more" if look is not None and look.of.strip() else (
        "there are no memories here yet")
    return Sheet(columns=COLUMNS, rows=rows, empty=empty or nothing)


def memories_of(found: object) -> Sequence[MemoryOut]:
    """The memories of an answer."""
    return found.memories if isinstance(found, MemoryPage | RecallResult) else ()


def _row(one: MemoryOut, state: State) -> Row:
    score = f"{one.score:.2f}" if isinstance(one, ScoredMemory) else "-"
    title = cell(one.title)
    if isinstance(one, ScoredMemory) and one.contradicted_by is not UNSET:
        title = marked(one.title, Tone.WARN)
    return Row(key=one.id, cells=(
        cell(score, Tone.ACCENT), title, cell(one.namespace, Tone.DIM), cell(one.tier), cell(one.priority),
        cell(one.metadata.get("agent_id", "-")), cell(since(one.created_at, state.wall)),
    ))


def found_line(state: State) -> Line:
    """How much was found, and how; or what was done last."""
    deed = state.deeds.get("memories")
    did = () if deed is None else (cell(f"  {deed.said}", Tone.GOOD if deed.is_done else Tone.WARN),)
    found, _ = looked(state, "memories", "memories")
    if isinstance(found, RecallResult):
        text = f"{found.count} found, {found.mode}; {found.below_floor} left out as unrelated"
    elif isinstance(found, MemoryPage):
        more = ", and more" if found.next_cursor is not UNSET else ""
        text = f"{counted(found.count, 'row')} listed{more}, the latest first"
    else:
        text = ""       # the table says why
    return (cell(text, Tone.DIM), *did)


def memory_lines(state: State, id: str | None) -> tuple[Line, ...]:
    """A memory with its text, what its score is made of, and its links."""
    listed, whole = _known(state, id)
    lines = _told(listed if whole is None else whole.memory, state)
    if isinstance(listed, ScoredMemory):
        lines += _score(listed)
    if id is not None and whole is not None:
        lines += link_lines(id, whole.links)
    return tuple(lines)


def question_lines(state: State, id: str) -> tuple[Line, ...]:
    """What somebody has to see who is about to do something to a memory."""
    listed, whole = _known(state, id)
    return tuple(_told(listed if whole is None else whole.memory, state)[:QUESTION_LINES])


def _known(state: State, id: str | None) -> tuple[MemoryOut | None, MemoryWithLinks | None]:
    """A memory as it was found, and as it was read on its own."""
    found, _ = looked(state, "memories", "")
    listed = next((one for one in memories_of(found) if one.id == id), None)
    look = state.looks.get("memory")
    whole = None if look is None else look.value
    return listed, whole if isinstance(whole, MemoryWithLinks) and whole.id == id else None


def _told(one: MemoryOut | None, state: State) -> list[Line]:
    """A memory with its text."""
    if one is None:
        return []
    facts = f"{one.tier}, priority {one.priority}, confidence {one.confidence:g}, source {one.source}"
    times = f"updated {since(one.updated_at, state.wall)} ago, read {one.access_count} times"
    if isinstance(one.expires_at, str):
        times += f", expires in {until(one.expires_at, state.wall)}"
    return [
        line(cell(one.title, Tone.STRONG)), line(cell(f"{one.id}  {one.namespace}", Tone.DIM)),
        line(cell(f"{facts}; {times}", Tone.DIM)),
        *([line(cell(f"tags {', '.join(one.tags)}", Tone.DIM))] if one.tags else ()),
        *(line(Cell(part)) for part in harmless_lines(one.content)),
    ]


def _score(one: ScoredMemory) -> list[Line]:
    lines = []
    if isinstance(one.contradicted_by, tuple):
        lines.append(line(marked(f"contradicted by newer: {', '.join(one.contradicted_by)}", Tone.WARN)))
    if isinstance(one.explanation, Explanation):
        lines.append(line(cell("score ", Tone.DIM), cell(f"{one.explanation.final:.3f}", Tone.ACCENT),
                          f" = {explained(one.explanation)}"))
    return lines


def explained(score: Explanation) -> str:
    """What a score is made of, in the order in which it is computed."""
    arms = [f"{name} {arm.scaled:.2f} (rank {arm.rank})"
            for name, arm in (("words", score.bm25), ("meaning", score.cosine)) if arm is not UNSET]
    factors = ("priority", "confidence", "tier", "access", "recency", "proximity")
    times = " ".join(f"×{getattr(score, name):.3f} {name}" for name in factors)
    return (f"({score.fused:.3f} [{', '.join(arms)}] + {score.time:.3f} time + {score.role:.3f} role) {times}"
            + (f"; moved by {', '.join(score.moved_by)}" if score.moved_by else ""))


def link_lines(id: str, links: Sequence[LinkOut]) -> list[Line]:
    """The links of a memory as a tree: what it leads to, and what leads to it, by relation."""
    lines: list[Line] = []
    for heading, sign, is_out in (("leads to", "→", True), ("is led to by", "←", False)):
        chosen = [one for one in links if (one.source_id == id) is is_out]
        if chosen:
            lines.append(line(cell(heading, Tone.DIM)))
        for relation in sorted({one.relation for one in chosen}):
            lines.append(line(f"  {sign} ", cell(relation, Tone.ACCENT)))
            lines += [
                line("      ", one.target_id if is_out else one.source_id, cell(_held(one), Tone.DIM))
                for one in chosen if one.relation == relation
            ]
    return lines


def _held(one: LinkOut) -> str:
    """When a link held, and who says so: its timeline."""
    parts = [f"since {one.valid_from[:10]}" if isinstance(one.valid_from, str) else f"stated {one.created_at[:10]}"]
    if isinstance(one.valid_until, str):
        parts.append(f"until {one.valid_until[:10]}")
    if isinstance(one.observed_by, str):
        parts.append(f"by {one.observed_by}")
    if isinstance(one.past, tuple):
        parts += [f"before: {past.valid_from[:10]} to {past.valid_until[:10]}" for past in one.past]
    return f"  {', '.join(parts)}"
