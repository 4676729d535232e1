"""The widgets that draw: every text of a node reaches the terminal through them, cell by cell, and is never markup.

They keep plain rows, and draw only the lines that are to be seen: however many rows there are, no widget is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from aimem_tui.sheet import GAP, Cell, Column, Line, Row, Sheet, Tone, fit

_TONES: Final = frozenset(f"tone--{tone}" for tone in Tone)
_STYLES: Final = """
    & > .tone--plain { color: $foreground; }
    & > .tone--dim { color: $text-muted; }
    & > .tone--strong { text-style: bold; }
    & > .tone--good { color: $text-success; }
    & > .tone--warn { color: $text-warning; text-style: bold; }
    & > .tone--bad { color: $text-error; text-style: bold; }
    & > .tone--accent { color: $text-accent; text-style: bold; }
    & > .tone--heat1 { color: $heat-text; background: $heat1; }
    & > .tone--heat2 { color: $heat-text; background: $heat2; text-style: bold; }
    & > .tone--heat3 { color: $heat-text; background: $heat3; text-style: bold reverse; }
"""

_SCROLLS: Final = "overflow-x: hidden; scrollbar-gutter: stable; scrollbar-size: 0 1; "
"""Room for the scrollbar is kept free, so that nothing is laid out anew when it comes."""


def _style(widget: Widget, tone: Tone) -> Style:
    """The style of a tone in the theme of now."""
    return widget.get_component_rich_style(f"tone--{tone}")


def _strip(widget: Widget, line: Line, width: int) -> Strip:
    """A line of cells, one behind the other."""
    strip = Strip([Segment(one.text, _style(widget, one.tone)) for one in line])
    return strip.adjust_cell_length(width, widget.rich_style)


class Lines(Widget):
    """A few lines that do not scroll; as high as they are many, and wrapped where that fits better."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(_TONES)
    DEFAULT_CSS = "Lines { height: auto; " + _STYLES + "}"

    def __init__(self, *, id: str | None = None, wraps: bool = False) -> None:
        """Make it empty; with `wraps` a line that is too long goes on in the next one."""
        super().__init__(id=id)
        self._wraps = wraps
        self._lines: tuple[Line, ...] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these from now on; nothing is done if they are the same."""
        if tuple(lines) != self._lines:
            is_higher = len(lines) != len(self._lines) or self._wraps
            self._lines = tuple(lines)
            self.refresh(layout=is_higher)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as there are to draw."""
        return len(self._laid_out(width))

    def render_line(self, y: int) -> Strip:
        """One of them."""
        lines = self._laid_out(self.size.width)
        return _strip(self, lines[y] if y < len(lines) else (), self.size.width)

    def _laid_out(self, width: int) -> Sequence[Line]:
        return [part for one in self._lines for part in wrapped(one, width)] if self._wraps else self._lines


class Reader(ScrollView, can_focus=True):
    """Lines to scroll through, wrapped at the width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(_TONES)
    DEFAULT_CSS = "Reader { height: 1fr; " + _SCROLLS + _STYLES + "}"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._laid: list[Line] = []

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these from now on."""
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self._lay_out()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the lines out anew."""
        self._lay_out()

    def _lay_out(self) -> None:
        width = max(1, self.scrollable_content_region.width)
        self._laid = [part for one in self._lines for part in wrapped(one, width)]
        self.virtual_size = Size(width, len(self._laid))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of what is to be seen."""
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        return _strip(self, self._laid[place] if place < len(self._laid) else (), width)


class Grid(ScrollView, can_focus=True):
    """A sheet with a cursor. Rows are values: drawn when they are to be seen, found again by their keys."""

    class Moved(Message):
        """The cursor is on another row, or column."""

        def __init__(self, grid: Grid) -> None:
            self.grid = grid
            super().__init__()

        @property
        def control(self) -> Grid:
            """The grid, for selectors of handlers."""
            return self.grid

    class Opened(Moved):
        """The user pressed Enter on a row, or clicked it twice."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False), Binding("down,j", "move(1)", "Down", show=False),
        Binding("left", "turn(-1)", "Left", show=False), Binding("right", "turn(1)", "Right", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False), Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000000)", "First", show=False),
        Binding("end", "move(1000000000)", "Last", show=False),
        Binding("enter", "open", "Open", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {*_TONES, "grid--head", "grid--cursor"}
    DEFAULT_CSS = "Grid { height: 1fr; " + _SCROLLS + _STYLES + """
    & > .grid--head { color: $text-muted; text-style: bold underline; }
    & > .grid--cursor { background: $row-cursor; text-style: bold; }
    }"""

    cursor: reactive[int] = reactive(0, repaint=True)
    column: reactive[int] = reactive(0, repaint=True)

    def __init__(self, *, id: str | None = None, has_cells: bool = False, shows_newest: bool = False) -> None:
        """Make it empty.

        Args:
          has_cells: whether the cursor is on a cell, not on a row.
          shows_newest: whether a cursor on the first row stays there, and not on what that row was.
        """
        super().__init__(id=id)
        self._has_cells, self._shows_newest = has_cells, shows_newest
        self._sheet = Sheet(columns=())
        self._widths: tuple[int, ...] = ()
        self._wanted: str | None = None

    @property
    def row(self) -> Row | None:
        """The one under the cursor."""
        rows = self._sheet.rows
        return rows[self.cursor] if 0 <= self.cursor < len(rows) else None

    def show(self, sheet: Sheet) -> None:
        """Draw this from now on; the cursor stays on its row, if that is still there."""
        if sheet == self._sheet:
            return
        key = None if self.row is None else self.row.key
        is_higher = len(sheet.rows) != len(self._sheet.rows)
        self._sheet = sheet
        self._lay_out()
        if self.cursor or not self._shows_newest:
            place = self._place_of(key)
            self.cursor = min(self.cursor, max(0, len(sheet.rows) - 1)) if place is None else place
        self.column = min(self.column, max(0, len(sheet.columns) - 1))
        if (None if self.row is None else self.row.key) != key:
            self.post_message(self.Moved(self))
        if self._wanted is not None:
            self.select(self._wanted)
        self.refresh(layout=is_higher)

    def select(self, key: str) -> None:
        """Go to a row, or as soon as it is there if the user does not go elsewhere before."""
        self._wanted = key
        place = self._place_of(key)
        if place is not None:
            self._go(place)

    def _place_of(self, key: str | None) -> int | None:
        return next((place for place, row in enumerate(self._sheet.rows) if row.key == key), None)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """All rows and the heading; one line where there are none."""
        return 1 + max(1, len(self._sheet.rows))

    def on_resize(self, event: events.Resize) -> None:
        """Fit the columns to the new width."""
        self._lay_out()

    def _lay_out(self) -> None:
        width = max(1, self.scrollable_content_region.width)
        self._widths = fit(self._sheet.columns, width)
        self.virtual_size = Size(width, 1 + len(self._sheet.rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The heading on top, and the rows that are to be seen below it."""
        width = self.scrollable_content_region.width
        if y == 0:
            head = [Cell(column.title.upper()) for column in self._sheet.columns]
            return self._row_strip(head, width, self.get_component_rich_style("grid--head"), -1)
        place = self.scroll_offset.y + y - 1
        if place < len(self._sheet.rows):
            is_here = place == self.cursor and (self.has_focus or self._has_cells)
            cursor = self.get_component_rich_style("grid--cursor") if is_here else None
            return self._row_strip(self._sheet.rows[place].cells, width, cursor, self.column if self._has_cells else -1)
        if place == 0 and not self._sheet.rows:
            return _strip(self, (Cell(self._sheet.empty, Tone.DIM),), width)
        return Strip.blank(width, self.rich_style)

    def _row_strip(self, cells: Sequence[Cell], width: int, over: Style | None, only: int) -> Strip:
        """A row; `over` is laid over all cells, or over cell `only` where that is one."""
        segments = []
        between = self.rich_style if over is None or only != -1 else over
        for place, (one, column, wide) in enumerate(zip(cells, self._sheet.columns, self._widths, strict=True)):
            if not wide:
                continue
            style = _style(self, one.tone)
            if over is not None and only in (-1, place):
                style += over
            segments.append(Segment(_fitted(one.text, wide, column), style))
            segments.append(Segment(" " * GAP, between))
        return Strip(segments).adjust_cell_length(width, between)

    def watch_cursor(self) -> None:
        """Keep the cursor in sight, below the heading."""
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def action_move(self, by: int) -> None:
        """Move the cursor down by so many rows."""
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move it by so many screens."""
        self._go(self.cursor + by * max(1, self.scrollable_content_region.height - 2))

    def action_turn(self, by: int) -> None:
        """Move it to another column."""
        if self._has_cells and self._sheet.columns:
            self.column = max(0, min(self.column + by, len(self._sheet.columns) - 1))
            self.post_message(self.Moved(self))

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.row is not None:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        """Go to the row that is clicked; a second click opens it."""
        if event.y >= 1 and self.scroll_offset.y + event.y - 1 < len(self._sheet.rows):
            self._go(self.scroll_offset.y + event.y - 1)
            if event.chain > 1:
                self.action_open()

    def _go(self, place: int) -> None:
        self._wanted = None
        place = max(0, min(place, len(self._sheet.rows) - 1))
        if place != self.cursor:
            self.cursor = place
            self.post_message(self.Moved(self))


def _fitted(text: str, width: int, column: Column) -> str:
    """A cell's text in exactly so many columns of the terminal."""
    length = cell_len(text)
    if length > width and column.is_course:
        return text[-width:]
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if column.is_number else text + " " * (width - length)


def wrapped(line: Line, width: int) -> list[Line]:
    """A line as several of a width, broken between words where that is possible."""
    lines: list[list[Cell]] = [[]]
    room = width
    for one in line:
        text = one.text
        while cell_len(text) > room:
            cut = _cut(text, room, is_alone=not lines[-1])
            if cut:
                lines[-1].append(Cell(text[:cut].rstrip(" "), one.tone))
            text = text[cut:].lstrip(" ") if cut else text
            lines.append([])
            room = width
        if text:
            lines[-1].append(Cell(text, one.tone))
            room -= cell_len(text)
    return [tuple(cells) for cells in lines]


def _cut(text: str, room: int, *, is_alone: bool) -> int:
    """How many characters fit, up to a blank if there is one; 0 if it is better to begin in the next line."""
    length = fits = 0
    while fits < len(text) and length + cell_len(text[fits]) <= room:
        length += cell_len(text[fits])
        fits += 1
    blank = text.rfind(" ", 0, fits + 1)
    if blank > 0:
        return blank
    return max(1, fits) if is_alone else 0
