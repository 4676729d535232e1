"""Windows over a screen: a question that has to be confirmed, and help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, TextArea
from textual.widgets.text_area import Edit, EditResult

from aimem_tui.drawing import Lines, Reader
from aimem_tui.harmless import drawable
from aimem_tui.sheet import Line, Tone, line, marked
from aimem_tui.state import Deed


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

    def __init__(self, lines: Sequence[Line], *, placeholder: str, needs_text: bool = False) -> None:
        """Prepare; `placeholder` stands in the empty field, which with `needs_text` may not stay so."""
        super().__init__()
        self._lines, self._placeholder, self._needs_text = tuple(lines), placeholder, needs_text

    def compose(self) -> ComposeResult:
        """The question, the field, and the keys."""
        with Vertical():
            yield Lines(id="question", wraps=True)
            yield Field(placeholder=self._placeholder, id="text")
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


class TextField(TextArea):
    """A field of several lines. Nothing gets into it that would act on the terminal, also not by a paste."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "screen.hand_in", "Save")]

    def __init__(self, text: str, *, id: str) -> None:
        super().__init__(drawable(text), id=id, highlight_cursor_line=False)

    def edit(self, edit: Edit) -> EditResult:
        """Change the text."""
        edit.text = drawable(edit.text)
        return super().edit(edit)


class Editor(ModalScreen[None]):
    """A text of several lines. Ctrl-S hands it in, and the window stays until it is told that the text was taken."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Leave it as it was")]
    DEFAULT_CSS = """
    Editor { align: center middle; }
    Editor > Vertical {
        width: 90%; max-width: 110; height: 90%; border: round $primary; background: $surface; padding: 0 1;
    }
    Editor TextField, Editor TextField:focus {
        border: none; height: 1fr; margin: 1 0; padding: 0; background: $panel; scrollbar-size: 1 1;
    }
    """

    def __init__(self, lines: Sequence[Line], *, text: str, hand_in: Callable[[Editor, str], None]) -> None:
        """Prepare; whoever gets the text by `hand_in` answers by `told`."""
        super().__init__()
        self._lines, self._text, self._hand_in = tuple(lines), text, hand_in
        self._is_taken = False

    def compose(self) -> ComposeResult:
        """What it is about, the text, and what came of handing it in."""
        with Vertical():
            yield Lines(id="question", wraps=True)
            yield TextField(self._text, id="text")
            yield Lines(id="refusal", wraps=True)
        yield Footer()

    def on_mount(self) -> None:
        """Show what it is about."""
        self.query_one("#question", Lines).show(self._lines)
        self.query_one("#text", TextField).focus()

    def action_hand_in(self) -> None:
        """Hand the text in, unless there is none."""
        text = self.query_one("#text", TextField).text
        if text.strip():
            self.query_one("#refusal", Lines).show(())
            self._hand_in(self, text)

    def told(self, deed: Deed) -> None:
        """Close if the text was taken; show why it was not, so that it can be mended."""
        if not self.is_attached:
            return
        self._is_taken = not deed.is_refused
        self.query_one("#refusal", Lines).show((line(marked(deed.said, Tone.BAD)),) if deed.is_refused else ())
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        """Close, if that had to wait for a window above."""
        if self._is_taken and self.is_active:
            self.dismiss()


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
