"""A node comes and goes while agents write: it becomes complete, and nothing that it acknowledged goes with it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import httpx
import pytest
import trio

from tests.mesh.conftest import BRIEF
from tests.mesh.test_promises import SHARED, Fleet, assert_kept, fleet_of, pending_at, what_all_show
from tests.mesh.years import WAITING_S, document, ready, shows
from tests.system.members import Mesh, free_ports, start_all
from tests.system.processes import ask, command

pytestmark = pytest.mark.slow

FIRST: Final = (0, 1, 2, 3)
FIFTH: Final = 4
ALONE_S, TOGETHER_S = 2.0, 4.0


class Configured(Mesh):
    """Daemons that are told of each other by files, as an operator does where members change.

    Attributes:
      members: who is in the files now.
    """

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        """Find ports; nothing is started."""
        super().__init__(folder, len(FIRST), nursery, {"AI_MEMORY_API_KEY": SHARED})
        self.members = FIRST
        for number in FIRST:
            self.tell(number)

    def file(self, number: int) -> Path:
        """The configuration of a node."""
        return self.folder / f"n{number}.toml"

    def tell(self, number: int) -> None:
        """Write a node's configuration."""
        peers = ",".join(self.address(other) for other in self.members if other != number)
        self.file(number).write_text(
            f'# Who is there\n[mesh]\nquorum_peers = "{peers}"\nquorum_writes = 2\ncatchup_interval_secs = 1\n'
        )

    def address(self, number: int) -> str:
        return f"http://127.0.0.1:{self.ports[number]}"

    def client(self, headers: dict[str, str] | None = None, timeout: float = 60) -> httpx.AsyncClient:
        return super().client({"X-API-Key": SHARED, **(headers or {})}, timeout)

    def words(self, number: int) -> list[str]:
        program, module, name, *rest = command(
            self.db(number), "serve", "--port", str(self.ports[number]), "--node-name", f"n{number}"
        )
        return [program, module, name, "--config", str(self.file(number)), *rest]

    async def change(self, members: tuple[int, ...], *verb: str) -> None:
        """Have all of them know who is a member: the first by a command, the others by their files and a signal.

        Args:
          verb: of `mesh`, and what it wants.
        """
        self.members = members
        done = await ask(self.db(0), "--config", str(self.file(0)), "mesh", *verb)
        assert done.returncode == 0, done.stderr.decode()
        for number in members[1:]:
            self.tell(number)
            self.processes[number].signal(signal.SIGHUP)
        for number in members:
            await shows(self, number, lambda found: found["members"] == len(members))


async def test_a_fifth_node_joins_while_eight_agents_write_and_leaves_again_and_no_promise_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with trio.open_nursery() as nursery:
        mesh = Configured(tmp_path, nursery)
        await start_all(mesh)
        async with fleet_of(mesh, BRIEF.agents) as fleet:
            is_over = trio.Event()
            async with trio.open_nursery() as deciding:
                deciding.start_soon(fleet.judge.work, fleet.waiting)
                async with fleet.to_judge, trio.open_nursery() as writing:
                    for agent in fleet.agents:
                        writing.start_soon(agent.work, is_over)
                    await trio.sleep(ALONE_S)
                    await come(mesh)
                    for caller in (fleet.judge, *fleet.agents):
                        caller.urls.append(mesh.url(FIFTH))
                    await trio.sleep(TOGETHER_S)
                    for caller in (fleet.judge, *fleet.agents):
                        caller.urls.remove(mesh.url(FIFTH))
                    await go(mesh, fleet)
                    await trio.sleep(ALONE_S)
                    is_over.set()
            del mesh.ports[FIFTH]
            shown = await what_all_show(mesh, fleet)
        nursery.cancel_scope.cancel()
    assert_kept(fleet.ledger, shown, BRIEF, capsys)


async def come(mesh: Configured) -> None:
    """An empty node is started, and all are told of each other; wait until it has all that there was."""
    mesh.ports += free_ports(1)
    mesh.members = (*FIRST, FIFTH)
    mesh.tell(FIFTH)
    await mesh.start(FIFTH)
    await mesh.change((*FIRST, FIFTH), "add", mesh.address(FIFTH))
    goal = (await document(mesh, 0))["vector"]
    await shows(mesh, FIFTH, lambda found: all(
        found["vector"].get(stream, 0) >= seq for stream, seq in goal.items()
    ))
    await ready(mesh, FIFTH)


async def go(mesh: Configured, fleet: Fleet) -> None:
    """Once it decided on all that was asked for there, the others are told that it is gone; it is stopped for good."""
    await trio.sleep(ALONE_S)       # what agents asked it last is answered by then
    home = (await document(mesh, FIFTH))["stream"]
    async with mesh.client(fleet.operator) as http:
        http.base_url = mesh.url(0)
        with trio.fail_after(WAITING_S):
            while True:
                statuses = await pending_at(http)
                asked = [key for key, question in fleet.ledger.questions.items() if question.version.startswith(home)]
                if all(statuses.get(key, "pending") != "pending" for key in asked):
                    break
                await trio.sleep(0.2)
    await mesh.change(FIRST, "remove", f"n{FIFTH}")
    await mesh.processes[FIFTH].stop()
