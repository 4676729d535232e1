"""What a screen shows, as plain values: cells with a tone, rows under columns, and how columns fit a width."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from aimem_tui.harmless import harmless

GAP: Final = 1
SPARKS: Final = "▁▂▃▄▅▆▇█"


class Tone(StrEnum):
    """What a cell's colour says; its text says it, too."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    ACCENT = "accent"
    HEAT1 = "heat1"
    HEAT2 = "heat2"
    HEAT3 = "heat3"


MARKS: Final = {Tone.GOOD: "●", Tone.WARN: "▲", Tone.BAD: "✖", Tone.DIM: "○"}
"""Beside the colour, for whoever sees none."""


class Cell(Struct, frozen=True):
    """A piece of text of one tone; whoever draws it takes its text as it is."""

    text: str
    tone: Tone = Tone.PLAIN


Line = tuple[Cell, ...]


class Column(Struct, frozen=True, kw_only=True):
    """A column.

    Attributes:
      width: in terminal columns, at least.
      share: of the room that is left over; 0 if it does not grow.
      rank: columns of the highest rank go first where the room is too small; those of 0 stay.
      is_course: whether its cells are courses: where the room is too small their ends stay, not their beginnings.
    """

    title: str
    width: int
    share: int = 0
    rank: int = 0
    is_number: bool = False
    is_course: bool = False


class Row(Struct, frozen=True, kw_only=True):
    """One row; `key` names it, so that the cursor stays on it when others come and go."""

    key: str
    cells: Line


class Sheet(Struct, frozen=True, kw_only=True):
    """A table, and the sentence that stands in its place while it has no rows."""

    columns: tuple[Column, ...]
    rows: Sequence[Row] = ()
    empty: str = ""


def cell(text: object, tone: Tone = Tone.PLAIN) -> Cell:
    """A cell of foreign or own text, made harmless."""
    return Cell(harmless(str(text)), tone)


def marked(text: str, tone: Tone) -> Cell:
    """A cell that says its tone by a mark as well."""
    return cell(f"{MARKS.get(tone, ' ')} {text}", tone)


def line(*parts: str | Cell) -> Line:
    """A line of plain pieces and cells."""
    return tuple(part if isinstance(part, Cell) else cell(part) for part in parts)


def fit(columns: Sequence[Column], width: int) -> tuple[int, ...]:
    """How wide each column is drawn: 0 for one that is left out, as the terminal is too narrow for it."""
    kept = list(range(len(columns)))
    while len(kept) > 1 and _least(columns, kept) > width:
        dispensable = max(kept, key=lambda place: (columns[place].rank, place))
        if columns[dispensable].rank == 0:
            break
        kept.remove(dispensable)
    left = max(0, width - _least(columns, kept))
    shares = sum(columns[place].share for place in kept)
    widths = [0] * len(columns)
    for place in kept:
        widths[place] = columns[place].width + (left * columns[place].share // shares if shares else 0)
    return tuple(widths)


def _least(columns: Sequence[Column], kept: Sequence[int]) -> int:
    return sum(columns[place].width for place in kept) + GAP * (len(kept) - 1)


def sparkline(values: Sequence[float], width: int) -> str:
    """The latest values as bars, the largest of them full; empty without any."""
    latest = values[-width:] if width > 0 else ()
    top = max(latest, default=0.0)
    if not latest:
        return ""
    return "".join(SPARKS[min(7, int(8 * value / top)) if top > 0 else 0] for value in latest)
