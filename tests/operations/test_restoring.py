"""Restores: all or nothing, never under a process that serves, never beside an old log, and under a new key."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from aimem.errors import Code, Corrupt, InvalidRequest, NotFound, Unavailable
from aimem.operations import Keeper
from aimem.ports import Mode, system_files
from aimem.store import NodeLock, Store, oplog, replacing
from aimem.wire.keeping import Trust
from tests.nodes import open_store
from tests.operations.test_backups import Vault, cut, shut, spoil_manifest, take_manifest, turn_a_bit
from tests.store.test_crash import put_pair

FIXTURES = Path(__file__).parents[1] / "store/fixtures"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A database that knows more than its only backup."""
    made = Vault(tmp_path)
    made.back_up()
    made.store("second")
    return made


def state_of(vault: Vault) -> tuple[bytes, bytes]:
    return vault.db.read_bytes(), vault.db.with_name("memory.db.node").read_bytes()


def test_the_newest_backup_takes_the_place_of_the_database_which_is_kept(vault: Vault) -> None:
    vault.back_up()
    vault.store("third")
    done = vault.keeper.restore(vault.folder, Trust.MANIFEST)
    assert (vault.titles(), done.memories, done.warnings) == ({"first", "second"}, 2, ())
    assert vault.keeper.verify([]).sound
    assert done.kept is not None
    vault.keeper.restore(Path(done.kept), Trust.SOUNDNESS)
    assert vault.titles() == {"first", "second", "third"}


async def test_a_log_of_the_old_database_is_never_played_into_the_new_one(vault: Vault) -> None:
    backed = vault.back_up()
    db = vault.db.with_name("killed.db")
    async with open_store(vault.db) as store:
        await store.write(put_pair, "lost")
        for suffix in ("", "-wal", "-shm", ".node"):
            shutil.copy(f"{vault.db}{suffix}", f"{db}{suffix}")
    assert Path(f"{db}-wal").stat().st_size > 0
    done = vault.keeper_of(db).restore(Path(backed.path), Trust.MANIFEST)
    assert not Path(f"{db}-wal").exists()
    found = vault.keeper_of(db).verify([])
    assert (found.sound, found.databases[0].digest) == (True, backed.digest)
    vault.keeper_of(db).restore(Path(str(done.kept)), Trust.SOUNDNESS)
    [undone] = vault.keeper_of(db).verify([]).databases
    assert (undone.sound, undone.memories) == (True, 4)


async def test_the_node_goes_on_under_a_new_key_that_the_old_one_signed(vault: Vault) -> None:
    old = await stream_of(vault.db)
    vault.keeper.restore(vault.folder, Trust.MANIFEST)
    async with open_store(vault.db) as store:
        assert store.stream != old
        assert store.lacks_past
        assert store.identity.line
        assert await store.read(knows, old)
    # The next start goes on with it.
    assert await stream_of(vault.db) == store.stream


async def stream_of(db: Path) -> str:
    async with open_store(db) as store:
        return store.stream


def knows(conn: object, stream: str) -> bool:
    return oplog.head(conn, stream) is not None  # type: ignore[arg-type]


def test_what_was_made_from_the_old_database_goes(vault: Vault) -> None:
    for suffix in (".vectors", ".joining", ".snapshot"):
        vault.db.with_name(f"memory.db{suffix}").mkdir()
    vault.keeper.restore(vault.folder, Trust.MANIFEST)
    assert not [path for path in vault.db.parent.iterdir() if path.suffix in {".vectors", ".joining", ".snapshot"}]


def test_what_a_killed_restore_left_of_its_copy_harms_no_later_one(vault: Vault) -> None:
    copy = replacing.copy_path(vault.db)
    copy.write_bytes(b"half")
    # As SQLite begins the journal of a file that was empty: played into another file it would cut that to nothing.
    header = bytes.fromhex("d9d505f920a163d7") + struct.pack(">5i", 0, 1, 0, 512, 4096)
    copy.with_name(f"{copy.name}-journal").write_bytes(header.ljust(1024, b"\0"))
    vault.keeper.restore(vault.folder, Trust.MANIFEST)
    assert vault.titles() == {"first"}
    assert not list(vault.db.parent.glob("*.restoring*"))


def test_a_database_that_another_process_holds_is_not_touched(vault: Vault) -> None:
    before = state_of(vault)
    lock = NodeLock.take(system_files(), vault.db, "pid=7 role=serve")
    with pytest.raises(Unavailable, match=r"held by a running process \(pid=7 role=serve\); stop it"):
        vault.keeper.restore(vault.folder, Trust.MANIFEST)
    lock.release()
    assert state_of(vault) == before


@pytest.mark.parametrize("spoil", [cut, turn_a_bit, take_manifest, spoil_manifest])
@pytest.mark.parametrize("of_folder", [False, True])
def test_a_backup_that_does_not_count_is_refused_and_nothing_changes(
    vault: Vault, spoil: object, of_folder: bool
) -> None:
    backup = vault.folder / vault.names()[0]
    spoil(backup)  # type: ignore[operator]
    before = state_of(vault)
    with pytest.raises((Corrupt, NotFound)) as refused:
        vault.keeper.restore(vault.folder if of_folder else backup, Trust.MANIFEST)
    assert backup.stem in refused.value.message
    assert state_of(vault) == before
    assert not [path for path in vault.db.parent.iterdir() if ".restor" in path.name]


def test_of_a_folder_a_damaged_backup_is_passed_over_and_said(vault: Vault) -> None:
    newest = vault.back_up()
    turn_a_bit(Path(newest.path))
    done = vault.keeper.restore(vault.folder, Trust.MANIFEST)
    assert [newest.path in warning for warning in done.warnings] == [True]
    assert vault.titles() == {"first"}


def test_without_its_manifest_a_file_still_has_to_be_a_sound_database(vault: Vault) -> None:
    backup = vault.folder / vault.names()[0]
    take_manifest(backup)
    with pytest.raises(NotFound, match="--skip-verify takes it"):
        vault.keeper.restore(backup, Trust.MANIFEST)
    conn = system_files().connect(backup, Mode.READ_WRITE_CREATE)
    conn.execute("UPDATE streams SET head_hash = zeroblob(32)")
    conn.close()
    before = state_of(vault)
    with pytest.raises(Corrupt, match="is damaged"):
        vault.keeper.restore(backup, Trust.SOUNDNESS)
    assert state_of(vault) == before


def test_what_a_manifest_says_against_a_file_that_is_taken_without_it_is_told(vault: Vault) -> None:
    backup = vault.folder / vault.names()[0]
    assert vault.keeper.restore(backup, Trust.SOUNDNESS).warnings == ()
    conn = system_files().connect(backup, Mode.READ_WRITE_CREATE)
    conn.execute("CREATE TABLE more (x)")
    conn.close()
    [warning] = vault.keeper.restore(backup, Trust.SOUNDNESS).warnings
    assert "by its manifest; it was taken all the same" in warning
    spoil_manifest(backup)
    [warning] = vault.keeper.restore(backup, Trust.SOUNDNESS).warnings
    assert "is no manifest" in warning


def test_what_is_no_database_is_refused_by_the_option_that_names_it(vault: Vault) -> None:
    junk = vault.folder / "junk.db"
    junk.write_bytes(b"no database at all" * 300)
    before = state_of(vault)
    with pytest.raises(Corrupt, match=r"junk.db is no database of ai-memory; nothing .* with --from") as refused:
        vault.keeper.restore(junk, Trust.SOUNDNESS)
    assert (refused.value.code, state_of(vault)) == (Code.NOT_A_DATABASE, before)
    with pytest.raises(Corrupt, match=r"junk.db is no database of ai-memory; name a backup") as refused:
        vault.keeper.verify([junk])
    assert "--db" not in refused.value.message


def test_what_cannot_be_meant_is_refused(vault: Vault) -> None:
    with pytest.raises(InvalidRequest, match="with --skip-verify name a file"):
        vault.keeper.restore(vault.folder, Trust.SOUNDNESS)
    with pytest.raises(InvalidRequest, match="is the database itself"):
        vault.keeper.restore(vault.db, Trust.SOUNDNESS)
    with pytest.raises(NotFound, match="there is no backup"):
        vault.keeper.restore(vault.folder / "none.db", Trust.MANIFEST)
    with pytest.raises(NotFound, match="has no backup that is whole"):
        vault.keeper.restore(vault.db.parent, Trust.MANIFEST)
    vault.machine.run("--db", "other.db", "store", "-T", "x", "-c", "y")
    vault.clock.advance(3600)
    vault.keeper_of(vault.db.with_name("other.db")).back_up(vault.folder, 0)
    with pytest.raises(InvalidRequest, match="has backups of several databases"):
        vault.keeper.restore(vault.folder, Trust.MANIFEST)


def test_where_no_database_is_yet_a_new_node_begins_with_the_backup(vault: Vault) -> None:
    there = vault.db.with_name("elsewhere.db")
    done = vault.keeper_of(there).restore(vault.folder, Trust.MANIFEST)
    assert done.kept is None
    assert vault.keeper_of(there).verify([]).databases[0].memories == 1


def test_a_database_that_is_no_database_any_more_is_replaced_too(vault: Vault) -> None:
    NodeLock.take(system_files(), vault.db, "before").release()
    vault.db.write_bytes(b"x" * 100_000)
    vault.keeper.restore(vault.folder, Trust.MANIFEST)
    assert vault.titles() == {"first"}


def test_a_backup_of_an_older_schema_is_restored_and_migrated(vault: Vault) -> None:
    shutil.copy(FIXTURES / "schema_0001.db", vault.folder / "old.db")
    vault.keeper.restore(vault.folder / "old.db", Trust.SOUNDNESS)
    assert vault.machine.run("list").status == 0
    assert vault.keeper.verify([]).sound


def test_a_backup_only_reads_so_that_one_before_an_upgrade_is_of_the_older_schema(vault: Vault) -> None:
    old = vault.db.with_name("old.db")
    shutil.copy(FIXTURES / "schema_0001.db", old)
    before = old.read_bytes()
    vault.clock.advance(3600)
    made = vault.keeper_of(old).back_up(vault.folder, 0)
    assert (made.schema, old.read_bytes()) == (1, before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write for others")
def test_what_root_restores_belongs_to_whom_it_belonged(vault: Vault) -> None:
    files = [vault.db, vault.db.with_name("memory.db.node")]
    for path in files:
        os.chown(path, 0, 12_346)       # the user stays: permissions of files bind the root of .ci/run, too
    vault.keeper.restore(vault.folder, Trust.MANIFEST)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in files} == {(0, 12_346)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write for others")
@pytest.mark.parametrize("trust", Trust)
def test_what_root_restores_where_nothing_was_belongs_to_the_folders_owner(vault: Vault, trust: Trust) -> None:
    folder = vault.db.with_name("anew")
    folder.mkdir()
    os.chown(folder, 0, 12_346)
    vault.keeper_of(folder / "memory.db").restore(vault.folder / vault.names()[0], trust)
    assert {path.name: path.stat().st_gid for path in folder.iterdir()} == {
        "memory.db": 12_346, "memory.db.lock": 12_346}


@pytest.mark.parametrize("act", [
    lambda keeper, path: keeper.restore(path, Trust.MANIFEST), lambda keeper, path: keeper.back_up(path, 0),
    lambda keeper, path: keeper.verify([path]),
])
def test_what_is_in_a_folder_that_may_not_be_entered_is_told_with_its_path(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, act: Callable[[Keeper, Path], object]
) -> None:
    inside = shut(vault.db.with_name("shut"), monkeypatch)
    with pytest.raises(Unavailable, match=f"cannot look at {inside}: Permission denied; run this as root, or as"):
        act(vault.keeper, inside)


def test_a_second_restore_never_overwrites_what_the_first_kept(vault: Vault) -> None:
    kept = {vault.keeper.restore(vault.folder, Trust.MANIFEST).kept for _ in range(3)}
    assert len(kept) == 3
    assert all(Path(str(path)).is_file() for path in kept)


def test_verify_says_of_each_backup_what_is_wrong(vault: Vault) -> None:
    bad = vault.back_up()
    turn_a_bit(Path(bad.path))
    found = vault.keeper.verify([vault.folder])
    assert [(one.path == bad.path, one.sound) for one in found.databases] == [(False, True), (True, False)]
    assert found.databases[1].checks[0].findings[0].endswith("its SHA-256 is not that of its manifest")
    assert not found.sound


def test_what_there_is_to_verify_has_to_be_there(vault: Vault) -> None:
    for path in (vault.folder / "none.db", vault.db.parent):
        with pytest.raises(NotFound):
            vault.keeper.verify([path])
    with pytest.raises(NotFound, match="there is no database"):
        vault.keeper_of(vault.folder / "none.db").verify([])


def test_a_copy_of_a_database_needs_no_manifest_to_be_verified(vault: Vault) -> None:
    shutil.copy(vault.db, vault.folder / "copy.db")
    [found] = vault.keeper.verify([vault.folder / "copy.db"]).databases
    assert (found.sound, found.memories) == (True, 2)


async def test_a_restored_database_takes_writes(vault: Vault) -> None:
    vault.keeper.restore(vault.folder, Trust.MANIFEST)
    store: Store
    async with open_store(vault.db) as store:
        await store.write(put_pair, "after")
    assert vault.keeper.verify([]).sound
