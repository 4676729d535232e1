"""The editor of a text of several lines: what would act on the terminal is an escape in it, and nothing gets lost."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot

from aimem.wire import MemoryPage, RecallResult
from aimem_tui.app import Console
from aimem_tui.dialogs import Editor, Help, TextField
from aimem_tui.harmless import drawable, editable, edited
from aimem_tui.panes.memories import MemoriesPane
from aimem_tui.sheet import line
from aimem_tui.state import Deed, Look
from aimem_tui.steps import Looked
from tests.hostile import TEXTS
from tests.tui.hostile import TERMINAL
from tests.tui.live import until
from tests.tui.looks import everything
from tests.tui.screens import console, shown
from tests.tui.states import after
from tests.tui.test_harmless import ANY_TEXT, is_harmless

HOSTILE = (*TEXTS.values(), *TERMINAL, "a\r\nb\rc\n\n", "tab\tand \\u202e, \\\\ and \\", "\U000e0041\U0010ffff", "\n")
REFUSED = Deed(said="not edited: it is too long", is_done=False, is_refused=True)


class Desk:
    """Where texts are handed in; `texts` are those."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def take(self, editor: Editor, text: str) -> None:
        self.texts.append(text)


async def opened(app: Console, pilot: Pilot[None], desk: Desk, text: str) -> Editor:
    editor = Editor((line("The text"),), text=text, hand_in=desk.take)
    await app.push_screen(editor)
    await pilot.pause()
    return editor


def assert_harmless(app: Console) -> None:
    for text in shown(app).split("\n"):
        assert is_harmless(text), repr(text)


@given(st.one_of(ANY_TEXT, st.text("\\uU0123456789abcdefn\n\t\u202e\u0301e", max_size=40)))
def test_a_text_that_is_shown_and_not_changed_is_exactly_what_it_was(text: str) -> None:
    seen = editable(text)
    assert edited(seen) == text
    assert drawable(seen) == seen
    assert is_harmless(seen.replace("\n", "").replace("\t", ""))


def test_lines_and_tabs_stay_and_what_acts_is_an_escape() -> None:
    assert editable("a\n\tb \\ \x1b[31m\u202e\U000e0041") == "a\n\tb \\\\ \\u001b[31m\\u202e\\U000e0041"
    assert edited("C:\\temp \\u202e \\U00110000 \\u12") == "C:\\temp \u202e \\U00110000 \\u12"


async def test_hostile_texts_never_reach_the_terminal_raw_and_are_saved_as_they_were() -> None:
    app = console(everything())
    async with app.run_test(size=(60, 20)) as pilot:
        for text in HOSTILE:
            desk = Desk()
            editor = await opened(app, pilot, desk, editable(text))
            assert_harmless(app)
            await pilot.press("down", "ctrl+s")
            assert_harmless(app)
            assert [edited(one) for one in desk.texts] == ([text] if editable(text).strip() else [])
            editor.dismiss()
            await pilot.pause()


async def test_what_is_pasted_does_not_reach_the_terminal_raw_either() -> None:
    app = console(everything())
    async with app.run_test(size=(60, 20)) as pilot:
        field = (await opened(app, pilot, Desk(), "here: ")).query_one(TextField)
        for text in HOSTILE:
            field.text = ""
            field.post_message(events.Paste(text))
            await pilot.pause()
            assert_harmless(app)
            assert bool(field.text) == bool(text)


async def test_a_memory_of_several_lines_is_edited_in_several_lines() -> None:
    state = everything()
    found = state.looks["memories"].value
    assert isinstance(found, RecallResult)
    one = found.memories[0]
    one.content = "first\nsecond \u202e"
    look = Look(value=MemoryPage(memories=(one,), count=1))
    app = console(after(Looked(name="memories", of="", look=look), state=state), pane="memories")
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(MemoriesPane).query_one("#rows").focus()
        await until(pilot, "1 row listed", "m1  acme/ops")
        await pilot.press("e")
        await until(pilot, "│ first  ", "│ second \\u202e  ")
        assert "Ctrl-S writes it." in shown(app)
        assert_harmless(app)


async def test_a_refused_text_stays_to_be_mended_and_a_taken_one_closes_the_window() -> None:
    app, desk = console(everything()), Desk()
    async with app.run_test(size=(60, 20)) as pilot:
        editor = await opened(app, pilot, desk, "too long")
        await pilot.press("ctrl+s")
        editor.told(REFUSED)
        await pilot.pause()
        assert "too long" in shown(app) and "✖ not edited: it is too long" in shown(app)
        await pilot.press("x", "ctrl+s")
        assert desk.texts == ["too long", "xtoo long"]
        assert "not edited" not in shown(app)
        editor.told(Deed(said="edited", is_done=True))
        await pilot.pause()
        assert app.screen is not editor
        editor.told(REFUSED)        # too late, and no matter


async def test_a_taken_text_closes_its_window_once_the_one_above_is_closed() -> None:
    app, desk = console(everything()), Desk()
    async with app.run_test(size=(60, 20)) as pilot:
        editor = await opened(app, pilot, desk, "text")
        await app.push_screen(Help((line("help"),)))
        editor.told(Deed(said="waits", is_done=False))
        await pilot.pause()
        assert isinstance(app.screen, Help)
        await pilot.press("escape")
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_a_policy_is_edited_as_json_on_several_lines() -> None:
    app = console(everything(), pane="namespaces")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()
        assert '  "write": "approve",' in shown(app)
        assert json.loads(app.screen.query_one(TextField).text)["delete"] == "owner"
