"""The console without a network: its screens on a state that stays, and what a terminal would show of them."""

from __future__ import annotations

from aimem_tui.app import Console
from aimem_tui.state import State
from tests.tui.states import DOORS, NOW, after


def console(state: State | None = None, *, pane: str = "mesh", theme: str = "dark") -> Console:
    """A console that asks nobody."""
    return Console(
        (), now=lambda: 101.0, wall=lambda: NOW, pane=pane, theme=theme, state=state or after(),
    )


def shown(app: Console) -> str:
    """The lines of the terminal, without their blanks at the end."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


__all__ = ["DOORS", "console", "shown"]
