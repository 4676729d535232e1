"""Each screen's main action on real daemons, and a node that dies and comes back meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aimem.wire import console
from tests.tui.daemons import Daemon, meshed
from tests.tui.live import doors_of, looking_at, until

pytestmark = pytest.mark.slow

NAMESPACE = "asked"
POLICY = {"write": "approve", "promote": "approve", "delete": "approve", "policy": "any"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Daemon]]:
    """Two daemons that know each other; `asked` wants everything approved by a person."""
    with meshed(tmp_path_factory.mktemp("mesh"), 2) as daemons:
        daemons[0].ask("POST", f"/namespaces/{NAMESPACE}/standard", {"governance": POLICY})
        yield daemons


def queue(node: Daemon, title: str) -> str:
    """Have an agent ask for a memory; the action's id."""
    body = {"title": title, "content": f"The text of {title}.", "namespace": NAMESPACE}
    answer: dict[str, str] = node.ask("POST", "/memories", body)
    return answer["pending_id"]


async def test_nodes_events_and_a_node_that_dies_and_comes_back_are_seen(nodes: Sequence[Daemon]) -> None:
    async with looking_at(doors_of(nodes)) as (_, pilot):
        text = await until(pilot, "2 of 2 nodes reachable", "a write finds its quorum", "the mesh is open")
        assert text.count("▲ warning") == 2      # of that
        await until(pilot, "nothing has happened since this console opened")
        nodes[0].ask("POST", "/memories", {"title": "Seen", "content": "x", "namespace": "acme/seen"})
        await until(pilot, "acme/seen", "ai:planner", "2 of 2")
        nodes[1].end()
        await until(pilot, "✖ offline", f"nothing listens at {nodes[1].url}", "writes are refused (503)")
        nodes[1].start()
        await until(pilot, "2 of 2 nodes reachable", "a write finds its quorum")


async def test_the_copies_are_compared_by_one_key(nodes: Sequence[Daemon]) -> None:
    async with looking_at(doors_of(nodes), size=(80, 24), pane="clocks") as (_, pilot):
        await until(pilot, "N0", "N1", "not compared yet")
        await pilot.press("v")
        await until(pilot, "compared 0s ago by n0", "● n1 equal")


async def test_an_action_is_looked_at_and_approved_and_seen_on_every_node(nodes: Sequence[Daemon]) -> None:
    waiting = queue(nodes[0], "Tuesday")
    async with looking_at(doors_of(nodes), pane="pending", agent_id="ops:ann") as (_, pilot):
        await until(pilot, "Pending(1)", "Tuesday", "+ content: The text of Tuesday.", "a person")
        await pilot.press("a")
        await until(pilot, "Approve? store in asked, asked for by ai:planner")
        await pilot.press(*"fine", "enter")
        await until(pilot, "nothing waits for a decision", "approved and done; ● applied: on 2 of 2 nodes")
        await pilot.press("h")
        await until(pilot, "approve by you: approved and done", "applied: on 2 of 2 nodes", "● n1", "ops:ann", ": fine")
    decided = nodes[1].ask("GET", f"/pending/{waiting}")
    assert (decided["status"], decided["decided_by"]) == ("approved", "ops:ann")


async def test_an_action_is_commented_and_rejected_through_another_node(nodes: Sequence[Daemon]) -> None:
    waiting = queue(nodes[0], "Sunday")
    async with looking_at(doors_of(nodes)[1:], pane="pending", agent_id="ops:ann") as (_, pilot):
        await until(pilot, "Sunday", "+ content: The text of Sunday.")
        await pilot.press("c")
        await until(pilot, "Comment?")
        await pilot.press(*"why?", "enter")
        await until(pilot, "comment by you: said", "ops:ann at", ": why?")
        await pilot.press("r")
        await until(pilot, "Reject?")
        await pilot.press("enter")
        await until(pilot, "nothing waits for a decision")
    assert nodes[0].ask("GET", f"/pending/{waiting}")["status"] == "rejected"


async def test_the_socket_of_a_database_needs_neither_address_nor_key(nodes: Sequence[Daemon]) -> None:
    door = console.DoorIn(name=str(nodes[0].db), socket=nodes[0].socket)
    async with looking_at([door], size=(80, 24)) as (_, pilot):
        await until(pilot, "2 of 2 nodes reachable", "n0", "n1", "● ok")     # n1 is seen, not asked


async def test_a_database_that_nobody_serves_says_how_to_start_a_daemon(tmp_path: Path) -> None:
    door = console.DoorIn(name="x.db", socket=str(tmp_path / "x.db.sock"))
    async with looking_at([door], size=(80, 24)) as (_, pilot):
        await until(pilot, "no daemon answers at x.db: start one with `ai-memory serve`")
        await pilot.press("3")
        await until(pilot, "no daemon answers at x.db")
