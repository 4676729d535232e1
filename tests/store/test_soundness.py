"""What is wrong with a database is found, whatever it is; a sound one is sound, while it is written to as well."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio

from aimem.errors import Corrupt
from aimem.ports import Files, Mode, system_files
from aimem.store import SCHEMA_VERSION, digest, soundness
from tests.cli.real import RealMachine
from tests.nodes import open_store
from tests.store.test_crash import put_pair

FIXTURES = Path(__file__).parent / "fixtures"
CHECKS = ["structure", "names", "words", "vectors", "log", "audit"]

# What is done to a sound database, and which checks find it.
DAMAGE = {
    "DELETE FROM memory_view WHERE no = 2": {"names", "words"},
    "UPDATE memory_view SET part_count = part_count + 1 WHERE no = 2": {"words"},
    "DELETE FROM memory_fts_docsize WHERE id >> 6 = 2": {"words"},
    "INSERT INTO memory_fts (rowid, title) VALUES (77 << 6, 'stray')": {"words"},
    "UPDATE memory_fts_data SET block = zeroblob(40) WHERE id > 10": {"structure"},
    "UPDATE memory_view SET grams = 'held' WHERE no = 2": {"words"},
    "UPDATE memory_view SET is_embedded = 1 WHERE no = 2": {"vectors"},
    "INSERT INTO embeddings VALUES (x'01', 'm', 0, x'010203')": {"vectors"},
    "INSERT INTO history VALUES ('nobody', x'01', x'02', 't', 'c', 1)": {"structure"},
    "UPDATE op_entries SET data = x'80' WHERE position = 3": {"log"},
    "UPDATE op_entries SET data = cast(replace(cast(data AS TEXT), 'number 2', 'number 7') AS BLOB)": {"log"},
    "DELETE FROM ops WHERE seq = 3": {"log", "structure"},
    "DELETE FROM ops WHERE seq = (SELECT head_seq FROM streams)": {"log", "structure"},
    "UPDATE streams SET head_hash = zeroblob(32)": {"log"},
    "UPDATE ops SET signature = zeroblob(64)": {"log"},
    "UPDATE audit SET action = 'nothing' WHERE seq = 2": {"audit"},
    "DELETE FROM audit WHERE seq = 2": {"audit"},
    "INSERT INTO audit_checkpoints VALUES (1, zeroblob(32), 1, 1, 'x', 'ff', zeroblob(64))": {"audit"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    machine = RealMachine(tmp_path_factory.mktemp("sound"))
    for number in range(4):
        assert machine.run("store", "-T", f"Title {number}", "-c", f"number {number} of them").status == 0
    return machine.cwd / "memory.db"


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    shutil.copy(made, tmp_path / "memory.db")
    return tmp_path / "memory.db"


def change(db: Path, statement: str) -> None:
    conn = system_files().connect(db, Mode.READ_WRITE_CREATE)
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute(statement)
    conn.close()


def test_a_sound_database_is_sound_and_has_the_digest_of_its_state(db: Path) -> None:
    examined = soundness.examine(system_files(), db)
    assert [check.name for check in examined.checks] == CHECKS
    assert examined.findings == ()
    assert {check.name: check.count for check in examined.checks if check.count} == {
        "structure": 4, "names": 4, "words": 4, "log": 5, "audit": 4,
    }
    conn = system_files().connect(db, Mode.READ_ONLY)
    assert (examined.version, examined.memories, examined.digest) == (SCHEMA_VERSION, 4, digest(conn))
    conn.close()


def test_nothing_is_left_beside_a_database_that_nobody_serves(db: Path) -> None:
    before = sorted(db.parent.iterdir())
    assert not soundness.examine(system_files(), db).findings
    assert sorted(db.parent.iterdir()) == before


async def test_a_database_that_is_written_to_while_it_is_looked_at_is_looked_at_again(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[Mode] = []
    examine_as = soundness._examine_as

    def look(files: Files, path: Path, mode: Mode) -> soundness.Examined:
        modes.append(mode)
        found = examine_as(files, path, mode)
        if mode is Mode.UNTOUCHED:
            change(path, "INSERT INTO meta (name, value) VALUES ('one', 'more')")
        return found

    monkeypatch.setattr(soundness, "_examine_as", look)
    assert not soundness.examine(system_files(), db).findings
    assert modes == [Mode.UNTOUCHED, Mode.READ_ONLY]


@pytest.mark.parametrize(("statement", "finders"), DAMAGE.items(), ids=str)
def test_damage_is_found_by_the_check_that_looks_for_it(db: Path, statement: str, finders: set[str]) -> None:
    change(db, statement)
    examined = soundness.examine(system_files(), db)
    assert {check.name for check in examined.checks if check.findings} == finders
    assert examined.digest == ""


def test_pages_that_were_overwritten_are_found(db: Path) -> None:
    data = bytearray(db.read_bytes())
    half = len(data) // 8192 * 4096
    data[half : half + 8192] = bytes(range(256)) * 32
    db.write_bytes(data)
    assert soundness.examine(system_files(), db).findings


def test_a_file_that_was_cut_off_is_refused(db: Path) -> None:
    db.write_bytes(db.read_bytes()[: 40 * 4096])
    with pytest.raises(Corrupt, match="cannot be trusted"):
        soundness.examine(system_files(), db)


@pytest.mark.parametrize(("data", "reason"), [(b"", "is empty"), (b"no database at all" * 300, "no SQLite database")])
def test_what_is_none_of_our_databases_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.db").write_bytes(data)
    with pytest.raises(Corrupt, match=reason):
        soundness.examine(system_files(), tmp_path / "x.db")


def test_of_an_older_schema_only_the_structure_is_looked_at_and_memories_are_counted(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "schema_0001.db", tmp_path / "old.db")
    examined = soundness.examine(system_files(), tmp_path / "old.db")
    assert (examined.version, [check.name for check in examined.checks], examined.findings) == (1, ["structure"], ())
    assert examined.memories == 9


async def test_a_copy_of_a_database_that_is_written_to_is_one_moment_of_it(tmp_path: Path) -> None:
    db, counts = tmp_path / "a.db", [0]

    async def write() -> None:
        while True:
            await store.write(put_pair, f"c{counts[0]:03}")
            counts[0] += 1

    async with open_store(db) as store, trio.open_nursery() as writers:
        writers.start_soon(write)
        for number in range(3):
            await store.write(put_pair, f"d{number}")
            before = counts[0]
            copy = tmp_path / f"copy-{number}.db"
            await trio.to_thread.run_sync(soundness.copy_into, system_files(), db, copy)
            examined = soundness.examine(system_files(), copy)
            assert examined.findings == ()
            rows = next(check.count for check in examined.checks if check.name == "structure")
            assert 2 * (before + number + 1) <= rows <= 2 * (counts[0] + number + 2)
            assert copy.stat().st_mode & 0o777 == 0o600
        writers.cancel_scope.cancel()


