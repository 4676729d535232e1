"""The program around the screens: how often it draws, keys, help, palette, small terminals."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import ContentSwitcher

from aimem_tui.app import REDRAW_S, Console
from aimem_tui.steps import Told
from tests.tui.screens import console, shown
from tests.tui.states import event, lively


def current(app: Console) -> str | None:
    return app.query_one("#panes", ContentSwitcher).current


async def test_however_much_happens_it_is_drawn_ten_times_a_second_at_most_and_rows_are_bounded() -> None:
    app = console(lively())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        widgets, drawn = len(app.screen.query("*")), app.redraw_count
        began = asyncio.get_running_loop().time()
        for no in range(100, 700):
            app.tell(Told(place=0, event=event(no)))
            if no % 20 == 0:
                await pilot.pause(0.02)
        await pilot.pause(2 * REDRAW_S)
        assert 1 <= app.redraw_count - drawn <= (asyncio.get_running_loop().time() - began) / REDRAW_S + 1
        assert app.state.happened_count >= 600
        assert len(app.state.happened) <= 500
        assert len(app.screen.query("*")) == widgets
        assert "key-699" in shown(app)


async def test_number_keys_open_screens_and_the_tab_line_says_which() -> None:
    app = console(lively())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for key, name in (("2", "Clocks"), ("3", "Pending"), ("5", "Namespaces"), ("9", "Metrics"), ("1", "Mesh")):
            await pilot.press(key)
            await pilot.pause()
            assert current(app) == name.lower()
            assert f"[{key}{name[:5]}" in shown(app).partition("\n")[0]


async def test_help_names_the_keys_of_the_screen_and_closes_again() -> None:
    app = console(lively(), pane="pending")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert "approve, reject, or comment" in shown(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "Title 1" in shown(app)


async def test_the_palette_finds_screens_and_acts_by_name() -> None:
    app = console(lively())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p")
        await pilot.pause(0.3)
        await pilot.press(*"clocks")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(0.5)
        assert current(app) == "clocks"


async def test_what_changes_something_is_asked_before() -> None:
    app = console(lively(), pane="pending")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("a")
        await pilot.pause()
        assert "Approve? store in acme/ops, asked for by ai:planner" in shown(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "Approve?" not in shown(app)


async def test_a_comment_needs_a_text() -> None:
    app = console(lively(), pane="pending")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("c", "enter")
        await pilot.pause()
        assert "Comment?" in shown(app)
        await pilot.press("x", "enter")
        await pilot.pause()
        assert "Comment?" not in shown(app)


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (59, 24), (300, 100), (2, 2)])
async def test_a_terminal_of_any_size_is_drawn_in_and_a_small_one_is_told(size: tuple[int, int]) -> None:
    app = console(lively())
    async with app.run_test(size=size) as pilot:
        for key in "123":
            await pilot.press(key)
            await pilot.pause()
        if 30 <= size[0] < 60:
            assert f"{size[0]}x{size[1]} is small" in shown(app)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "is small" not in shown(app)


async def test_colours_go_round() -> None:
    app = console(lively())
    async with app.run_test(size=(80, 24)) as pilot:
        seen = [app.theme]
        for _ in range(3):
            await pilot.press("t")
            await pilot.pause()
            seen.append(app.theme)
        assert seen == ["aimem-dark", "aimem-light", "aimem-ansi", "aimem-dark"]
        app.theme = "textual-light"     # which the palette offers as well, and knows none of our colours
        await pilot.pause()
        assert "node-a" in shown(app)
