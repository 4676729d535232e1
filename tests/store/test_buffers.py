"""What a node notes for a while keeps within its bound of bytes, and the file gives back what it does not need."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from aimem.model import Instant
from aimem.ports import Connection, system_files
from aimem.ports.files import Mode
from aimem.store import Store, Transaction, buffers
from aimem.store.buffers import BUFFERS, Buffer
from tests.nodes import InlineThreads, open_store

_FILL = {
    "events": "INSERT INTO events (at, event, kind, key, version, is_own) "
              "VALUES (:n, 'store', 'memory', :text, 'v', 1)",
    "idempotency": "INSERT INTO idempotency (scope, key, request_hash, answer, noted_at) "
                   "VALUES ('s', 'k' || :n, x'00', CAST(:text AS BLOB), :n)",
    "conflicts": "INSERT INTO conflicts (kind, key, field, stamp, value, noted_at) "
                 "VALUES ('memory', 'k' || :n, 'content', x'00', :text, :n)",
    "history": "INSERT INTO history (memory_id, stamp, replaced_by, title, content, noted_at) "
               "VALUES ('m', CAST(:n AS BLOB), x'00', 't', :text, :n)",
}
NOW = Instant(1_000_000_000)
_MEMORY = ("INSERT INTO memories (id) VALUES ('m')",)


def fill(transaction: Transaction, table: str, count: int) -> None:
    for statement in _MEMORY if table == "history" else ():
        transaction.conn.execute(statement)
    transaction.conn.executemany(_FILL[table], [{"n": n, "text": "x" * 1000} for n in range(count)])


def ages(conn: Connection, buffer: Buffer) -> list[object]:
    """In the order in which they were noted; events by the time that a test gave them."""
    column = "at" if buffer.table == "events" else buffer.age
    return [row[0] for row in conn.execute(f"SELECT {column} FROM {buffer.table} ORDER BY 1")]


async def cut(store: Store, buffer: Buffer) -> int:
    over = await store.read(buffers.surplus, buffer, 0)
    rows, until = await store.read(buffers.oldest, buffer, over, NOW)
    wrote = await store.write(buffers.drop, buffer, rows, until)
    assert wrote.value == over
    return over


@pytest.mark.parametrize("buffer", BUFFERS, ids=lambda buffer: buffer.table)
async def test_the_oldest_rows_beyond_the_bound_go_and_the_youngest_stay(tmp_path: Path, buffer: Buffer) -> None:
    bounded = replace(buffer, least_bytes=50_000, share=0.0)
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        before = (await store.read(buffers.pages)).used_bytes
        await store.write(fill, buffer.table, 100)
        width = ((await store.read(buffers.pages)).used_bytes - before) / 100
        assert 50 <= await cut(store, bounded) <= 62       # about 40 of 1,100 bytes and more are within it
        left = await store.read(ages, buffer)
        assert left == sorted(left) and left[-1] == 99
        assert len(left) * width < 2 * bounded.least_bytes
        assert await store.read(buffers.surplus, bounded, 0) == 0


@pytest.mark.parametrize("buffer", BUFFERS, ids=lambda buffer: buffer.table)
async def test_a_buffer_within_its_bound_loses_nothing(tmp_path: Path, buffer: Buffer) -> None:
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        assert await store.read(buffers.surplus, buffer, 0) == 0
        await store.write(fill, buffer.table, 100)
        assert await store.read(buffers.surplus, buffer, 0) == 0


def test_a_bound_grows_with_the_database() -> None:
    buffer = Buffer(table="events", age="no", width="0", share=0.1, least_bytes=1000)
    assert [buffer.most_bytes(size) for size in (0, 10_000, 50_000)] == [1000, 1000, 5000]


async def test_a_row_that_is_younger_than_was_seen_stays(tmp_path: Path) -> None:
    history = next(buffer for buffer in BUFFERS if buffer.table == "history")
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        await store.write(fill, "history", 3)
        rows, until = await store.read(buffers.oldest, history, 3, NOW)
        assert (len(rows), until) == (3, 2)
        assert (await store.write(buffers.drop, history, rows, 1)).value == 2
        assert await store.read(ages, history) == [2]


async def test_a_row_is_kept_for_as_long_as_its_buffer_says(tmp_path: Path) -> None:
    kept = next(buffer for buffer in BUFFERS if buffer.table == "idempotency")
    assert kept.keep_s == 600
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        await store.write(fill, "idempotency", 10)      # noted at 0 to 9 us
        assert await store.read(buffers.oldest, kept, 10, Instant(600_000_004)) == ([1, 2, 3, 4, 5], 4)
        assert await store.read(buffers.oldest, kept, 10, Instant(599_000_000)) == ([], 0)


def _waste(transaction: Transaction) -> None:
    fill(transaction, "events", 2000)


def _forget(transaction: Transaction) -> None:
    buffer = BUFFERS[0]
    rows, until = buffers.oldest(transaction.conn, buffer, 2000, NOW)
    assert buffers.drop(transaction, buffer, rows, until) == 2000


async def test_a_file_gives_free_pages_back_step_by_step(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        await store.write(_waste)
        await store.write(_forget)
        found = await store.read(buffers.pages)
        assert found.can_shrink and found.free > 400
        await store.write(buffers.shrink, 64)
        left = await store.read(buffers.pages)
        assert (left.count, left.free) == (found.count - 64, found.free - 64)
        assert left.used_bytes == found.used_bytes
        await store.shorten_wal()
        assert store.wal_bytes == 0
        assert store.file_bytes() == left.count * left.page_bytes
    assert _integrity(tmp_path / "s.db") == [("ok",)]


async def test_a_file_that_was_made_without_it_keeps_its_pages_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    conn = system_files().connect(path, Mode.READ_WRITE_CREATE)
    conn.execute("CREATE TABLE t (a)")
    conn.execute("DROP TABLE t")
    conn.close()
    async with open_store(path, threads=InlineThreads()) as store:
        await store.write(_waste)
        await store.write(_forget)
        found = await store.read(buffers.pages)
        assert not found.can_shrink
        await store.write(buffers.shrink, 64)
        assert await store.read(buffers.pages) == found


async def test_the_log_that_a_reader_needs_is_not_waited_for(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db", threads=InlineThreads()) as store:
        reader = system_files().connect(tmp_path / "s.db", Mode.READ_ONLY)
        try:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events").fetchall()
            await store.write(_waste)
            await store.shorten_wal()
            assert store.wal_bytes > 0
        finally:
            reader.close()
        await store.shorten_wal()
        assert store.wal_bytes == 0


def _integrity(path: Path) -> object:
    conn = system_files().connect(path, Mode.READ_ONLY)
    try:
        return conn.execute("PRAGMA integrity_check").fetchall()
    finally:
        conn.close()
