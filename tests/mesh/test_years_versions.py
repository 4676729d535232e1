"""A mesh that is brought up to date node by node, while everybody writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem.wire import PROTOCOL, PROTOCOL_OLDEST
from tests.mesh.years import Book, assert_kept, document, done, level, restart, shows, stop
from tests.system.members import Mesh, start_all

pytestmark = pytest.mark.slow

NODES = (0, 1, 2)


class Mixed(Mesh):
    """Daemons of which some are one version older.

    Attributes:
      older: which ones, from their next start on.
    """

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        """Find ports; nothing is started."""
        super().__init__(folder, len(NODES), nursery, {})
        self.older = set(NODES)

    def words(self, number: int) -> list[str]:
        words = super().words(number)
        return [*words[:2], "tests.mesh.outdated", *words[3:]] if number in self.older else words


async def test_a_mesh_is_brought_up_to_date_node_by_node(tmp_path: Path) -> None:
    book = Book()
    async with trio.open_nursery() as nursery:
        mesh = Mixed(tmp_path, nursery)
        await start_all(mesh)
        await book.store(mesh, 0, 10)
        for newer in (1, 2):
            await _upgrade(mesh, newer)
            for number in NODES:
                await book.store(mesh, number, 10)
                # Two nodes have it then; the third changes it as well.
                await level(mesh, NODES)
                await book.change(mesh, number, 2)
        # Of a kind that the older one does not know, so that the other newer one alone can acknowledge it.
        await _register(mesh, 1, "alice")
        await _register(mesh, 2, "bob")
        await level(mesh, NODES)
        await shows(mesh, 0, lambda found: bool(found["held_count"] == 2))
        found = await document(mesh, 1)
        assert {peer["node"]: peer["protocol"] for peer in found["peers"]} == {"n0": PROTOCOL_OLDEST, "n2": PROTOCOL}
        assert found["cluster"] == ""

        await _upgrade(mesh, 0)
        await book.store(mesh, 0, 10)
        await level(mesh, NODES)
        for number in NODES:
            await shows(mesh, number, lambda found: bool(found["cluster"] and not found["held_count"]))
        await assert_kept(mesh, book, NODES)
        assert len({(await document(mesh, number))["cluster"] for number in NODES}) == 1
        nursery.cancel_scope.cancel()


async def _upgrade(mesh: Mixed, number: int) -> None:
    await stop(mesh, number)
    mesh.older.discard(number)
    await restart(mesh, number)


async def _register(mesh: Mesh, number: int, agent_id: str) -> None:
    async with mesh.client() as http:
        await done(http, "POST", f"{mesh.url(number)}/agents", {"agent_id": agent_id, "agent_type": "human"})
