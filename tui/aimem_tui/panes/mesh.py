"""The screen Mesh."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from aimem_tui.drawing import Grid, Lines
from aimem_tui.panes.pane import Pane
from aimem_tui.state import State
from aimem_tui.views.mesh import event_sheet, mesh_sheet, quorum_lines, warning_lines


class MeshPane(Pane):
    """Nodes, quorum, what is wrong, and what happens."""

    title = "Mesh"
    main = "#nodes"
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("Enter", "look at the mesh through the node under the cursor, if it was named with --url"),
    )
    DEFAULT_CSS = """
    MeshPane #nodes { height: auto; max-height: 45%; }
    MeshPane #quorum { margin: 0 0 1 0; }
    MeshPane #warnings { max-height: 25%; margin: 1 0 0 0; }
    MeshPane #happened { margin: 1 0 0 0; min-height: 3; }
    """

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Lines(id="quorum", wraps=True)
        yield Grid(id="nodes")
        yield Lines(id="warnings", wraps=True)
        yield Grid(id="happened", shows_newest=True)

    def show(self, state: State) -> None:
        """Draw what is new."""
        self.query_one("#quorum", Lines).show(quorum_lines(state))
        self.query_one("#nodes", Grid).show(mesh_sheet(state))
        warnings = self.query_one("#warnings", Lines)
        warnings.show(warning_lines(state))
        warnings.display = bool(warning_lines(state))
        self.query_one("#happened", Grid).show(event_sheet(state))

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Look through another node."""
        if message.grid.id == "nodes" and message.grid.cursor < len(self.desk.state.nodes):
            self.desk.choose(message.grid.cursor)
