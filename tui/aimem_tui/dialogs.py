"""Windows over a screen: a question that has to be confirmed, and help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input

from aimem_tui.drawing import Lines, Reader
from aimem_tui.sheet import Line


class Field(Input):
    """A field that says what Enter does. Enter waits in its queue behind the letters that were typed before."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Do it")]


class Confirm(ModalScreen[str | None]):
    """Asks before something is done. Enter in the field does it, Escape does not; the result is the text, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss_none", "Do nothing")]
    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical {
        width: 90%; max-width: 100; height: auto; max-height: 90%; border: round $primary; background: $surface;
        padding: 0 1;
    }
    Confirm Input, Confirm Input:focus { border: none; height: 1; margin: 1 0; background: $panel; }
    """

    def __init__(self, lines: Sequence[Line], *, placeholder: str, needs_text: bool = False, text: str = "") -> None:
        """Prepare; `placeholder` stands in the empty field, which with `needs_text` may not stay so, `text` in it."""
        super().__init__()
        self._lines, self._placeholder, self._needs_text = tuple(lines), placeholder, needs_text
        self._text = text

    def compose(self) -> ComposeResult:
        """The question, the field, and the keys."""
        with Vertical():
            yield Lines(id="question", wraps=True)
            yield Field(self._text, placeholder=self._placeholder, id="text", select_on_focus=False)
        yield Footer()

    def on_mount(self) -> None:
        """Show the question."""
        self.query_one("#question", Lines).show(self._lines)
        self.query_one("#text", Input).focus()

    def on_input_submitted(self) -> None:
        """Do it, unless a text is missing."""
        text = self.query_one("#text", Input).value.strip()
        if text or not self._needs_text:
            self.dismiss(text)

    def action_dismiss_none(self) -> None:
        """Do nothing."""
        self.dismiss(None)


class Help(ModalScreen[None]):
    """Text to scroll through."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Close")]
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > Reader { width: 90%; height: 90%; border: round $primary; background: $surface; padding: 0 1; }
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = tuple(lines)

    def compose(self) -> ComposeResult:
        """The text."""
        yield Reader(id="help")
        yield Footer()

    def on_mount(self) -> None:
        """Show it."""
        reader = self.query_one("#help", Reader)
        reader.show(self._lines)
        reader.focus()
