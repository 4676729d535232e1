"""Output: data on stdout as JSON or for people, talk on stderr. Colour, bars and boxes only on a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TextIO

import msgspec

from aimem.cli.surroundings import Surroundings
from aimem.cli.text import one_line, printable, printable_json
from aimem.model import SECOND_US, Instant
from aimem.wire import encode

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[int], None]
"""Called with how much more is done."""

PLAIN_PROGRESS_FIRST_S, PLAIN_PROGRESS_EVERY_S = 2, 10
"""Off a terminal a bar is lines: none for what ends soon, and few for what lasts, so that a log stays readable."""

ANSWER_MAX_BYTES = 256

GAP = "  "
"""Between two columns of aligned lines."""

SENTENCE_INDENT = "   "
"""Before what goes on of a sentence: as wide as the number of a step."""

BOX_GAP, BOX_EDGES = 3, 2
"""What a table on a terminal takes beside its cells: between two columns, and at both ends together."""

LAST_COLUMN_MIN = 30
"""Narrower than this (and than its text) the last column of a table would be a ladder of words."""


class Screen:
    """The two output streams of a command."""

    def __init__(self, around: Surroundings) -> None:
        self._out, self._err, self._environ, self._now = around.stdout, around.stderr, around.environ, around.now

    def json(self, value: object) -> None:
        """Print a wire value as JSON, indented."""
        text = msgspec.json.format(encode(value), indent=2).decode()
        self._out.write((printable_json(text) if self._out.isatty() else text) + "\n")

    def line(self, text: str = "") -> None:
        """Print a line of data for people."""
        self._out.write((printable(text) if self._out.isatty() else text) + "\n")

    def sentence(self, text: str) -> None:
        """Print a line of data for people; one that is too long for a terminal goes on below, indented, between words.

        A word that is longer than a line, such as a path, stays whole, so that it can be copied.
        """
        if not self._out.isatty():
            self.line(text)
            return
        wrapped = textwrap.wrap(
            printable(text), self._console().width, subsequent_indent=SENTENCE_INDENT, break_long_words=False,
            break_on_hyphens=False,
        )
        self._out.write("\n".join(wrapped) + "\n")

    def begin_line(self) -> None:
        """Leave the line on which a terminal has shown what was typed, such as ^C."""
        terminal = next((stream for stream in (self._err, self._out) if stream.isatty()), None)
        if terminal is not None:
            terminal.write("\n")
            terminal.flush()

    def say(self, text: str) -> None:
        """Talk: one line on stderr."""
        self._err.write(f"ai-memory: {one_line(text)}\n")
        self._err.flush()

    def question(self, text: str, answers: BinaryIO) -> str:
        """Ask on stderr and read one line; the end of input is an empty answer."""
        self._err.write(f"ai-memory: {one_line(text)} ")
        self._err.flush()
        return answers.readline(ANSWER_MAX_BYTES).decode(errors="replace").strip()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows under headings: by rich on a terminal, else in aligned columns. Cells become one line each.

        On a terminal too narrow for them the widest cells stand below their row, so that none is cut.
        """
        cells = [[one_line(cell) for cell in row] for row in rows]
        if self._out.isatty():
            self._terminal_table(columns, cells)
            return
        for line in _aligned(columns, cells):
            self._out.write(line + "\n")

    def _terminal_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        console = self._console()
        widths = _widths(columns, rows)
        boxed = sum(widths[:-1]) + min(widths[-1], LAST_COLUMN_MIN) + BOX_GAP * (len(columns) - 1) + BOX_EDGES
        if boxed > console.width:
            _print_records(console, columns, rows)
            return
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            # Only the last column may shrink: ids and numbers cut short would be useless.
            table.add_column(column.upper(), no_wrap=column != columns[-1], overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))  # Text: memory text is no markup
        console.print(table)

    def _console(self) -> Console:
        from rich.console import Console

        return Console(
            file=self._out, force_terminal=True, no_color=bool(self._environ.get("NO_COLOR")), highlight=False,
            _environ=self._environ)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show how far something is, on stderr: a bar on a terminal, else now and then a plain line.

        Args:
          what: a gerund, such as `importing`.
          total: the sum that the advances will reach, or None if unknown.
        """
        if self._err.isatty():
            with self._bar(what, total) as advance:
                yield advance
        else:
            yield _lines(self._err, self._now, what, total)

    @contextmanager
    def _bar(self, what: str, total: int | None) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(
            file=self._err, force_terminal=True, no_color=bool(self._environ.get("NO_COLOR")), _environ=self._environ)
        # No refreshing thread of rich's: the bar is drawn when something was done.
        with Progress(console=console, auto_refresh=False, transient=True) as bar:
            task = bar.add_task(what, total=total)

            def advance(amount: int) -> None:
                bar.advance(task, amount)
                bar.refresh()

            yield advance


def _lines(stream: TextIO, now: Callable[[], Instant], what: str, total: int | None) -> Advance:
    done, shown, due = 0, 0, now() + PLAIN_PROGRESS_FIRST_S * SECOND_US

    def advance(amount: int) -> None:
        nonlocal done, shown, due
        done += amount
        if not total:
            return
        percent, at = min(100, done * 100 // total), now()
        # Whoever has read that it began is told that it ended.
        if percent > shown and (at >= due or (shown and percent == 100)):
            shown, due = percent, at + PLAIN_PROGRESS_EVERY_S * SECOND_US
            stream.write(f"ai-memory: {what}: {percent} %\n")
            stream.flush()

    return advance


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Of each column, what its widest cell or heading takes on a terminal."""
    return [max(_width(row[place]) for row in [columns, *rows]) for place in range(len(columns))]


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The heading and the rows as lines in which each column begins at one place."""
    widths = _widths(columns, rows)
    return [
        GAP.join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [[column.upper() for column in columns], *rows]
    ]


def _print_records(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row as a line of its narrow cells, and its wide ones wrapped below it, with their names."""
    from rich.padding import Padding
    from rich.text import Text

    below = places_below(_widths(columns, rows), console.width)
    beside = [place for place in range(len(columns)) if place not in below]
    heading, *lines = _aligned(
        [columns[place] for place in beside], [[row[place] for place in beside] for row in rows])
    console.print(Text(heading, style="bold"), soft_wrap=True)
    for line, row in zip(lines, rows, strict=True):
        console.print(Text(line), soft_wrap=True)
        for place in below:
            if row[place]:
                text = Text(f"{columns[place]}: {row[place]}", overflow="fold")
                console.print(Padding(text, (0, 0, 0, 4), expand=False))


def places_below(widths: Sequence[int], terminal: int) -> list[int]:
    """Which columns leave the line, the widest first, so that the others fit beside each other; in their order."""
    beside = list(range(len(widths)))
    while len(beside) > 1 and sum(widths[place] for place in beside) + len(GAP) * (len(beside) - 1) > terminal:
        beside.remove(max(beside, key=lambda place: widths[place]))
    return [place for place in range(len(widths)) if place not in beside]


def _width(text: str) -> int:
    """Columns that a line takes on a terminal: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
