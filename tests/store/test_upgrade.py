"""Databases of every schema that there ever was: opened by this version, nothing in them is lost or different."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aimem import service
from aimem.model import AgentId, Credential, Principal, Role
from aimem.ports import Mode, system_files
from aimem.store import SCHEMA_VERSION, digest
from aimem.wire import CreateMemory, ListQuery, RecallRequest
from tests.nodes import InlineThreads, open_node, open_store
from tests.store.make_fixture import FIXTURES
from tests.store.test_crash import look
from tests.store.test_schema import open_writer

KEPT = sorted(FIXTURES.glob("*.db"))


def schema_of(db: Path) -> list[tuple[str, str, str]]:
    """Every table and index, with its text in one spelling: ALTER TABLE writes blanks of its own."""
    conn = system_files().connect(db, Mode.READ_ONLY)
    try:
        rows = conn.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    finally:
        conn.close()
    return [(str(kind), str(name), " ".join(str(sql).split())) for kind, name, sql in rows]


def test_a_database_of_every_schema_is_kept() -> None:
    assert [path.name for path in KEPT] == [f"schema_{number + 1:04}.db" for number in range(SCHEMA_VERSION)]
    assert all(path.stat().st_size < 500_000 for path in KEPT)


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
def test_an_older_database_says_what_it_said(tmp_path: Path, kept: Path) -> None:
    shutil.copy(kept, tmp_path / "x.db")
    conn = open_writer(tmp_path / "x.db", [])       # without a node: the copy has no key, so it would begin a stream
    assert digest(conn) == kept.with_suffix(".digest").read_text().strip()
    conn.close()


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
async def test_an_older_database_serves_and_is_sound(tmp_path: Path, kept: Path) -> None:
    db = tmp_path / "x.db"
    who = Principal(agent_id=AgentId("owner"), credential=Credential.SOCKET, role=Role.OPERATOR)
    shutil.copy(kept, db)
    async with open_node(db, threads=InlineThreads()) as node:
        listed = await service.list_memories(node, who, ListQuery())
        assert listed.memories
        assert {memory.id for memory in (await service.recall(node, who, RecallRequest(context="word"))).memories}
        await service.remember(node, who, CreateMemory(title="new", content="word of today"), None)
        look(db)


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
async def test_an_older_database_ends_where_a_fresh_one_begins(tmp_path: Path, kept: Path) -> None:
    shutil.copy(kept, tmp_path / "old.db")
    async with open_store(tmp_path / "old.db", threads=InlineThreads()):
        pass
    async with open_store(tmp_path / "fresh.db", threads=InlineThreads()):
        pass
    assert schema_of(tmp_path / "old.db") == schema_of(tmp_path / "fresh.db")
