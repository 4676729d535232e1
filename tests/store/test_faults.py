"""A disk that fails while the store runs: who is told what, and what is there afterwards."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest
import trio

from aimem.errors import AimemError, Code, Corrupt, Unavailable
from aimem.ports import Mode
from aimem.store import Transaction, writer
from tests.disk import Disk, failed
from tests.nodes import InlineThreads, open_store
from tests.store.test_crash import Told, check_all, check_told, look, put_pair


def told_of(told: Told, key: str, error: AimemError) -> None:
    (told.unknown if error.details.get("outcome") == "indeterminate" else told.refused).add(key)


async def write_until_it_ends(db: Path, disk: Disk, told: Told, keys: list[str]) -> None:
    """Hand the store one write after another, and its callers what became of them."""
    async with open_store(db, files=disk, threads=InlineThreads()) as store:
        for key in keys:
            try:
                await store.write(put_pair, key)
            except AimemError as error:
                told_of(told, key, error)
            else:
                told.stored.add(key)


async def test_a_group_of_writes_waits_for_one_sync(tmp_path: Path) -> None:
    disk, slow = Disk(), threading.Event()
    async with open_store(tmp_path / "x.db", files=disk) as store:
        await store.write(put_pair, "c00")  # the log's header has a sync of its own
        syncs, groups = disk.sync_count, store.counts.groups
        disk.on_sync = lambda _: bool(slow.wait(0.002))
        async with trio.open_nursery() as callers:
            for number in range(100):
                callers.start_soon(store.write, put_pair, f"c1{number}")
        assert disk.sync_count - syncs == store.counts.groups - groups
        assert store.counts.groups - groups < 10
        assert store.counts.jobs >= 101


@pytest.mark.parametrize("after", range(1, 12))
async def test_a_failed_sync_of_the_log_ends_the_store_and_its_group_knows_nothing(tmp_path: Path, after: int) -> None:
    db, disk, told, syncs = tmp_path / "x.db", Disk(), Told(set(), set(), set()), 0

    def fail_once(name: str) -> None:
        nonlocal syncs
        syncs += name == "x.db-wal"
        if syncs == after:
            raise failed(apsw.SQLITE_IOERR_FSYNC)

    disk.on_sync = fail_once
    with pytest.RaisesGroup(Corrupt, flatten_subgroups=True, allow_unwrapped=True):
        await write_until_it_ends(db, disk, told, [f"c0{number}" for number in range(12)])
    if told.stored or told.unknown:  # else it failed while the store was opened
        assert len(told.unknown) == 1
        assert len(told.stored) + len(told.unknown) + len(told.refused) == 12
    async with open_store(db, threads=InlineThreads()):
        check_told(told, *look(db))


async def test_a_failed_sync_of_the_database_ends_the_store_and_all_that_it_committed_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, disk, told, files = tmp_path / "x.db", Disk(), Told(set(), set(), set()), list[str]()
    monkeypatch.setattr(writer, "LOG_PAGES", 20)

    def fail_once(name: str) -> None:
        if name == db.name and told.stored and db.name not in files:
            files.append(name)
            raise failed(apsw.SQLITE_IOERR_FSYNC)

    disk.on_sync = fail_once
    with pytest.RaisesGroup(
        pytest.RaisesExc(Corrupt, match="the log is kept"), flatten_subgroups=True, allow_unwrapped=True
    ):
        await write_until_it_ends(db, disk, told, [f"c0{number:02}" for number in range(12)])
    assert told.stored
    assert told.refused
    assert not told.unknown
    async with open_store(db, threads=InlineThreads()):
        check_told(told, *look(db))


async def test_a_write_is_acknowledged_where_a_full_disk_keeps_the_log_from_being_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, synced = Disk(), list[str]()

    def fill(_: str) -> None:
        disk.writes_until_full = 0

    async with open_store(tmp_path / "x.db", files=disk, threads=InlineThreads()) as store:
        await store.write(put_pair, "c00")
        monkeypatch.setattr(writer, "LOG_PAGES", 1)
        disk.on_sync = fill     # after the commit's frames
        await store.write(put_pair, "c01")
        disk.on_sync, disk.writes_until_full = synced.append, None
        await store.write(put_pair, "c02")
        assert "x.db" in synced


async def test_sqlite_never_moves_the_log_by_itself_as_it_tells_nobody_of_a_failed_sync(tmp_path: Path) -> None:
    def pages(transaction: Transaction) -> object:
        return transaction.conn.execute("PRAGMA wal_autocheckpoint").fetchall()

    async with open_store(tmp_path / "x.db") as store:
        assert (await store.write(pages)).value == [(0,)]


async def test_a_log_is_moved_once_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, synced = Disk(), list[str]()
    monkeypatch.setattr(writer, "LOG_PAGES", 60)
    async with open_store(tmp_path / "x.db", files=disk, threads=InlineThreads()) as store:
        disk.on_sync = synced.append
        for number in range(40):
            await store.write(put_pair, f"c0{number:02}")
    assert 2 <= synced.count("x.db") <= 20 < synced.count("x.db-wal")


@pytest.mark.parametrize("which", ["x.db", "x.db-wal"])
async def test_a_failed_sync_while_the_log_is_emptied_loses_nothing_and_says_that_the_log_is_kept(
    tmp_path: Path, which: str
) -> None:
    db, disk, told = tmp_path / "x.db", Disk(), Told(set(), set(), set())

    def fail(name: str) -> None:
        if name == which:
            raise failed(apsw.SQLITE_IOERR_FSYNC)

    async with open_store(db, files=disk, threads=InlineThreads()) as store:
        await store.write(put_pair, "c00")
        told.stored.add("c00")
        disk.on_sync = fail
        with pytest.raises(Corrupt, match=r"the write-ahead log of .*x.db could not be moved .* start again") as ended:
            await store.shorten_wal()
        assert "backup" not in ended.value.message
    async with open_store(db, threads=InlineThreads()):
        check_told(told, *look(db))


@pytest.mark.parametrize("writes", range(0, 40, 3))
async def test_a_full_disk_refuses_writes_and_the_store_goes_on_when_there_is_room(
    tmp_path: Path, writes: int
) -> None:
    db, disk, told = tmp_path / "x.db", Disk(), Told(set(), set(), set())
    async with open_store(db, files=disk, threads=InlineThreads()) as store:

        async def attempt(key: str) -> Code | None:
            try:
                await store.write(put_pair, key)
            except AimemError as error:
                told_of(told, key, error)
                return error.code
            told.stored.add(key)
            return None

        disk.writes_until_full = writes
        codes = [await attempt(f"c0{number:02}") for number in range(6)]
        assert codes[-1] is Code.STORAGE_FULL
        assert codes == sorted(codes, key=lambda code: code is not None)
        disk.writes_until_full = None
        assert await attempt("c099") is None
        assert not told.unknown
        check_told(told, *look_through(disk, db))
    async with open_store(db, threads=InlineThreads()):
        check_told(told, *look(db))


def look_through(disk: Disk, db: Path) -> tuple[set[str], set[str]]:
    """Check while the store is open: by the same library, since closing a file gives up its locks in the process."""
    conn = disk.connect(db, Mode.READ_ONLY)
    try:
        return check_all(conn)
    finally:
        conn.close()


@pytest.mark.parametrize("writes", range(0, 60, 6))
async def test_a_disk_that_is_full_when_the_store_opens_is_said_so(tmp_path: Path, writes: int) -> None:
    db, disk = tmp_path / "x.db", Disk()
    disk.writes_until_full = writes
    with pytest.RaisesGroup(
        pytest.RaisesExc(Unavailable, check=lambda error: error.code is Code.STORAGE_FULL),
        flatten_subgroups=True, allow_unwrapped=True,
    ):
        async with open_store(db, files=disk, threads=InlineThreads()):
            pytest.fail("so few writes are not enough to open a store")
    async with open_store(db, threads=InlineThreads()) as store:
        await store.write(put_pair, "c01")
        look(db)


async def test_a_disk_that_turns_read_only_ends_the_store_and_loses_nothing(tmp_path: Path) -> None:
    db, disk, told = tmp_path / "x.db", Disk(), Told(set(), set(), set())
    with pytest.RaisesGroup(Corrupt, flatten_subgroups=True, allow_unwrapped=True):
        async with open_store(db, files=disk, threads=InlineThreads()) as store:
            await store.write(put_pair, "c01")
            told.stored.add("c01")
            disk.is_read_only = True
            with pytest.raises(Corrupt) as unknown:
                await store.write(put_pair, "c02")
            told_of(told, "c02", unknown.value)
            await trio.sleep_forever()
    assert told.unknown == {"c02"}
    async with open_store(db, threads=InlineThreads()):
        check_told(told, *look(db))


async def test_a_read_that_finds_a_broken_page_ends_the_store(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    async with open_store(db, threads=InlineThreads()) as store:
        for number in range(40):
            await store.write(put_pair, f"c0{number:02}")
    break_pages(db, "memories")
    with pytest.RaisesGroup(Corrupt, flatten_subgroups=True, allow_unwrapped=True):
        async with open_store(db, threads=InlineThreads()) as store:
            with pytest.raises(Corrupt) as found:
                await store.read(lambda conn: conn.execute("SELECT sum(length(content)) FROM memories").fetchall())
            assert str(db) in found.value.message
            await trio.sleep_forever()


async def test_a_write_that_finds_a_broken_page_ends_the_store(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    async with open_store(db, threads=InlineThreads()) as store:
        for number in range(40):
            await store.write(put_pair, f"c0{number:02}")
    break_pages(db, "op_entries")
    with pytest.RaisesGroup(Corrupt, flatten_subgroups=True, allow_unwrapped=True):
        async with open_store(db, threads=InlineThreads()) as store:
            with pytest.raises(Corrupt):
                await store.write(put_pair, "c099")
            await trio.sleep_forever()


def break_pages(db: Path, table: str) -> None:
    """Flip the bits of every page of a table, its root too."""
    conn = apsw.Connection(str(db))
    pages = [row[0] for row in conn.execute("SELECT pageno FROM dbstat WHERE name = ?", (table,))]
    size = conn.execute("PRAGMA page_size").fetchone()[0]
    conn.close()
    content = bytearray(db.read_bytes())
    for page in pages:
        start = (page - 1) * size
        content[start : start + size] = bytes(byte ^ 0xFF for byte in content[start : start + size])
    db.write_bytes(content)
