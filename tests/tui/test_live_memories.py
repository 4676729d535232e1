"""Memories, namespaces, agents, conflicts, the log and metrics on a real daemon: each screen's main action."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from aimem.wire import console
from aimem_tui.dialogs import TextField
from tests.tui.daemons import Daemon, serving
from tests.tui.live import doors_of, looking_at, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with a few memories, two of them linked, and an agent."""
    with serving([Daemon(tmp_path_factory.mktemp("one") / "x.db")]) as [daemon]:
        ids = [
            daemon.ask("POST", "/memories", {"title": title, "content": content, "namespace": "acme/office"})["id"]
            for title, content in (("Release day", "We ship on Tuesdays."), ("Coffee", "Descale it every month."),
                                   ("Old news", "Nobody reads this."))
        ]
        daemon.ask("POST", "/links", {"source_id": ids[0], "target_id": ids[1], "relation": "related_to"})
        daemon.ask("POST", "/agents", {"agent_id": "ai:planner", "agent_type": "ai:planner", "capabilities": ["plan"]})
        yield daemon


async def test_memories_are_recalled_as_one_types_with_what_their_score_is_made_of(node: Daemon) -> None:
    async with looking_at(doors_of([node]), pane="memories") as (app, pilot):
        await until(pilot, "Coffee", "Release day", "rows listed")
        await pilot.press("slash", *"tuesdays")
        text = await until(pilot, "1 found", "We ship on Tuesdays.", "score ", "words 1.00 (rank 1)", "leads to",
                           "→ related_to")
        assert "Descale" not in text
        await pilot.press("down")
        assert app.focused is not None and app.focused.id == "rows"


async def test_words_narrow_to_a_namespace(node: Daemon) -> None:
    async with looking_at(doors_of([node]), pane="memories") as (app, pilot):
        await until(pilot, "Coffee")
        app.query_one("#words", Input).value = "ns:nowhere"
        await until(pilot, "nothing is like that")


async def test_a_memory_is_edited_promoted_archived_and_deleted_with_confirmation(node: Daemon) -> None:
    id = node.ask("POST", "/memories", {"title": "Tried", "content": "Before.", "namespace": "tried"})["id"]
    async with looking_at(doors_of([node]), pane="memories") as (app, pilot):
        app.query_one("#words", Input).value = "ns:tried"
        await until(pilot, "1 row listed", "Before.")
        app.query_one("#rows").focus()
        await pilot.press("e")
        await until(pilot, "Ctrl-S writes it.")
        app.screen.query_one(TextField).text = "After.\nAnd a\\u202e line."
        await pilot.press("ctrl+s")
        await until(pilot, "edited", "After.", "And a\\u202e line.")
        await pilot.press("p")
        await until(pilot, "Promote?")
        await pilot.press("enter")
        await until(pilot, "promoted", "long, priority 5")
        await pilot.press("x")
        await until(pilot, "Archive?")
        await pilot.press("escape")
        assert node.ask("GET", f"/memories/{id}")["content"] == "After.\nAnd a\u202e line."
        await pilot.press("d")
        await until(pilot, "Delete?")
        await pilot.press("enter")
        await until(pilot, "deleted for ever", "nothing is like that")


async def test_a_policy_is_tried_then_set_and_then_holds(node: Daemon) -> None:
    async with looking_at(doors_of([node]), pane="namespaces", agent_id="ops:ann") as (app, pilot):
        await until(pilot, "  office", "no policy holds here")
        await pilot.press("o")
        await until(pilot, "A policy of which namespace?")
        await pilot.press(*"acme/office", "enter")
        await until(pilot, "The policy of acme/office")
        policy = {"write": "any", "promote": "any", "delete": "approve", "policy": "any"}
        app.screen.query_one(TextField).text = json.dumps(policy)
        await pilot.press("ctrl+s")
        await until(pilot, "Set this policy of acme/office?")
        assert node.ask("GET", "/namespaces/acme%2Foffice/standard")["governance"] is None
        await pilot.press("enter")
        await until(pilot, "set the policy of acme/office")
        await until(pilot, "holds, of acme/office: write any, promote any, delete app")
    async with looking_at(doors_of([node]), pane="memories") as (app, pilot):
        app.query_one("#words", Input).value = "ns:acme/office news"
        await until(pilot, "Old news", "1 found")
        app.query_one("#rows").focus()
        await pilot.press("d")
        await until(pilot, "Delete?")
        await pilot.press("enter")
        await until(pilot, "waits for an approval (screen 3)", "Pending(1)")


async def test_a_policy_that_is_none_is_refused_with_the_reason(node: Daemon) -> None:
    async with looking_at(doors_of([node]), pane="namespaces") as (app, pilot):
        await until(pilot, "office")
        await pilot.press("e")
        await until(pilot, "The policy of acme")
        editor = app.screen
        for text, reason in (("{", "that is no JSON object"), ('{"write": "whoever"}', "governance.")):
            editor.query_one(TextField).text = text
            await pilot.press("ctrl+s")
            await until(pilot, f"✖ not tried the policy of acme: {reason}")
            assert app.screen is editor
            assert editor.query_one(TextField).text == text


async def test_agents_log_conflicts_and_metrics_are_shown(node: Daemon) -> None:
    async with looking_at(doors_of([node])) as (_, pilot):
        await until(pilot, "● ok")
        await pilot.press("6")
        await until(pilot, "ai:planner", "plan", "none")
        await pilot.press("7")
        await until(pilot, "no write lost to one that did not know of it")
        await pilot.press("8")
        await until(pilot, "allowed", "acme/office", "decision")
        await pilot.press("9")
        await until(pilot, "memories", "http requests", "/s")


async def test_ten_thousand_rows_and_two_hundred_actions_take_no_more_widgets(tmp_path: Path) -> None:
    with serving([Daemon(tmp_path / "x.db")]) as [daemon]:
        for start in range(0, 10_000, 1000):
            rows = [{"title": f"Row {no}", "content": "x", "namespace": "many"} for no in range(start, start + 1000)]
            daemon.ask("POST", "/memories/bulk", rows)
        policy = {"write": "approve", "promote": "any", "delete": "any", "policy": "any"}
        daemon.ask("POST", "/namespaces/asked/standard", {"governance": policy})
        for no in range(200):
            daemon.ask("POST", "/memories", {"title": f"Wish {no}", "content": "x", "namespace": "asked"})
        async with looking_at(doors_of([daemon]), pane="memories", size=(80, 24)) as (app, pilot):
            await until(pilot, "1000 rows listed, and more")
            before = len(app.screen.query("*"))
            for listed in range(2000, 10_001, 1000):
                await pilot.press("end")
                await until(pilot, f"{listed} rows listed")
            await pilot.press("end", "pageup", "up", "home", "down")
            await until(pilot, "10000 rows listed", "Row ")
            assert len(app.screen.query("*")) == before < 60
            await pilot.press("3")
            await until(pilot, "200 actions waiting", "Wish 199", "+ title: Wish 199")
            before = len(app.screen.query("*"))
            await pilot.press("end", "up", "pagedown")
            await until(pilot, "Wish 0")
            assert len(app.screen.query("*")) == before < 60


async def test_a_database_on_a_socket_that_is_no_file_of_ours(tmp_path: Path) -> None:
    (tmp_path / "no.sock").write_text("not a socket")
    door = console.DoorIn(name="no.db", socket=str(tmp_path / "no.sock"))
    async with looking_at([door], size=(80, 24), pane="memories") as (_, pilot):
        await until(pilot, "no daemon answers at no.db")
