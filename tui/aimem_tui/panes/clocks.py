"""The screen Clocks."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from aimem_tui.drawing import Grid, Lines
from aimem_tui.panes.pane import Pane
from aimem_tui.state import State
from aimem_tui.views.clocks import clock_sheet, focus_lines, verify_lines


class ClocksPane(Pane):
    """Who knows how much of whom, and whether the copies are equal."""

    title = "Clocks"
    main = "#matrix"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("v", "verify", "Verify now")]
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("arrows", "go from cell to cell; the exact numbers stand below"),
        ("v", "have the node compare the digests of all copies now"),
        ("=", "in the matrix: it lacks nothing of that origin; -12: it lacks twelve ops"),
    )
    DEFAULT_CSS = """
    ClocksPane #matrix { height: auto; max-height: 60%; }
    ClocksPane #focus { margin: 1 0; }
    """

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Grid(id="matrix", has_cells=True)
        yield Lines(id="focus", wraps=True)
        yield Lines(id="digests", wraps=True)

    def show(self, state: State) -> None:
        """Draw what is new."""
        matrix = self.query_one("#matrix", Grid)
        matrix.show(clock_sheet(state))
        row = matrix.row
        self.query_one("#focus", Lines).show(focus_lines(state, "" if row is None else row.key, matrix.column))
        self.query_one("#digests", Lines).show(verify_lines(state))

    def on_grid_moved(self) -> None:
        """Show the numbers of another cell."""
        self.show(self.desk.state)

    def action_verify(self) -> None:
        """Compare now."""
        self.desk.do(self.desk.acts.verify, "verify")
