"""A mesh of real processes: who comes new gets everything, and a command without its daemon promises nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.members import running, settled
from tests.system.processes import ask, command, started

pytestmark = pytest.mark.slow


async def test_a_node_that_comes_new_fetches_everything_and_a_command_without_a_daemon_stores_nothing(
    tmp_path: Path
) -> None:
    key = {"X-API-Key": "shared"}
    async with (
        running(tmp_path, 2, AI_MEMORY_API_KEY="shared") as mesh, httpx.AsyncClient(timeout=30, headers=key) as http,
    ):
        await settled(mesh, key)     # each has met the other
        for count in range(40):
            body = {"title": f"t{count}", "content": "text"}
            answer = await http.post(f"{mesh.url(count % 2)}/memories", json=body)
            assert answer.status_code == 201, answer.text
        peers = f"{mesh.url(0)},{mesh.url(1)}".replace("/api/v1", "")
        new = tmp_path / "new.db"
        words = command(new, "sync-daemon", "--peers", peers, "--interval", "1", "--api-key", "shared")
        async with started(words) as process:
            # All of the others' writes, and the beginnings of the three streams.
            await process.stdout_line("43 writes known here")
            assert len(await shown_by_command(new)) == 40
            assert await process.stop() == 0
        environ = {"AI_MEMORY_QUORUM_PEERS": peers, "AI_MEMORY_QUORUM_WRITES": "2"}
        refused = await ask(new, "store", "-T", "Alone", "-c", "text", **environ)
        assert refused.returncode == 7
        assert b"no daemon runs" in refused.stderr
        stored = await ask(new, "store", "-T", "Alone", "-c", "text", "--consistency", "local", **environ)
        assert stored.returncode == 0, stored.stderr


async def shown_by_command(db: Path) -> list[Any]:
    done = await ask(db, "list", "--limit", "1000", "--json")
    assert done.returncode == 0, done.stderr.decode()
    found: list[Any] = json.loads(done.stdout)["memories"]
    return found
