"""The reader pool: deadlines, snapshots, and the end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio

from aimem.errors import Code, Unavailable
from aimem.ports import Connection, Mode, system_files, trio_threads
from aimem.store import Store, schema
from aimem.store.readers import Readers
from tests.nodes import InlineThreads, open_store
from tests.store.test_writer import put

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def count(conn: Connection) -> int:
    return int(str(conn.execute("SELECT count(*) FROM memories").fetchall()[0][0]))


def never_ends(conn: Connection) -> None:
    conn.execute(ENDLESS).fetchall()


def open_readers(folder: Path, count: int = 1) -> Readers:
    conn = system_files().connect(folder / "x.db", Mode.READ_WRITE_CREATE)
    schema.prepare_writer(conn, folder / "x.db")
    schema.ensure_schema(conn, system_files(), folder / "x.db", 0, print)
    conn.close()
    return Readers(files=system_files(), threads=trio_threads(), path=folder / "x.db", count=count)


async def test_a_read_past_its_deadline_is_stopped_and_its_connection_serves_the_next(tmp_path: Path) -> None:
    readers = open_readers(tmp_path)
    for _ in range(2):
        with pytest.raises(Unavailable) as late, trio.move_on_after(0.05):
            await readers.read(never_ends)
        assert late.value.code is Code.DEADLINE_EXCEEDED
        assert await readers.read(count) == 0
    readers.close()


async def test_who_leaves_while_waiting_for_a_reader_takes_none(tmp_path: Path) -> None:
    readers, let_go, began = open_readers(tmp_path), threading.Event(), trio.Event()

    def hold(conn: Connection) -> int:
        trio.from_thread.run_sync(began.set)
        let_go.wait()
        return count(conn)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(readers.read, hold)
        await began.wait()
        with trio.move_on_after(0.01) as scope:
            await readers.read(count)
        assert scope.cancelled_caught
        assert readers.limiter.borrowed_tokens == 1
        let_go.set()
    assert readers.limiter.borrowed_tokens == 0
    assert await readers.read(count) == 0
    readers.close()


async def test_a_read_sees_one_state_whatever_is_committed_meanwhile(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db") as store:
        await store.write(put, "k0")

        def twice(conn: Connection) -> tuple[int, int]:
            before = count(conn)
            trio.from_thread.run(store.write, put, "k1")
            return before, count(conn)

        assert await store.read(twice) == (1, 1)
        assert await store.read(count) == 2


async def test_a_read_that_raises_gives_its_connection_back_clean(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:

        def fail(conn: Connection) -> None:
            count(conn)
            raise LookupError

        with pytest.raises(LookupError):
            await store.read(fail)
        await store.write(put, "k0")
        assert await store.read(count) == 1


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        with pytest.raises(Unavailable) as refused:
            await store.read(lambda conn: conn.execute("DELETE FROM memories").rowcount)
        assert refused.value.code is Code.STORAGE_READ_ONLY


async def test_after_the_end_nobody_reads(tmp_path: Path) -> None:
    store: Store
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.read(count)
    with pytest.raises(Unavailable) as refused:
        await store.read(count)
    assert refused.value.code is Code.SHUTTING_DOWN


async def test_a_read_that_outlasts_the_end_closes_its_connection_itself(tmp_path: Path) -> None:
    readers, closed = open_readers(tmp_path), []

    def outlast(conn: Connection) -> int:
        readers.close()
        closed.append(conn)
        return count(conn)

    assert await readers.read(outlast) == 0
    with pytest.raises(Exception, match="closed"):
        closed[0].execute("SELECT 1")
