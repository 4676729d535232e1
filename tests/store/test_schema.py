"""Creating and migrating the schema."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem.ports import Connection, DatabaseError, Mode, Row, system_files
from aimem.store import SCHEMA_VERSION, digest, schema
from tests.nodes import InlineThreads, open_store
from tests.store.test_crash import put_pair

NEWER = SCHEMA_VERSION + 2
SECOND = "CREATE TABLE extra2 (a INTEGER) STRICT;"


def tables(conn: Connection) -> list[Row]:
    return conn.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()


def look(db: Path) -> tuple[list[Row], object, str]:
    conn = system_files().connect(db, Mode.READ_ONLY)
    try:
        return tables(conn), conn.execute("PRAGMA user_version").fetchone(), digest(conn)
    finally:
        conn.close()


async def make(db: Path) -> None:
    async with open_store(db, threads=InlineThreads()) as store:
        await store.write(put_pair, "c01")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of today's schema: what the next version will find."""
    trio.run(make, tmp_path / "x.db")
    return tmp_path / "x.db"


@pytest.fixture
def migrate_by(monkeypatch: pytest.MonkeyPatch, old: Path) -> dict[str, str]:
    """Two migrations that lead to a schema of the future; a test may exchange them. (`old` is made before them.)"""
    del old
    scripts = {"first.sql": "CREATE TABLE extra1 (a INTEGER) STRICT;", "second.sql": SECOND}
    monkeypatch.setattr(schema, "SCHEMA_VERSION", NEWER)
    monkeypatch.setattr(schema, "migrations", lambda: list(zip((NEWER - 1, NEWER), scripts, strict=True)))
    monkeypatch.setattr(schema, "_sql", lambda _, name: scripts[name])
    return scripts


def open_writer(db: Path, told: list[str]) -> Connection:
    conn = system_files().connect(db, Mode.READ_WRITE_CREATE)
    try:
        version = schema.recognise(conn, db)
        schema.prepare_writer(conn, db)
        schema.ensure_schema(conn, system_files(), db, version, told.append)
    except BaseException:
        conn.close()
        raise
    return conn


def test_the_migrations_lead_to_the_newest_schema_one_by_one() -> None:
    assert [number for number, _ in schema.migrations()] == list(range(2, SCHEMA_VERSION + 1))


@pytest.mark.usefixtures("migrate_by")
def test_an_older_file_is_brought_up_after_a_backup_that_is_the_owners_alone(old: Path) -> None:
    told: list[str] = []
    before = look(old)
    (old.parent / f"x.db.schema-{SCHEMA_VERSION}.backup").write_text("what an earlier attempt left")
    open_writer(old, told).close()
    names = {name for _, name, _ in look(old)[0]}
    assert {"extra1", "extra2"} <= names
    assert look(old)[1:] == ((NEWER,), before[2])
    backup = old.parent / f"x.db.schema-{SCHEMA_VERSION}.backup"
    assert look(backup) == before
    assert backup.stat().st_mode & 0o777 == 0o600
    assert len(told) == 1
    assert str(backup) in told[0]


@pytest.mark.parametrize("script", [
    "CREATE TABLE extra2 (a INTEGER) STRICT; SELECT * FROM nowhere;",
    "DROP TABLE memories; CREATE TABLE",
])
def test_a_migration_that_fails_leaves_the_old_file_as_it_was(
    old: Path, migrate_by: dict[str, str], script: str
) -> None:
    before = look(old)
    migrate_by["second.sql"] = script
    with pytest.raises(DatabaseError):
        open_writer(old, [])
    assert look(old) == before
    migrate_by["second.sql"] = SECOND
    open_writer(old, []).close()
    assert look(old)[1] == (NEWER,)


def test_a_migration_may_rebuild_a_table_that_others_refer_to(old: Path, migrate_by: dict[str, str]) -> None:
    sql = next(text for _, name, text in look(old)[0] if name == "memories")
    migrate_by["second.sql"] = (
        f"{str(sql).replace('TABLE memories', 'TABLE rebuilt')}; INSERT INTO rebuilt SELECT * FROM memories;"
        "DROP TABLE memories; ALTER TABLE rebuilt RENAME TO memories;"
    )
    conn = open_writer(old, [])
    assert conn.execute("SELECT count(*) FROM memory_view").fetchone() == (2,)
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    assert conn.execute("PRAGMA foreign_keys").fetchone() == (1,)
    conn.close()


def test_a_file_that_is_up_to_date_is_left_alone(old: Path) -> None:
    told: list[str] = []
    before = look(old)
    open_writer(old, told).close()
    assert look(old) == before
    assert not told
