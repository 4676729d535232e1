"""The screens that are a table with the row under the cursor below it: Namespaces, Agents, Conflicts, Log, Metrics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from aimem.errors import InvalidRequest
from aimem.wire import AuditQuery, MeshQuery, StandardRequest
from aimem_tui.dialogs import Confirm, Editor
from aimem_tui.drawing import Grid, Lines, Reader
from aimem_tui.harmless import harmless_lines
from aimem_tui.panes.pane import Pane
from aimem_tui.sheet import Cell, Line, Sheet, Tone, cell, line
from aimem_tui.state import State
from aimem_tui.views.lists import (
    agent_sheet,
    audit_lines,
    audit_sheet,
    conflict_lines,
    conflict_sheet,
    metric_sheet,
)
from aimem_tui.views.mesh import event_sheet
from aimem_tui.views.namespaces import namespace_sheet, policy_json, policy_lines

CONFLICTS_MAX: Final = 500
AUDIT_MAX: Final = 500
QUESTION_LINES: Final = 12


class TablePane(Pane):
    """A table, and all about the row under the cursor."""

    main = "#rows"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("g", "read", "Read anew")]
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("g", "read the rows anew; they are not read all the time"), ("Tab", "go to the text below, to scroll in it"),
    )
    sheet: ClassVar[Callable[[State], Sheet]]
    DEFAULT_CSS = """
    TablePane #rows { height: 3fr; min-height: 4; }
    TablePane #detail { height: 2fr; margin: 1 0 0 0; }
    """

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Lines(id="deed", wraps=True)
        yield Grid(id="rows")
        yield Reader(id="detail")

    def open(self) -> None:
        """Have the rows read."""
        super().open()
        self.action_read()

    def show(self, state: State) -> None:
        """Draw what is new."""
        deed = state.deeds.get(self.title.lower())
        self.query_one("#deed", Lines).show(
            () if deed is None else (line(cell(deed.said, Tone.GOOD if deed.is_done else Tone.WARN)),))
        self.query_one("#rows", Grid).show(type(self).sheet(state))
        self.query_one("#detail", Reader).show(self.detail(state, self.key))

    @property
    def key(self) -> str | None:
        """Of the row under the cursor."""
        row = self.query_one("#rows", Grid).row
        return None if row is None else row.key

    def detail(self, state: State, key: str | None) -> tuple[Line, ...]:
        """All about a row; nothing, if there is no more than the row says."""
        return ()

    def action_read(self) -> None:
        """Have the rows read."""

    def on_grid_moved(self) -> None:
        """Show another row."""
        self.show(self.desk.state)


class NamespacesPane(TablePane):
    """Namespaces with their counts, and which policy holds in them."""

    title = "Namespaces"
    short = "Namesp."
    sheet = namespace_sheet
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "Edit policy"), Binding("o", "other", "Of another one"),
    ]
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("e", "edit the policy of the namespace under the cursor: it is tried first, and set once you have confirmed"),
        ("o", "make a policy of a namespace that has no memories yet"),
        *TablePane.keys,
    )

    def detail(self, state: State, key: str | None) -> tuple[Line, ...]:
        """The policy."""
        return policy_lines(state, key)

    def action_read(self) -> None:
        """Have the tree read."""
        acts = self.desk.acts
        self.desk.do(partial(acts.look, "namespaces", "", lambda client: client.get_taxonomy()), "namespaces")
        self._read_policy()

    def on_grid_moved(self) -> None:
        """Have the policy of the namespace under the cursor read."""
        super().on_grid_moved()
        self._read_policy()

    def _read_policy(self) -> None:
        key = self.key
        if key is not None:
            look = partial(self.desk.acts.look, "policy", key, lambda client: client.standards(key))
            self.desk.do(look, "policy")

    def action_edit(self) -> None:
        """Ask for a policy, try it, ask whether it is meant, set it."""
        if self.key is not None:
            self._edit(self.key)

    def action_other(self) -> None:
        """The same for a namespace that is not in the tree."""
        question = (line(cell("A policy of which namespace?", Tone.STRONG)),)
        self.desk.ask(Confirm(question, placeholder="its whole name, like acme/office", needs_text=True), self._edit)

    def _edit(self, key: str) -> None:
        question = (line(cell(f"The policy of {key}", Tone.STRONG)),
                    line("JSON. Levels are any, registered, owner and approve; approver is human, {\"agent\": ID} or "
                         "{\"consensus\": N}. It is tried first, and nothing is set yet."))
        text = policy_json(self.desk.state, key)
        self.desk.edit(Editor(question, text=text, hand_in=partial(self._try, key)))

    def _try(self, namespace: str, editor: Editor, text: str) -> None:
        self.desk.do(partial(self._try_policy, namespace, editor, text), "policy edit")

    async def _try_policy(self, namespace: str, editor: Editor, text: str) -> None:
        said = f"tried the policy of {namespace}"
        deed = await self.desk.acts.do("namespaces", said, lambda client: client.set_standard(
            namespace, _policy_request(text, dry_run=True)))
        if not deed.is_done:
            editor.told(deed)
        elif editor.is_active:
            question = (line(cell(f"Set this policy of {namespace}? ", Tone.STRONG), "Tried: it may be set."),
                        *(line(Cell(part)) for part in harmless_lines(text, QUESTION_LINES)))
            self.desk.ask(Confirm(question, placeholder="Enter sets it"), lambda _: self._set(namespace, editor, text))

    def _set(self, namespace: str, editor: Editor, text: str) -> None:
        self.desk.do(partial(self._set_policy, namespace, editor, text), "policy edit")

    async def _set_policy(self, namespace: str, editor: Editor, text: str) -> None:
        deed = await self.desk.acts.do("namespaces", f"set the policy of {namespace}", lambda client:
                                       client.set_standard(namespace, _policy_request(text, dry_run=False)))
        editor.told(deed)
        if deed.is_done:
            self.query_one("#rows", Grid).select(namespace)
        self.action_read()


def _policy_request(text: str, *, dry_run: bool) -> StandardRequest:
    try:
        policy = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"that is no JSON object: {error}", field="governance") from error
    return StandardRequest(governance=policy, dry_run=dry_run)


class AgentsPane(TablePane):
    """Registered agents, what they may do by their keys, and when they were seen."""

    title = "Agents"
    sheet = agent_sheet

    def action_read(self) -> None:
        """Have agents and keys read."""
        acts = self.desk.acts
        self.desk.do(partial(acts.look, "agents", "", lambda client: client.list_agents()), "agents")
        self.desk.do(partial(acts.look, "keys", "", lambda client: client.list_keys()), "keys")


class ConflictsPane(TablePane):
    """Writes that lost a field to one that did not know of them, beside what stands now."""

    title = "Conflicts"
    short = "Confl."
    sheet = conflict_sheet

    def detail(self, state: State, key: str | None) -> tuple[Line, ...]:
        """What lost and what stands."""
        return conflict_lines(state, key)

    def action_read(self) -> None:
        """Have the conflicts read."""
        query = MeshQuery(conflicts=CONFLICTS_MAX)
        self.desk.do(partial(self.desk.acts.look, "conflicts", "", lambda client: client.mesh(query)), "conflicts")

    def on_grid_moved(self) -> None:
        """Have what stands now read."""
        super().on_grid_moved()
        row = self.query_one("#rows", Grid).row
        if row is not None and row.cells[1].text == "memory":
            id = row.cells[2].text
            self.desk.do(partial(self.desk.acts.look, "memory", id, lambda client: client.get(id)), "memory")


class LogPane(TablePane):
    """The audit: who did what, and was let or not; or what happened."""

    title = "Log"
    sheet = audit_sheet
    BINDINGS: ClassVar[list[BindingType]] = [Binding("e", "events", "Events or audit")]
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("e", "show what happened since this console opened, or the audit"), *TablePane.keys,
    )
    _shows_events = False

    def show(self, state: State) -> None:
        """Draw what is new."""
        super().show(state)
        if self._shows_events:
            self.query_one("#rows", Grid).show(event_sheet(state))

    def detail(self, state: State, key: str | None) -> tuple[Line, ...]:
        """A row of the audit, whole."""
        return () if self._shows_events else audit_lines(state, key)

    def action_events(self) -> None:
        """Show the other of the two."""
        self._shows_events = not self._shows_events
        self.show(self.desk.state)

    def action_read(self) -> None:
        """Have the audit read."""
        query = AuditQuery(limit=AUDIT_MAX)
        self.desk.do(partial(self.desk.acts.look, "audit", "", lambda client: client.list_audit(query)), "audit")


class MetricsPane(TablePane):
    """Rates and values of the node that is seen through, with their course."""

    title = "Metrics"
    sheet = metric_sheet
    DEFAULT_CSS = "MetricsPane #detail { display: none; }"
