"""The widgets draw rows as they are: hostile text as text, only what is to be seen, the cursor on its row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from aimem_tui.drawing import Grid, Lines, Reader, wrapped
from aimem_tui.harmless import harmless_lines
from aimem_tui.sheet import Cell, Column, Line, Row, Sheet, Tone, cell, line
from aimem_tui.themes import DARK
from tests.hostile import TEXTS
from tests.tui.hostile import TERMINAL
from tests.tui.test_harmless import ANY_TEXT, is_harmless

COLUMNS = (Column(title="key", width=8), Column(title="text", width=10, share=1), Column(title="n", width=3, rank=1))


def sheet(texts: Sequence[str]) -> Sheet:
    return Sheet(columns=COLUMNS, empty="nothing", rows=tuple(
        Row(key=str(no), cells=(cell(f"k{no}"), cell(text, Tone.WARN), cell(no))) for no, text in enumerate(texts)))


class Zoo(App[None]):
    """Each of our widgets."""

    CSS = "Lines { height: 4; } Grid { height: 8; } Reader { height: 8; }"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    def compose(self) -> ComposeResult:
        yield Lines(id="lines", wraps=True)
        yield Grid(id="grid")
        yield Reader(id="reader")

    def draw(self, texts: Sequence[str]) -> None:
        lines = [line(cell("x ", Tone.STRONG), text) for text in texts]
        self.query_one(Lines).show(lines[:4])
        self.query_one(Grid).show(sheet(texts))
        self.query_one(Reader).show([*lines, *(line(Cell(part)) for text in texts for part in harmless_lines(text, 3))])

    def drawn(self) -> list[str]:
        return ["".join(one.text for one in strip) for strip in self.screen._compositor.render_strips()]


def assert_harmless(app: Zoo) -> None:
    """Nothing of the screen acts, and every line is as wide as the screen: nothing shifts."""
    for text in app.drawn():
        assert is_harmless(text), repr(text)
        assert cell_len(text) == app.size.width, repr(text)


async def test_hostile_texts_are_drawn_as_text_in_every_widget() -> None:
    app = Zoo()
    async with app.run_test(size=(60, 24)) as pilot:
        for text in (*TEXTS.values(), *TERMINAL):
            app.draw([text] * 6)
            await pilot.pause()
            assert_harmless(app)
        app.draw(["[red]not red[/red]"] * 6)
        await pilot.pause()
        assert sum("[red]not red[/red]" in text for text in app.drawn()) >= 12


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ANY_TEXT, min_size=1, max_size=8))
def test_any_text_leaves_every_line_as_wide_as_it_was(texts: list[str]) -> None:
    for width in (5, 60):
        for text in texts:
            for part in wrapped(line("x ", text), width):
                assert sum(cell_len(one.text) for one in part) <= max(2, width)
            whole = "".join(one.text for part in wrapped(line(text), width) for one in part)
            assert whole.replace(" ", "") == cell(text).text.replace(" ", "")


async def test_however_many_rows_no_widget_is_made_and_only_lines_in_sight_are_drawn() -> None:
    app = Zoo()
    async with app.run_test(size=(60, 24)) as pilot:
        grid = app.query_one(Grid)
        app.draw([f"row {no}" for no in range(10)])
        await pilot.pause()
        before = len(app.screen.query("*"))
        grid.show(sheet([f"row {no}" for no in range(10_000)]))
        grid.focus()
        drawn: list[int] = []
        render = grid.render_line
        grid.render_line = lambda y: (drawn.append(y), render(y))[1]  # type: ignore[method-assign,func-returns-value]
        for key in ("end", "home", "pagedown", "down", "up"):
            drawn.clear()
            await pilot.press(key)
            await pilot.pause()
            assert len(drawn) <= 4 * grid.size.height, key
        assert len(app.screen.query("*")) == before


async def test_the_cursor_stays_on_its_row_when_others_come_before_it() -> None:
    app = Zoo()
    async with app.run_test(size=(60, 24)) as pilot:
        grid = app.query_one(Grid)
        rows = sheet(["a", "b", "c"])
        grid.show(rows)
        grid.focus()
        await pilot.press("down")
        assert grid.row is not None and grid.row.key == "1"
        new = Row(key="new", cells=(cell("x"), cell("y"), cell("z")))
        grid.show(Sheet(columns=COLUMNS, rows=(new, *rows.rows)))
        assert grid.row.key == "1"
        grid.show(Sheet(columns=COLUMNS, rows=()))
        assert grid.row is None
        await pilot.press("down", "end", "enter")


async def test_a_row_is_gone_to_as_soon_as_it_is_there_unless_the_user_went_elsewhere() -> None:
    app = Zoo()
    async with app.run_test(size=(60, 24)) as pilot:
        grid = app.query_one(Grid)
        grid.show(sheet(["a", "b", "c"]))
        grid.select("1")
        assert grid.row is not None and grid.row.key == "1"
        grid.select("3")
        assert grid.row.key == "1"
        grid.show(sheet(["a", "b", "c", "d"]))
        assert grid.row.key == "3"
        grid.select("4")
        grid.focus()
        await pilot.press("up")
        grid.show(sheet(["a", "b", "c", "d", "e"]))
        assert grid.row.key == "2"


async def test_the_end_of_a_long_table_is_in_sight_below_its_heading() -> None:
    app = Zoo()
    async with app.run_test(size=(60, 24)) as pilot:
        app.draw([f"row {no}" for no in range(100)])
        await pilot.pause()
        app.query_one(Grid).focus()
        await pilot.press("end")
        await pilot.pause()
        text = "\n".join(app.drawn())
        assert "row 99" in text
        assert "KEY" in text


async def test_no_piece_of_the_screen_is_left_in_the_colours_of_the_terminal() -> None:
    app = Zoo()
    async with app.run_test(size=(60, 24)) as pilot:
        app.draw(["a", "b", "c"])
        await pilot.pause()
        for strip in app.screen._compositor.render_strips():
            assert all(one.style is not None and one.style.bgcolor is not None for one in strip), strip.text


async def test_a_click_goes_to_a_row() -> None:
    app = Zoo()
    async with app.run_test(size=(60, 24)) as pilot:
        app.draw(["a", "b", "c"])
        await pilot.pause()
        await pilot.click(Grid, offset=(3, 3))
        row = app.query_one(Grid).row
        assert row is not None and row.key == "2"


@pytest.mark.parametrize(("text", "width", "expected"), [
    ("one two three", 7, ["one two", "three"]), ("onetwothree", 5, ["onetw", "othre", "e"]), ("", 5, [""]),
    ("日本語", 4, ["日本", "語"]),
])
def test_lines_break_between_words_if_they_can(text: str, width: int, expected: list[str]) -> None:
    def plain(part: Line) -> str:
        return "".join(one.text for one in part)

    assert [plain(part) for part in wrapped(line(text), width)] == expected
