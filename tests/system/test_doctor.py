"""The doctor beside real daemons: one that is well, one whose peer is dead, and one that hangs."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from aimem.cli import ExitStatus
from tests.system.processes import ask, daemon

pytestmark = pytest.mark.slow

OF_THIS_MACHINE = {"disk_slow", "disk_full"}
"""What a machine that runs tests may truly have."""


async def look(db: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """The status, and the findings by kind, but for those that are not the node's."""
    done = await ask(db, "doctor", "--json")
    found = json.loads(done.stdout)
    kinds = {one["kind"]: {**one, "section": told["section"]} for told in found["sections"] for one in told["findings"]}
    for kind in OF_THIS_MACHINE & kinds.keys():
        del kinds[kind]
    return done.returncode, kinds


async def test_beside_a_daemon_that_is_well_there_is_nothing_to_mend(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    async with daemon(db):
        before = {path.name for path in tmp_path.iterdir()}
        done = await ask(db, "doctor", "--json")
        found = json.loads(done.stdout)
        assert {path.name for path in tmp_path.iterdir()} == before
    told = {one["section"]: one for one in found["sections"]}
    worse = {name for name, one in told.items() if one["severity"] in ("warning", "critical")} - {"disk"}
    assert not worse
    assert done.returncode == {"info": 0, "warning": 1, "critical": 2}[found["severity"]]
    assert "ai-memory serve" in told["daemon"]["summary"]
    assert told["peers"]["summary"] == "none"


async def test_a_dead_peer_and_what_that_means_for_writes_is_found(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    async with daemon(db, "--quorum-peers", "http://127.0.0.1:1", "--quorum-writes", "2") as (process, _):
        await ask(db, "mesh", "status")
        status, kinds = await look(db)
        assert await process.stop() == 0
    assert status == 2
    assert (kinds["no_quorum"]["severity"], kinds["no_quorum"]["section"]) == ("critical", "peers")
    assert {"peer_unreachable", "mesh_open"} <= kinds.keys()


async def test_a_daemon_that_hangs_is_found_in_time(tmp_path: Path) -> None:
    db = tmp_path / "memory.db"
    async with daemon(db) as (process, _):
        process.signal(signal.SIGSTOP)
        status, kinds = await look(db)
        refused = await ask(db, "status")
        process.signal(signal.SIGCONT)
        assert await process.stop() == 0
    assert (status, kinds["daemon_silent"]["section"]) == (2, "daemon")
    assert f"process {process.pid} (ai-memory serve)" in kinds["daemon_silent"]["seen"]
    said = refused.stderr.decode()
    assert refused.returncode == ExitStatus.UNAVAILABLE
    assert f"process {process.pid} (ai-memory serve)" in said
    assert "memory.db.sock" in said
