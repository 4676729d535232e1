"""The program around the screens: how often it draws, keys, help, palette, small terminals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import pytest
from textual.screen import Screen
from textual.timer import Timer, TimerCallback
from textual.widgets import ContentSwitcher

from aimem.model import SECOND_US, Instant
from aimem_tui.app import REDRAW_S, Console
from aimem_tui.state import HAPPENED_MAX, State
from aimem_tui.steps import Ticked, Told, first_state
from tests.tui.looks import everything
from tests.tui.screens import console, shown
from tests.tui.states import DOORS, NOW, after, event, lively

STEPS_A_SECOND: Final = 40


def current(app: Console) -> str | None:
    return app.query_one("#panes", ContentSwitcher).current


class Hurried(Console):
    """A console whose drawing waits by a clock of the test; `drawn_at` says when it drew, `paints` how often at all."""

    now_s = 100.0
    due_s: float | None = None
    paints = 0

    def __init__(self, state: State) -> None:
        super().__init__((), now=lambda: self.now_s, wall=lambda: NOW, state=state)
        self.drawn_at: list[float] = []

    def set_timer(self, delay: float, callback: TimerCallback | None = None, **fields: Any) -> Timer:
        """A drawing is due by our clock, everything else by Textual's."""
        if callback != self._redraw_due:
            return super().set_timer(delay, callback, **fields)
        assert self.due_s is None, "two drawings wait at once"
        self.due_s = self.now_s + delay
        return Timer(self, delay, callback=callback)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        self.paints += 1
        super()._display(screen, renderable)

    def reach(self, now_s: float) -> bool:
        """Let our clock go on. Returns: whether something was drawn."""
        self.now_s = now_s
        if self.due_s is None or now_s < self.due_s:
            return False
        self.due_s = None
        self.drawn_at.append(now_s)
        self._redraw_due()
        return True


async def test_ten_events_a_second_for_a_minute_make_ten_drawings_a_second_at_most_and_rows_are_bounded() -> None:
    app = Hurried(lively())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        widgets, paints, painted, known = len(app.screen.query("*")), app.paints, 0, app.state.happened_count
        for step in range(60 * STEPS_A_SECOND):
            now_s = 100.0 + step / STEPS_A_SECOND
            is_painted = step % (15 * STEPS_A_SECOND) < 2 * STEPS_A_SECOND      # two seconds of fifteen
            if app.reach(now_s) and is_painted:
                await pilot.pause()
                painted += 1
                assert len(app.screen.query("*")) == widgets
            if step % (STEPS_A_SECOND // 10) == 0:
                no = 100 + step // (STEPS_A_SECOND // 10)
                app.tell(Told(place=0, event=event(no)))
            if step % STEPS_A_SECOND == 0:
                app.tell(Ticked(now_s=now_s, wall=Instant(NOW + step // STEPS_A_SECOND * SECOND_US)))
            if step % (STEPS_A_SECOND // 10) == 2:     # the other node tells of it as well
                app.tell(Told(place=1, event=event(100 + step // (STEPS_A_SECOND // 10))))
        assert app.reach(200.0)
        await pilot.pause()
        assert app.state.happened_count == known + 600
        assert len(app.state.happened) == HAPPENED_MAX
        pauses_s = [later - earlier for earlier, later in pairwise(app.drawn_at)]
        assert min(pauses_s) > REDRAW_S - 1e-6
        assert 300 <= len(app.drawn_at) <= 600
        assert 50 <= painted <= app.paints - paints <= 2 * painted + 5     # a table, and then its scrollbar
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


async def test_the_palette_offers_no_help_but_ours_and_names_keys_as_they_stand_on_them() -> None:
    app = console(lively())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        offered = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert "Keys" not in offered
        assert offered["Help"] == "key ?"


async def test_the_next_node_is_offered_where_there_is_one() -> None:
    for doors, is_offered in ((DOORS, True), (DOORS[:1], False)):
        app = console(first_state(doors, NOW, 100.0))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert ("Next node" in shown(app)) is is_offered


async def test_ages_go_on_while_nothing_is_read() -> None:
    app = console(everything(), pane="memories")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert " 1d" in shown(app)
        app.state = after(Ticked(now_s=200.0, wall=Instant(NOW + 2 * 86_400 * SECOND_US)), state=app.state)
        app.redraw()
        await pilot.pause()
        assert " 3d" in shown(app)


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
