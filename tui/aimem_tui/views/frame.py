"""What stands around every screen: the names of the screens, the state of the whole, and the help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from aimem_tui.sheet import MARKS, Cell, Line, Tone, cell, line, marked
from aimem_tui.state import State
from aimem_tui.views.mesh import reachable_count, warnings_of
from aimem_tui.words import counted, span

_EVERYWHERE: Final = (
    ("1 to 9", "the screens"),
    ("arrows, Page up, Page down, Home, End", "move in a table"),
    ("Tab", "go to the next part of a screen"),
    ("n", "look at the mesh through the next node that was named with --url"),
    ("t", "other colours: dark, light, the terminal's own sixteen"),
    ("Ctrl-P", "all commands, by name"),
    ("?", "this text"),
    ("q", "leave"),
)
_MEANINGS: Final = (
    (Tone.GOOD, "well"), (Tone.WARN, "wants to be looked at"), (Tone.BAD, "wrong"), (Tone.DIM, "not known"),
)


class Tab(Struct, frozen=True, kw_only=True):
    """A screen's key and name, and the name where there is little room."""

    key: str
    title: str
    short: str = ""


def tab_line(tabs: Sequence[Tab], current: str, state: State, width: int) -> Line:
    """The screens, the one that is seen marked; what waits stands beside the name of its screen."""
    page = state.docket.page
    waiting = 0 if page is None else sum(one.status == "pending" for one in page.pending)
    parts: list[Cell] = []
    is_wide = sum(len(tab.title) + 4 for tab in tabs) + 5 <= width
    for tab in tabs:
        count = f"({waiting})" if tab.title == "Pending" and waiting else ""
        name = f"{tab.key} {tab.title}{count}" if is_wide else f"{tab.key}{tab.short or tab.title}{count}"
        if tab.title == current:
            parts.append(cell(f"[{name}]", Tone.ACCENT))
        else:
            parts.append(cell(f" {name} " if is_wide else f"{name} ", Tone.WARN if count else Tone.PLAIN))
    return tuple(parts)


def status_line(state: State) -> Line:
    """Through which node the mesh is seen, how it is, and how old that is."""
    eye = state.eye
    if eye is None or eye.mesh is None or eye.heard_s is None or eye.trouble is not None:
        node = state.nodes[state.chosen]
        trouble = node.trouble or node.mesh_trouble
        if trouble is None:
            return line(" ", marked(f"asking {node.door} …", Tone.DIM))
        seen = "" if node.heard_s is None else f", last heard {span(state.now_s - node.heard_s)} ago"
        return line(" ", marked(f"{node.name}: {trouble.kind}{seen}; what is shown is old", Tone.BAD))
    mesh = eye.mesh
    warnings = sum(len(warnings_of(node)) + (node.trouble is not None) for node in state.nodes)
    reachable = reachable_count(state)
    tone = Tone.BAD if reachable < mesh.writes else Tone.WARN if warnings or reachable < mesh.members else Tone.GOOD
    what = f", {counted(warnings, 'warning')}" if warnings else ", all well" if tone is Tone.GOOD else ""
    followed = "" if any(node.is_followed for node in state.nodes) else "  events: not followed"
    return line(
        " ", marked(f"{reachable} of {counted(mesh.members, 'node')} reachable{what}", tone),
        cell(f"  seen by {eye.name}, {span(state.now_s - eye.heard_s)} ago{followed}", Tone.DIM),
    )


def too_small_line(width: int, height: int) -> Line:
    """Instead of the state where nothing can be read."""
    return line(marked(f"{width}x{height} is small: 80x24 shows all", Tone.WARN))


def help_lines(title: str, keys: Sequence[tuple[str, str]]) -> tuple[Line, ...]:
    """What keys, marks and colours mean, those of the screen first."""
    lines = [line(cell(title, Tone.ACCENT)), *_keys(keys)]
    lines += [line(""), line(cell("Everywhere", Tone.ACCENT)), *_keys(_EVERYWHERE)]
    lines += [line(""), line(cell("Marks", Tone.ACCENT))]
    lines += [line("  ", cell(f"{MARKS[tone]}   {word}", tone)) for tone, word in _MEANINGS]
    lines += [line("  ◂   the node through which the others are seen")]
    return tuple(lines)


def _keys(keys: Sequence[tuple[str, str]]) -> list[Line]:
    return [line("  ", cell(key, Tone.STRONG), f"  {what}") for key, what in keys]
