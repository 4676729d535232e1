"""A node's part in its mesh: what it is called, and what is said where that is not what the configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from aimem.config import Config, MeshConfig, StoreConfig
from aimem.replication import Trust
from aimem.supervisor.meshing import make_mesh
from aimem.supervisor.outside import Extent, system_ports
from aimem.supervisor.secured import PeerTls
from tests.nodes import FakeClock, open_store, seeded_chance

SERVES = Extent(embeds=False, curates=False, exchanges=True)


@pytest.mark.parametrize(("configured", "extent", "is_said"), [
    ("test", SERVES, False), (None, SERVES, False), ("another", SERVES, True),
    ("another", replace(SERVES, exchanges=False), False),
], ids=["the same", "none", "another", "a command"])
async def test_that_a_database_goes_on_under_another_name_than_the_configured_one_is_said_by_the_daemon(
    tmp_path: Path, configured: str | None, extent: Extent, is_said: bool
) -> None:
    said: list[str] = []
    db, ports = tmp_path / "m.db", replace(system_ports(), say=said.append)
    config = Config(store=StoreConfig(db=db), mesh=MeshConfig(node_name=configured, peers=("http://n1:1",)))
    async with open_store(db, name="test") as store:
        make_mesh(config, ports, store, extent, PeerTls(), Trust(store, seeded_chance(1), FakeClock()))
    assert len(said) == is_said
    assert all("that of node 'test'" in line and "'another' names new databases only" in line for line in said)
