"""Backups: what counts is whole, what goes is older than as many whole ones, and what is damaged is said."""

from __future__ import annotations

import os
from errno import EACCES, EIO, ENOSPC
from pathlib import Path
from typing import Any  # what os.stat takes

import msgspec
import pytest

from aimem.errors import Conflict, Corrupt, InvalidRequest, NotFound, Unavailable
from aimem.operations import Keeper
from aimem.ports import Mode, durable, system_chance, system_files
from aimem.store import NodeLock, replacing
from aimem.wire import keeping
from tests.cli.real import RealMachine
from tests.nodes import START, FakeClock


class Vault:
    """A database with a few memories, and a folder for its backups."""

    def __init__(self, root: Path) -> None:
        self.machine = RealMachine(root)
        self.clock = FakeClock(START)
        self.db, self.folder = root / "memory.db", root / "backups"
        self.keeper = self.keeper_of(self.db)
        self.store("first")

    def keeper_of(self, db: Path) -> Keeper:
        return Keeper(db, system_files(), self.clock, system_chance())

    def store(self, title: str) -> None:
        assert self.machine.run("store", "-T", title, "-c", f"The text of {title}.").status == 0

    def titles(self) -> set[str]:
        listed = msgspec.json.decode(self.machine.run("list", "--json").out)
        return {memory["title"] for memory in listed["memories"]}

    def back_up(self, keep_count: int = 0) -> keeping.BackupOut:
        self.clock.advance(3600)
        return self.keeper.back_up(self.folder, keep_count)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def shut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have nobody look into a folder, root neither. Returns: what is said to be in it."""
    inside, look = folder / "inside", os.stat

    def refuse(path: str | os.PathLike[str], **more: Any) -> os.stat_result:
        if folder in Path(path).parents:
            raise PermissionError(EACCES, "Permission denied", str(path))
        return look(path, **more)

    monkeypatch.setattr(os, "stat", refuse)
    return inside


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def take_manifest(path: Path) -> None:
    path.with_name(f"{path.stem}.manifest.json").unlink()


def spoil_manifest(path: Path) -> None:
    path.with_name(f"{path.stem}.manifest.json").write_bytes(b'{"snapshot":')


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write for others")
@pytest.mark.parametrize("is_there", [True, False])
def test_what_root_backs_up_belongs_to_the_folders_owner(vault: Vault, is_there: bool) -> None:
    if is_there:
        vault.folder.mkdir()
    owned = vault.folder if is_there else vault.folder.parent
    os.chown(owned, 0, 12_346)      # the user stays: permissions of files bind the root of .ci/run, too
    vault.back_up()
    found = [vault.folder, *vault.folder.iterdir()]
    assert (len(found), {path.stat().st_gid for path in found}) == (4, {12_346})


DAMAGE = [cut, turn_a_bit, Path.unlink]


def test_a_backup_has_a_manifest_that_says_what_it_is_and_no_key(vault: Vault) -> None:
    made = vault.back_up()
    assert vault.names() == ["ai-memory-2027-01-15T090000Z.db", "ai-memory-2027-01-15T090000Z.manifest.json"]
    manifest = msgspec.json.decode((vault.folder / vault.names()[1]).read_bytes(), type=keeping.BackupManifest)
    assert (manifest.sha256, manifest.source_db, manifest.memories) == (made.sha256, str(vault.db), 1)
    assert manifest.bytes == (vault.folder / vault.names()[0]).stat().st_size
    assert vault.keeper.verify([vault.folder]).sound
    key = msgspec.json.decode(vault.db.with_name("memory.db.node").read_bytes())["private_key"]
    assert bytes.fromhex(key) not in (vault.folder / vault.names()[0]).read_bytes()
    assert {path.stat().st_mode & 0o777 for path in vault.folder.iterdir()} == {0o600}


def test_as_many_as_are_to_be_kept_stay_the_newest(vault: Vault) -> None:
    made = [vault.back_up(keep_count=2) for _ in range(4)]
    assert vault.names()[::2] == [made[2].snapshot, made[3].snapshot]
    assert [one.removed for one in made] == [(), (), (made[0].snapshot,), (made[1].snapshot,)]


def test_with_0_all_are_kept(vault: Vault) -> None:
    for _ in range(3):
        vault.back_up(keep_count=0)
    assert len(vault.names()) == 6


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_does_not_count_is_said_and_saves_an_older_one(vault: Vault, damage: object) -> None:
    old, bad = vault.back_up(), vault.back_up()
    damage(Path(bad.path))  # type: ignore[operator]
    made = vault.back_up(keep_count=2)
    assert made.removed == ()
    assert [bad.path in warning for warning in made.warnings] == [True]
    assert Path(old.path).exists()
    assert vault.back_up(keep_count=2).removed == (bad.snapshot, old.snapshot)


def test_a_backup_that_the_disk_lost_stops_neither_a_restore_nor_those_after_it(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, bad = vault.back_up(), vault.back_up()
    facts_of = durable.facts_of

    def read(path: Path) -> durable.FileFacts:
        if path == Path(bad.path):
            raise OSError(EIO, "Input/output error", str(path))
        return facts_of(path)

    monkeypatch.setattr(durable, "facts_of", read)
    done = vault.keeper.restore(vault.folder, keeping.Trust.MANIFEST)
    assert (done.source, [bad.path in warning for warning in done.warnings]) == (old.path, [True])
    made = vault.back_up(keep_count=2)
    assert (made.removed, [bad.path in warning for warning in made.warnings]) == ((), [True])
    assert vault.back_up(keep_count=2).removed == (bad.snapshot, old.snapshot)


@pytest.mark.parametrize("spoil", [take_manifest, spoil_manifest])
def test_what_has_no_manifest_of_ours_neither_counts_nor_goes(vault: Vault, spoil: object) -> None:
    old, bare = vault.back_up(), vault.back_up()
    spoil(Path(bare.path))  # type: ignore[operator]
    assert vault.back_up(keep_count=2).removed == ()
    assert vault.back_up(keep_count=2).removed == (old.snapshot,)
    assert Path(bare.path).exists()


def test_backups_of_another_database_in_the_folder_are_left_alone(vault: Vault) -> None:
    mine = vault.back_up()
    vault.machine.run("--db", "other.db", "store", "-T", "x", "-c", "y")
    vault.clock.advance(3600)
    vault.keeper_of(vault.db.with_name("other.db")).back_up(vault.folder, 1)
    assert Path(mine.path).exists()


def test_the_one_just_made_stays_though_the_clock_went_back(vault: Vault) -> None:
    later = vault.back_up()
    vault.clock.advance(-86_400)
    made = vault.keeper.back_up(vault.folder, 1)
    assert (Path(made.path).exists(), made.removed) == (True, (later.snapshot,))


def test_a_damaged_database_is_not_backed_up_and_no_backup_goes(vault: Vault) -> None:
    old = vault.back_up()
    conn = system_files().connect(vault.db, Mode.READ_WRITE_CREATE)
    conn.execute("UPDATE streams SET head_hash = zeroblob(32)")
    conn.close()
    with pytest.raises(Corrupt, match=r"is damaged .*its copy was thrown away, and no earlier backup was touched"):
        vault.back_up(keep_count=1)
    assert vault.names()[::2] == [old.snapshot]
    assert not list(vault.folder.glob(".*part*"))


def test_what_a_killed_backup_left_goes_with_the_next(vault: Vault) -> None:
    vault.folder.mkdir()
    (vault.folder / ".ai-memory-backup.part").write_bytes(b"half")
    (vault.folder / ".ai-memory-backup.part-journal").write_bytes(b"half")
    vault.back_up()
    assert not list(vault.folder.glob(".*part*"))


def test_a_backup_whose_manifest_has_no_room_leaves_nothing(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (vault.back_up(), vault.names())[1]
    files = system_files()
    write_durably = files.write_durably

    def write(path: Path, data: bytes) -> None:
        if data:
            raise OSError(ENOSPC, "No space left on device", str(path))
        write_durably(path, data)

    monkeypatch.setattr(files, "write_durably", write)
    vault.clock.advance(3600)
    with pytest.raises(Unavailable, match="No space left"):
        Keeper(vault.db, files, vault.clock, system_chance()).back_up(vault.folder, 1)
    assert vault.names() == before
    assert not list(vault.folder.glob(".*part*"))


def test_a_second_one_within_a_second_is_refused(vault: Vault) -> None:
    vault.back_up()
    with pytest.raises(Conflict, match="one backup a second"):
        vault.keeper.back_up(vault.folder, 0)


def test_where_it_cannot_go_is_said(vault: Vault) -> None:
    with pytest.raises(NotFound, match=r"no folder .*disk to make backups in; mount or make it"):
        vault.keeper.back_up(vault.folder.with_name("disk") / "backups", 1)
    with pytest.raises(InvalidRequest, match="is no folder"):
        vault.keeper.back_up(vault.db, 1)
    with pytest.raises(InvalidRequest, match="keep"):
        vault.keeper.back_up(vault.folder, -1)


def test_only_one_works_in_a_folder(vault: Vault) -> None:
    vault.back_up()
    lock = system_files().lock(vault.folder / ".ai-memory-backup.lock", "x")
    with pytest.raises(Unavailable, match="another ai-memory backup works in"):
        vault.back_up()
    lock.close()
    vault.back_up()


def test_what_is_not_there_or_on_its_way_is_not_backed_up(vault: Vault) -> None:
    with pytest.raises(NotFound, match="there is no database"):
        vault.keeper_of(vault.db.with_name("none.db")).back_up(vault.folder, 1)
    replacing.copy_path(vault.db).write_bytes(vault.db.read_bytes())
    replacing.commit(vault.db)
    with pytest.raises(Unavailable, match="was cut off before its end"):
        vault.back_up()
    NodeLock.take(system_files(), vault.db, "the next one").release()
    assert vault.back_up().memories == 1
