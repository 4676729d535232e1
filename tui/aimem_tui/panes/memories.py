"""The screen Memories."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, Final

from msgspec import UNSET, Struct
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from aimem.client import Client
from aimem.model import SECOND_US, Instant
from aimem.wire import ArchiveRequest, ListQuery, MemoryPage, RecallQuery, UpdateMemory
from aimem_tui.dialogs import Confirm, Editor
from aimem_tui.drawing import Grid, Lines, Reader
from aimem_tui.harmless import editable, edited
from aimem_tui.panes.pane import Pane
from aimem_tui.sheet import Tone, cell, line
from aimem_tui.state import Deed, State
from aimem_tui.views.memories import LISTED_MAX, found_line, memories_of, memory_lines, memory_sheet, question_lines

DEBOUNCE_S: Final = 0.3
RECALLED: Final = 50
PAGE: Final = 1000
AGED_A_SECOND: Final = 200
"""Rows whose ages are told anew in a second: a long list's go on less often."""
NOTATION: Final = ("Ctrl-S writes it. \\u202e and the like stand for characters that would act on the terminal; "
                   "a backslash stands twice.")
_WORDS: Final = {"promote": "promoted", "archive": "archived", "delete": "deleted for ever"}


class Words(Input):
    """The field of the words; it says how it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,down,enter", "submit", "To what was found")]


class MemoriesPane(Pane):
    """Recall as you type, and the memory under the cursor: read it, edit it, promote, archive or delete it."""

    title = "Memories"
    short = "Memor."
    main = "#rows"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Recall", key_display="/"), Binding("e", "edit", "Edit"),
        Binding("p", "act('promote')", "Promote"), Binding("x", "act('archive')", "Archive"),
        Binding("d", "act('delete')", "Delete"),
    ]
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("/", "type what you look for; it is recalled as you type. Down or Enter goes to what was found"),
        ("ns:NAME tag:NAME", "among the words: only that namespace, only that tag"),
        ("e", "write the text of the memory under the cursor anew"),
        ("p, x, d", "promote, archive or delete it; each asks before, and goes the way that the policy says"),
    )
    DEFAULT_CSS = """
    MemoriesPane #words, MemoriesPane #words:focus { border: none; height: 1; background: $panel; }
    MemoriesPane #rows { height: 3fr; min-height: 4; }
    MemoriesPane #detail { height: 2fr; margin: 1 0 0 0; }
    """

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Words(placeholder="/ to recall: words, ns:NAMESPACE, tag:TAG", id="words")
        yield Lines(id="found", wraps=True)
        yield Grid(id="rows")
        yield Reader(id="detail")

    def open(self) -> None:
        """Have what there is read."""
        super().open()
        self._look()

    def show(self, state: State) -> None:
        """Draw what is new."""
        self.query_one("#found", Lines).show((found_line(state),))
        look = state.looks.get("memories")
        pause_s = max(1, len(memories_of(self._answer)) // AGED_A_SECOND)
        if look is not self._drawn or state.wall - self._drawn_at >= pause_s * SECOND_US:
            self._drawn, self._drawn_at = look, state.wall
            self.query_one("#rows", Grid).show(memory_sheet(state))
        self.query_one("#detail", Reader).show(memory_lines(state, self._under_cursor))

    _drawn: object = None
    _drawn_at = Instant(0)

    @property
    def _under_cursor(self) -> str | None:
        row = self.query_one("#rows", Grid).row
        return None if row is None else row.key

    def on_input_changed(self) -> None:
        """Recall, once no key was pressed for a moment."""
        self._look(DEBOUNCE_S)

    def on_input_submitted(self) -> None:
        """Go to what was found."""
        self.query_one("#rows", Grid).focus()

    def action_search(self) -> None:
        """Go to the words."""
        self.query_one("#words", Input).focus()

    def _look(self, after_s: float = 0.0) -> None:
        text = self.query_one("#words", Input).value
        self.desk.do(partial(self._read, text, after_s), "memories")

    async def _read(self, text: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.desk.acts.look("memories", text, partial(_find, text))

    def on_grid_moved(self, message: Grid.Moved) -> None:
        """Have the memory under the cursor read, and further rows near the end."""
        self._read_memory()
        self._read_on(message.grid.cursor)
        self.show(self.desk.state)

    def _read_memory(self) -> None:
        id = self._under_cursor
        if id is not None:
            self.desk.do(partial(self.desk.acts.look, "memory", id, lambda client: client.get(id)), "memory")

    def _read_on(self, cursor: int) -> None:
        look = self.desk.state.looks.get("memories")
        page = None if look is None else look.value
        if look is None or not isinstance(page, MemoryPage) or page.next_cursor is UNSET:
            return
        if len(page.memories) - 10 <= cursor < LISTED_MAX - 10:
            more = partial(_find_more, look.of, page)
            self.desk.do(partial(self.desk.acts.look, "memories", look.of, more), "memories")

    def action_edit(self) -> None:
        """Show the text to be changed, and write it once it is handed in."""
        id = self._under_cursor
        memory = next((one for one in memories_of(self._answer) if one.id == id), None)
        if id is not None and memory is not None:
            question = (line(cell(f"The text of {memory.title}", Tone.STRONG)), line(NOTATION))
            self.desk.edit(Editor(question, text=editable(memory.content), hand_in=partial(self._write, id)))

    def _write(self, id: str, editor: Editor, text: str) -> None:
        self.desk.do(partial(self._written, id, editor, text), "memories act")

    async def _written(self, id: str, editor: Editor, text: str) -> None:
        request = UpdateMemory(content=edited(text))
        editor.told(await self._done("edited", lambda client: client.update(id, request)))

    @property
    def _answer(self) -> Struct | None:
        look = self.desk.state.looks.get("memories")
        return None if look is None else look.value

    def action_act(self, word: str) -> None:
        """Ask whether it is meant, then do it."""
        id = self._under_cursor
        if id is None:
            return
        question = (line(cell(f"{word.capitalize()}? ", Tone.STRONG), id), *question_lines(self.desk.state, id))
        self.desk.ask(Confirm(question, placeholder=f"Enter: it is {_WORDS[word]}"),
                      lambda _: self._do(_WORDS[word], partial(_act, word, id)))

    def _do(self, said: str, act: Callable[[Client], Awaitable[object]]) -> None:
        self.desk.do(partial(self._done, said, act), "memories act")

    async def _done(self, said: str, act: Callable[[Client], Awaitable[object]]) -> Deed:
        deed = await self.desk.acts.do("memories", said, act)
        self._look()
        self._read_memory()
        return deed


async def _act(word: str, id: str, client: Client) -> object:
    if word == "promote":
        return await client.promote(id)
    if word == "archive":
        return await client.archive(ArchiveRequest(ids=[id]))
    return await client.delete(id)


async def _find(text: str, client: Client) -> Struct:
    """What there is, or with words what is recalled; `ns:` and `tag:` narrow both."""
    words = [word for word in text.split() if not word.startswith(("ns:", "tag:"))]
    if not words:
        return await client.list_memories(_listing(text, None))
    query = RecallQuery(context=" ".join(words), limit=RECALLED, namespace=_named("ns:", text),
                        tags=_named("tag:", text), explain=True)
    return await client.recall_by_query(query)


async def _find_more(text: str, page: MemoryPage, client: Client) -> Struct:
    more = await client.list_memories(_listing(text, page.next_cursor if isinstance(page.next_cursor, str) else None))
    rows = (*page.memories, *more.memories)[:LISTED_MAX]
    return MemoryPage(memories=rows, count=len(rows), next_cursor=more.next_cursor)


def _listing(text: str, cursor: str | None) -> ListQuery:
    return ListQuery(limit=PAGE, cursor=cursor, namespace=_named("ns:", text), tags=_named("tag:", text))


def _named(begin: str, text: str) -> str | None:
    return next((word.removeprefix(begin) for word in text.split() if word.startswith(begin) and word != begin), None)
