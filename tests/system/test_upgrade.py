"""Whole daemons on databases of every schema: they serve what is in them, and refuse one of a schema to come."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest
import trio

from aimem.ports import Mode, system_files
from aimem.store import SCHEMA_VERSION
from aimem.store.soundness import examine
from tests.store.make_fixture import FIXTURES
from tests.system.processes import ask, daemon

pytestmark = pytest.mark.slow

WORDS_S = 30
"""Until an index of words is made for a database of an older version."""


def live_in(db: Path) -> set[str]:
    """What a reader of today sees in a database, as its own tables say."""
    is_current = "(expires_at IS NULL OR expires_at > unixepoch() * 1000000)"
    conn = system_files().connect(db, Mode.READ_ONLY)
    try:
        return {str(memory_id) for (memory_id,) in conn.execute(
            f"SELECT id FROM memory_view WHERE state = 'live' AND {is_current}").fetchall()}
    finally:
        conn.close()


async def recalled(http: httpx.AsyncClient) -> set[str]:
    """What is found by the word of all."""
    found = (await http.get("/api/v1/recall", params={"context": "word"})).json()["memories"]
    return {one["id"] for one in found}


@pytest.mark.parametrize("kept", sorted(FIXTURES.glob("*.db")), ids=lambda path: path.stem)
async def test_a_daemon_serves_an_older_database_and_is_sound_behind_it(tmp_path: Path, kept: Path) -> None:
    db = tmp_path / "x.db"
    shutil.copy(kept, db)
    live = live_in(db)
    socket = httpx.AsyncHTTPTransport(uds=str(tmp_path / "x.db.sock"))
    async with daemon(db) as (process, _), httpx.AsyncClient(transport=socket, base_url="http://localhost") as http:
        assert (await http.get("/api/v1/health")).json()["status"] == "ok"
        listed = (await http.get("/api/v1/memories", params={"limit": "200"})).json()["memories"]
        assert {one["id"] for one in listed} == live
        with trio.fail_after(WORDS_S):      # they are looked up in an index that is made anew meanwhile
            while not live & await recalled(http):  # noqa: ASYNC110 - it happens in another process
                await trio.sleep(0.1)
        assert await process.stop() == 0
    examined = examine(system_files(), db)
    assert (examined.version, examined.findings) == (SCHEMA_VERSION, ())


async def test_a_daemon_refuses_a_newer_schema_by_a_sentence_and_leaves_the_file(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    shutil.copy(FIXTURES / f"schema_{SCHEMA_VERSION:04}.db", db)
    conn = system_files().connect(db, Mode.READ_WRITE_CREATE)
    conn.executescript(f"PRAGMA user_version = {SCHEMA_VERSION + 1};")
    conn.close()
    before = db.read_bytes()
    refused = await ask(db, "serve", "--port", "0")
    assert refused.returncode == 1
    assert f"has schema {SCHEMA_VERSION + 1}; this ai-memory knows up to {SCHEMA_VERSION}" in refused.stderr.decode()
    assert "install the newer version that wrote it" in refused.stderr.decode()
    assert db.read_bytes() == before
