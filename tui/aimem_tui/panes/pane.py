"""What all screens have in common."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import ClassVar, Protocol

from textual.containers import Vertical
from textual.screen import ModalScreen

from aimem_tui.acts import Acts
from aimem_tui.dialogs import Editor
from aimem_tui.state import State


class Desk(Protocol):
    """What a screen needs of the program."""

    @property
    def state(self) -> State:
        """What is known at the moment."""
        ...

    @property
    def acts(self) -> Acts:
        """What can be asked of a node."""
        ...

    def do(self, act: Callable[[], Coroutine[object, object, object]], group: str) -> None:
        """Start an act beside everything else; one of the same group that is still under way is given up."""
        ...

    def choose(self, place: int) -> None:
        """Look through another node."""
        ...

    def ask(self, dialog: ModalScreen[str | None], then: Callable[[str], None]) -> None:
        """Open a dialog, and go on with its text unless the user does not want to."""
        ...

    def edit(self, editor: Editor) -> None:
        """Open an editor, which hands in its text itself."""
        ...


class Pane(Vertical):
    """One screen.

    Attributes:
      title: its name, and `short` where there is little room.
      keys: what its keys do, for the help.
      main: the selector of the widget that has the focus at first.
    """

    title: ClassVar[str]
    short: ClassVar[str] = ""
    keys: ClassVar[tuple[tuple[str, str], ...]] = ()
    main: ClassVar[str]

    def __init__(self, desk: Desk, *, id: str) -> None:
        """Prepare; `desk` is the program."""
        super().__init__(id=id)
        self.desk = desk

    def show(self, state: State) -> None:
        """Draw what is new."""
        raise NotImplementedError

    def open(self) -> None:
        """The user has come here: have read what is not read all the time."""
        self.query_one(self.main).focus()
