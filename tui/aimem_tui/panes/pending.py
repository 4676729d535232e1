"""The screen Pending."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from aimem_tui.acts import Decision
from aimem_tui.dialogs import Confirm
from aimem_tui.drawing import Grid, Lines, Reader
from aimem_tui.panes.pane import Pane
from aimem_tui.sheet import Line, Tone, cell, line
from aimem_tui.state import State
from aimem_tui.views.pending import detail_lines, heading_lines, pending_sheet, question_lines

_HINTS: Final = {
    Decision.APPROVE: "a comment, or nothing; Enter approves", Decision.REJECT: "why, or nothing; Enter rejects",
    Decision.COMMENT: "what you want to say; Enter sends it",
}


class PendingPane(Pane):
    """The queue, what the action under the cursor would change, and the decision."""

    title = "Pending"
    main = "#queue"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "decide('approve')", "Approve"), Binding("r", "decide('reject')", "Reject"),
        Binding("c", "decide('comment')", "Comment"), Binding("h", "history", "History"),
    ]
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("a, r, c", "approve, reject, or comment on the action under the cursor; each asks before it is done"),
        ("h", "show what was decided before as well, or only what waits"),
        ("Tab", "go to the text below, to scroll in it"),
    )
    DEFAULT_CSS = """
    PendingPane #queue { height: 2fr; min-height: 4; }
    PendingPane #detail { height: 3fr; margin: 1 0 0 0; }
    """

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Lines(id="heading", wraps=True)
        yield Grid(id="queue")
        yield Reader(id="detail")

    def open(self) -> None:
        """Have the queue read."""
        super().open()
        self._read(shows_all=self.desk.state.docket.shows_all)

    def show(self, state: State) -> None:
        """Draw what is new."""
        self.query_one("#heading", Lines).show(heading_lines(state))
        self.query_one("#queue", Grid).show(pending_sheet(state))
        self.query_one("#detail", Reader).show(detail_lines(state, self._under_cursor))

    @property
    def _under_cursor(self) -> str | None:
        row = self.query_one("#queue", Grid).row
        return None if row is None else row.key

    def _read(self, *, shows_all: bool) -> None:
        self.desk.do(partial(self.desk.acts.read_docket, shows_all=shows_all), "docket")

    def on_grid_moved(self) -> None:
        """Have the action under the cursor read, and show that it is being read."""
        if self._under_cursor is not None:
            self.desk.do(partial(self.desk.acts.read_detail, self._under_cursor), "detail")
        self.show(self.desk.state)

    def action_history(self) -> None:
        """Show decided ones too, or no longer."""
        self._read(shows_all=not self.desk.state.docket.shows_all)

    def action_decide(self, word: str) -> None:
        """Ask whether it is meant, then do it."""
        decision, id = Decision(word), self._under_cursor
        if id is not None:
            dialog = Confirm(
                self._question(decision, id), placeholder=_HINTS[decision], needs_text=decision is Decision.COMMENT
            )
            self.desk.ask(dialog, partial(self._decide, id, decision))

    def _decide(self, id: str, decision: Decision, text: str) -> None:
        self.desk.do(partial(self.desk.acts.decide, id, decision, text), f"decide {id}")

    def _question(self, decision: Decision, id: str) -> tuple[Line, ...]:
        page = self.desk.state.docket.page
        one = next((one for one in (() if page is None else page.pending) if one.id == id), None)
        what = id if one is None else f"{one.action_type} in {one.namespace}, asked for by {one.requested_by}"
        head = line(cell(f"{decision.capitalize()}? ", Tone.STRONG), what)
        return (head, *question_lines(self.desk.state, id))
