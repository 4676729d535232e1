"""Databases of every schema that there ever was, in each of its forms: nothing in them is lost or different here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import pytest

from aimem import service
from aimem.model import AgentId, Credential, Principal, Role
from aimem.ports import Connection, DatabaseError, DatabaseFault, Mode, Row, system_files
from aimem.store import SCHEMA_VERSION, digest, forms
from aimem.store.soundness import examine
from aimem.wire import CreateMemory, ListQuery, RecallRequest
from tests.nodes import InlineThreads, open_node, open_store
from tests.store.make_fixture import FIXTURES
from tests.store.test_crash import look
from tests.store.test_schema import open_writer

OWNER = Principal(agent_id=AgentId("owner"), credential=Credential.SOCKET, role=Role.OPERATOR)
KEPT = sorted(FIXTURES.glob("*.db"))


def schema_of(db: Path) -> list[tuple[str, str, str]]:
    """Every table and index, with its text in one spelling: ALTER TABLE writes blanks of its own."""
    conn = system_files().connect(db, Mode.READ_ONLY)
    try:
        rows = conn.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    finally:
        conn.close()
    return [(str(kind), str(name), " ".join(str(sql).split())) for kind, name, sql in rows]


EARLY = ("schema_0001a", "schema_0001b", "schema_0003a")
"""Written by the versions that first had the schema's number, before it had its last form."""


def test_a_database_of_every_schema_and_of_each_early_form_is_kept() -> None:
    last = [f"schema_{number + 1:04}" for number in range(SCHEMA_VERSION)]
    assert sorted(path.stem for path in KEPT) == sorted([*last, *EARLY])
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
    shutil.copy(kept, db)
    async with open_node(db, threads=InlineThreads()) as node:
        listed = await service.list_memories(node, OWNER, ListQuery())
        assert listed.memories
        assert {memory.id for memory in (await service.recall(node, OWNER, RecallRequest(context="word"))).memories}
        await service.remember(node, OWNER, CreateMemory(title="new", content="word of today"), None)
        look(db)
        assert not examine(system_files(), db).findings


def test_the_sentence_before_a_migration_names_the_form_and_the_copy(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "schema_0003a.db", tmp_path / "x.db")
    told: list[str] = []
    open_writer(tmp_path / "x.db", told).close()
    open_writer(tmp_path / "x.db", told).close()
    [sentence] = told
    assert f"from an early form of schema 3 to {SCHEMA_VERSION}; " in sentence
    assert sentence.endswith(f"the old file is kept as {tmp_path}/x.db.schema-3.backup")


def test_the_words_and_the_numbers_of_an_early_form_are_as_if_made_today(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "schema_0001a.db", tmp_path / "x.db")
    old = view_of(tmp_path / "x.db", "NULL", "(SELECT created_at FROM memories m WHERE m.id = memory_view.id)")
    open_writer(tmp_path / "x.db", []).close()
    new = view_of(tmp_path / "x.db")
    assert [row[:-1] for row in new[1]] == [row[:-1] for row in old[1]]
    assert new[0] == old[0] > len(old[1])
    talk = [row[-1] for row in new[1] if row[-1] is not None]
    assert (len(talk), len(set(talk))) == (3, 1)


def test_what_breaks_off_leaves_an_early_form_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = tmp_path / "x.db"
    shutil.copy(FIXTURES / "schema_0001a.db", db)
    before = schema_of(db)

    def full(conn: Connection) -> None:
        raise DatabaseError("the disk is full", DatabaseFault.FULL)

    with monkeypatch.context() as patch:
        patch.setattr(forms, "show_dialogues", full)
        with pytest.raises(DatabaseError):
            open_writer(db, [])
    assert schema_of(db) == before
    open_writer(db, []).close()
    assert schema_of(db) != before


async def test_an_early_form_that_was_brought_to_the_newest_number_as_it_was_is_mended_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "x.db"
    shutil.copy(FIXTURES / "schema_0001b.db", db)
    with monkeypatch.context() as patch:
        patch.setattr(forms, "scripts_for", lambda conn, version: [])
        open_writer(db, []).close()
    assert any("part_count" in finding for finding in examine(system_files(), db).findings)
    async with open_node(db, threads=InlineThreads()) as node:
        found = await service.recall(node, OWNER, RecallRequest(context="word"))
    assert found.memories
    assert not examine(system_files(), db).findings


def view_of(db: Path, dialogue: str = "dialogue", created_at: str = "created_at") -> tuple[int, list[Row]]:
    """The last number that was given, and the rows of the view."""
    columns = f"no, id, state, namespace, title, expires_at, text_hash, access_count, {created_at}, {dialogue}"
    conn = system_files().connect(db, Mode.READ_ONLY)
    try:
        [(seq,)] = conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memory_view'").fetchall()
        return cast("int", seq), conn.execute(f"SELECT {columns} FROM memory_view ORDER BY no").fetchall()
    finally:
        conn.close()


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
async def test_an_older_database_ends_where_a_fresh_one_begins(tmp_path: Path, kept: Path) -> None:
    shutil.copy(kept, tmp_path / "old.db")
    async with open_store(tmp_path / "old.db", threads=InlineThreads()):
        pass
    async with open_store(tmp_path / "fresh.db", threads=InlineThreads()):
        pass
    assert schema_of(tmp_path / "old.db") == schema_of(tmp_path / "fresh.db")
