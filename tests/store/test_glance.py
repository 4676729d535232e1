"""A short look at a database: it sees damage, ends when it is late, and leaves everything as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aimem.errors import Code, Corrupt
from aimem.model import hlc_at, instant_of
from aimem.ports import Mode, system_files
from aimem.store import SCHEMA_VERSION, glance
from tests.cli.real import RealMachine
from tests.nodes import START
from tests.store.make_fixture import FIXTURES
from tests.store.test_schema import open_writer


@pytest.fixture
def db(tmp_path: Path) -> Path:
    RealMachine(tmp_path).run("store", "-T", "Lamp", "-c", "It is green.")
    return tmp_path / "memory.db"


def look(db: Path) -> glance.Glance:
    return glance.look(system_files(), db, Mode.UNTOUCHED, lambda: False)


def change(db: Path, statement: str) -> None:
    conn = system_files().connect(db, Mode.READ_WRITE_CREATE)
    conn.execute(statement)
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    conn.close()


def test_a_sound_database_has_its_newest_moment_and_no_finding(db: Path) -> None:
    seen = look(db)
    assert (seen.version, seen.findings, seen.is_whole, seen.held) == (SCHEMA_VERSION, (), True, 0)
    assert seen.newest is not None and seen.newest >= instant_of(hlc_at(START))


def test_a_look_that_is_late_ends_and_says_so(db: Path) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
    change(db, f"{many} INSERT INTO meta (name, value) SELECT 'n' || i, i FROM n")
    seen = glance.look(system_files(), db, Mode.UNTOUCHED, lambda: True)
    assert (seen.findings, seen.is_whole) == ((), False)


def test_what_is_held_is_counted(db: Path) -> None:
    change(db, "INSERT OR REPLACE INTO meta (name, value) VALUES ('held_count', '3')")
    assert look(db).held == 3


def test_an_early_form_of_the_newest_schema_is_told(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "schema_0003a.db", tmp_path / "x.db")
    assert (look(tmp_path / "x.db").is_early, look(tmp_path / "x.db").version) == (True, SCHEMA_VERSION)
    open_writer(tmp_path / "x.db", []).close()
    assert not look(tmp_path / "x.db").is_early


def test_an_older_schema_is_told_and_a_newer_one_refused(db: Path) -> None:
    change(db, f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    assert look(db).version == SCHEMA_VERSION - 1
    change(db, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(Corrupt) as refused:
        look(db)
    assert refused.value.code == Code.NEWER_SCHEMA


def test_what_restores_and_migrations_keep_is_named_apart_from_what_is_under_way(db: Path) -> None:
    names = ("memory.pre-restore-2027-01-01T000000Z.db", "memory.db.schema-2.backup", "other.db", "memory.db.restoring")
    for name in names:
        db.with_name(name).touch()
    db.with_name("memory.db.joining").mkdir()
    assert glance.kept_copies(db) == ("memory.db.schema-2.backup", "memory.pre-restore-2027-01-01T000000Z.db")
    assert glance.unfinished(db) == ("memory.db.joining", "memory.db.restoring")
