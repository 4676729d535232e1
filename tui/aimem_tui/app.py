"""The program: the state of the moment, the screens, and the tasks that bring news."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import ClassVar, Final

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import ModalScreen, Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Footer

from aimem.model import Instant
from aimem_tui.acts import Acts
from aimem_tui.dialogs import Editor, Help
from aimem_tui.doors import Door
from aimem_tui.drawing import Lines
from aimem_tui.feed import Feed
from aimem_tui.panes.clocks import ClocksPane
from aimem_tui.panes.memories import MemoriesPane
from aimem_tui.panes.mesh import MeshPane
from aimem_tui.panes.pane import Pane
from aimem_tui.panes.pending import PendingPane
from aimem_tui.panes.tables import AgentsPane, ConflictsPane, LogPane, MetricsPane, NamespacesPane
from aimem_tui.state import State
from aimem_tui.steps import Chosen, Step, Ticked, Told, first_state, step
from aimem_tui.themes import DARK, THEMES
from aimem_tui.views.frame import Tab, help_lines, status_line, tab_line, too_small_line

REDRAW_S: Final = 0.1
"""However much happens, it is drawn ten times a second at most."""
TICK_S: Final = 1.0
DOCKET_EVERY: Final = 10
"""Ticks between two looks at what waits, where no event tells of it."""
PANES: Final[tuple[type[Pane], ...]] = (
    MeshPane, ClocksPane, PendingPane, MemoriesPane, NamespacesPane, AgentsPane, ConflictsPane, LogPane, MetricsPane,
)
LEAST_COLUMNS, LEAST_LINES = 60, 16


class Console(App[None]):
    """The console. Everything that is told goes through `tell`; everything that is drawn through `redraw`."""

    CSS = """
    Screen { layers: base; }
    #tabs { background: $panel; }
    #status { background: $panel; }
    ContentSwitcher { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(place + 1), f"switch({place})", pane.title, show=False) for place, pane in enumerate(PANES)),
        Binding("n", "next_node", "Next node"),
        Binding("t", "theme", "Colours", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self, doors: tuple[Door, ...], *, now: Callable[[], float], wall: Callable[[], Instant], pane: str = "mesh",
        theme: str = "dark", state: State | None = None,
    ) -> None:
        """Prepare.

        Args:
          doors: the ways to the nodes; whoever opened them closes them.
          now, wall: the time, as seconds of a monotonic clock and as an instant.
          state: what to begin with; a state that is given stays as it is, and nobody is asked.
        """
        super().__init__()
        for one in THEMES.values():
            self.register_theme(one)
        self.theme = THEMES[theme].name
        self.state = state or first_state(tuple(door.name for door in doors), wall(), now())
        self.redraw_count = 0
        self._is_live = state is None
        self._now, self._wall, self._pane = now, wall, pane
        self._redraw: Timer | None = None
        self._ticks = 0
        self._feeds = [Feed(place, door, self.tell, now) for place, door in enumerate(doors)]
        self.acts = Acts(doors, lambda: self.state, self.tell, now)

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Lines(id="tabs")
        yield Lines(id="status")
        with ContentSwitcher(initial=self._pane, id="panes"):
            for pane in PANES:
                yield pane(self, id=pane.title.lower())
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Open the first screen, and begin to ask."""
        self.title = "ai-memory console"
        if self._is_live:
            for place, feed in enumerate(self._feeds):
                self.do(feed.run, f"feed {place}")
            self.set_interval(TICK_S, self._tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.pane.open()
        self.redraw()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of ours that themes of others lack."""
        return dict(DARK.variables)

    # -- news

    def tell(self, event: Step) -> None:
        """Take a piece of news in; it is drawn within a tenth of a second, together with all that comes meanwhile."""
        self.state = step(self.state, event)
        if isinstance(event, Told) and event.event.event.startswith("pending"):
            self._read_docket()
        if self._redraw is None and self.is_running:
            self._redraw = self.set_timer(REDRAW_S, self._redraw_due)

    def _redraw_due(self) -> None:
        self._redraw = None
        self.redraw()

    def redraw(self) -> None:
        """Draw the screen that is to be seen, as far as it changed."""
        if not self.screen_stack:
            return      # the program is ending
        self.redraw_count += 1
        base = self.screen_stack[0]
        try:
            tabs = tuple(
                Tab(key=str(place), title=pane.title, short=pane.short) for place, pane in enumerate(PANES, 1))
            width = self.size.width
            is_small = width < LEAST_COLUMNS or self.size.height < LEAST_LINES
            base.query_one("#tabs", Lines).show((tab_line(tabs, self.pane.title, self.state, width),))
            status = too_small_line(width, self.size.height) if is_small else status_line(self.state)
            base.query_one("#status", Lines).show((status,))
            self.pane.show(self.state)
        except NoMatches:   # not laid out yet, or not any more
            return

    def _tick(self) -> None:
        self._ticks += 1
        self.tell(Ticked(now_s=self._now(), wall=self._wall()))
        if self._ticks % DOCKET_EVERY == 1:
            self._read_docket()

    def _read_docket(self) -> None:
        self.do(partial(self.acts.read_docket, shows_all=self.state.docket.shows_all), "docket")

    # -- what screens use

    @property
    def pane(self) -> Pane:
        """The screen that is to be seen."""
        base = self.screen_stack[0]
        return base.query_one(f"#{base.query_one('#panes', ContentSwitcher).current}", Pane)

    def do(self, act: Callable[[], Coroutine[object, object, object]], group: str) -> None:
        """Start an act beside everything else; one of the same group that is still under way is given up."""
        if self._is_live and self.is_running:
            self.run_worker(act, group=group, exclusive=True)

    def ask(self, dialog: ModalScreen[str | None], then: Callable[[str], None]) -> None:
        """Open a dialog, and go on with its text unless the user does not want to."""
        def after(text: str | None) -> None:
            if text is not None:
                then(text)

        self.push_screen(dialog, after)

    def edit(self, editor: Editor) -> None:
        """Open an editor, which hands in its text itself."""
        self.push_screen(editor)

    def choose(self, place: int) -> None:
        """Look through another node."""
        self.tell(Chosen(place=place))
        self.pane.open()

    # -- keys

    def action_switch(self, place: int) -> None:
        """Open a screen."""
        self._open(PANES[place].title.lower())

    def _open(self, name: str) -> None:
        if len(self.screen_stack) > 1:
            return
        self.query_one("#panes", ContentSwitcher).current = name
        self.pane.open()
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key is offered: there may be no other node to go to."""
        return action != "next_node" or len(self.state.nodes) > 1

    def action_next_node(self) -> None:
        """Look through the next node."""
        self.choose(self.state.chosen + 1)

    def action_theme(self) -> None:
        """Go on to the next colours."""
        names = [theme.name for theme in THEMES.values()]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(Help(help_lines(self.pane.title, self.pane.keys)))

    def on_resize(self) -> None:
        """Say so if the terminal is too small."""
        self.call_after_refresh(self.redraw)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers: the screens, what the one that is seen can do, and the program's own."""
        for place, pane in enumerate(PANES):
            what = (pane.__doc__ or "").partition("\n")[0]
            yield SystemCommand(pane.title, what, partial(self.action_switch, place))
        for active in screen.active_bindings.values():
            if active.binding.show:
                act = partial(self.call_later, self.run_action, active.binding.action, active.node)
                yield SystemCommand(active.binding.description, f"key {self.get_key_display(active.binding)}", act)
        for command in super().get_system_commands(screen):
            if command.title != "Keys":     # our help says what they do
                yield command
