"""Opening what is not as it should be: a clear sentence of ours, and nobody's file is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from aimem.errors import AimemError, Code, Corrupt, InvalidRequest, Unavailable
from aimem.model import stream_id
from aimem.ports import (
    Connection,
    Cursor,
    DatabaseError,
    DatabaseFault,
    Files,
    LockHeld,
    Mode,
    durable,
    system_chance,
    system_files,
)
from aimem.store import SCHEMA_VERSION, NodeLock, Store, digest, lineage, oplog
from aimem.store.identity import Sidecar, sidecar_path
from tests.disk import Disk
from tests.nodes import InlineThreads, open_store
from tests.store.test_crash import look, put_pair

ROOT = Path(__file__).resolve().parents[2]


async def fill(db: Path) -> str:
    """A sound database. Returns: its stream."""
    async with open_store(db, threads=InlineThreads()) as store:
        for number in range(30):
            await store.write(put_pair, f"c0{number:02}")
        return store.stream


async def opened_error(db: Path, files: Files | None = None) -> AimemError:
    """Why it cannot be opened."""
    found: list[AimemError] = []
    try:
        async with open_store(db, threads=InlineThreads(), files=files):
            pytest.fail("it could be opened")
    except* AimemError as group:
        found += flat(group)
    assert len(found) == 1
    return found[0]


def flat(group: BaseExceptionGroup[AimemError]) -> Iterator[AimemError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from flat(error)
        else:
            yield error


def write_text(db: Path) -> None:
    db.write_text("these are notes, not a database\n" * 200)


def of_another_program(db: Path) -> None:
    conn = sqlite3.connect(db)
    conn.execute("CREATE TABLE bookmarks (url TEXT)")
    conn.execute("INSERT INTO bookmarks VALUES ('x')")
    conn.commit()
    conn.close()


def newer(db: Path) -> None:
    conn = sqlite3.connect(db)
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    conn.execute("PRAGMA journal_mode = DELETE")
    conn.commit()
    conn.close()


def without_version(db: Path) -> None:
    conn = sqlite3.connect(db)
    conn.execute("PRAGMA user_version = 0")
    conn.execute("PRAGMA journal_mode = DELETE")
    conn.commit()
    conn.close()


def truncate(db: Path) -> None:
    os.truncate(db, db.stat().st_size // 2)


def garble_header(db: Path) -> None:
    with db.open("r+b") as file:
        file.write(b"\xff" * 100)


def garble_schema(db: Path) -> None:
    with db.open("r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 3_000)


def test_a_file_that_is_no_database_is_not_locked(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    write_text(db)
    with pytest.raises(Corrupt) as caught:
        NodeLock.take(system_files(), db, "pid=1")
    assert caught.value.code is Code.NOT_A_DATABASE
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("beside", ["x.db.lock", "x.db-wal"])
def test_a_damaged_file_that_was_opened_here_is_left_to_who_opens_it(tmp_path: Path, beside: str) -> None:
    db = tmp_path / "x.db"
    write_text(db)
    (tmp_path / beside).touch()
    NodeLock.take(system_files(), db, "pid=1").release()


@pytest.mark.parametrize(("damage", "code", "words"), [
    (write_text, Code.NOT_A_DATABASE, "no SQLite database"),
    (of_another_program, Code.NOT_A_DATABASE, "another program"),
    (newer, Code.NEWER_SCHEMA, "install the newer version"),
    (without_version, Code.NOT_A_DATABASE, "another program"),
    (truncate, Code.CORRUPT, "restore from a backup"),
    (garble_header, Code.NOT_A_DATABASE, "no SQLite database"),
    (garble_schema, Code.CORRUPT, "restore from a backup"),
])
async def test_a_file_that_is_not_ours_or_broken_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], None], code: Code, words: str
) -> None:
    db = tmp_path / "x.db"
    if damage not in (write_text, of_another_program):
        await fill(db)
    damage(db)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    error = await opened_error(db)
    assert isinstance(error, Corrupt)
    assert error.code is code
    assert str(db) in error.message
    assert words in error.message
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


async def test_a_file_emptied_behind_our_back_begins_a_new_stream(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    old = await fill(db)
    db.write_bytes(b"")
    async with open_store(db, threads=InlineThreads()) as store:
        assert await predecessor(store) == old != store.stream


async def predecessor(store: Store) -> object:
    _, *before = await store.read(lineage.line_of, store.stream)
    return before[0] if before else None


def change_key(data: bytes) -> bytes:
    sidecar = msgspec.json.decode(data, type=Sidecar)
    return msgspec.json.encode(msgspec.structs.replace(sidecar, private_key="ab" * 32))


@pytest.mark.parametrize("garble", [
    lambda data: b"",
    lambda data: data[: len(data) // 2],
    lambda data: b"\xff\xfe" + data,
    lambda data: b"{}",
    lambda data: data.replace(b'"private_key":"', b'"private_key":"zz'),
    lambda data: data.replace(b'"private_key":"', b'"private_key":"00'),
    change_key,
], ids=["empty", "half", "no text", "no key", "no number", "too long", "another's"])
async def test_a_garbled_key_file_is_refused_and_kept(tmp_path: Path, garble: Callable[[bytes], bytes]) -> None:
    db = tmp_path / "x.db"
    await fill(db)
    garbled = garble(sidecar_path(db).read_bytes())
    sidecar_path(db).write_bytes(garbled)
    error = await opened_error(db)
    assert isinstance(error, Corrupt)
    assert "x.db.node" in error.message
    assert "move it away" in error.message
    assert sidecar_path(db).read_bytes() == garbled
    look(db)


async def test_a_key_file_that_is_a_folder_is_said_so(tmp_path: Path) -> None:
    sidecar_path(tmp_path / "x.db").mkdir()
    error = await opened_error(tmp_path / "x.db")
    assert isinstance(error, Unavailable)
    assert "x.db.node" in error.message


async def test_a_disk_that_fails_while_opening_is_no_reason_to_distrust_the_file(tmp_path: Path) -> None:
    class Failing(Disk):
        def connect(self, path: Path, mode: Mode) -> Connection:
            conn = super().connect(path, mode)
            conn.execute = fail     # type: ignore[method-assign]
            return conn

    def fail(*_: object) -> Cursor:
        raise DatabaseError("disk I/O error", DatabaseFault.IO)

    error = await opened_error(tmp_path / "x.db", files=Failing())
    assert isinstance(error, Unavailable)
    assert "check that its disk has room" in error.message


async def test_without_its_key_file_a_database_begins_a_new_stream(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    old = await fill(db)
    sidecar_path(db).unlink()
    async with open_store(db, threads=InlineThreads()) as store:
        assert store.stream != old
        assert await predecessor(store) is None
        await store.write(put_pair, "c099")
        assert set(await store.read(oplog.vector)) == {old, store.stream}
        look(db)
        again = store.stream
    async with open_store(db, threads=InlineThreads()) as store:
        assert store.stream == again


async def test_another_databases_key_file_begins_a_new_stream_after_its_own(tmp_path: Path) -> None:
    db, other = tmp_path / "x.db", tmp_path / "other.db"
    old, foreign = await fill(db), await fill(other)
    shutil.copy(sidecar_path(other), sidecar_path(db))
    async with open_store(db, threads=InlineThreads()) as store:
        assert store.stream not in (old, foreign)
        assert await predecessor(store) == foreign
        signer = system_chance().load_signer(
            bytes.fromhex(msgspec.json.decode(sidecar_path(db).read_bytes(), type=Sidecar).private_key)
        )
        assert stream_id(signer.public_key) == store.stream


async def test_the_same_database_opened_again_is_the_same(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    stream = await fill(db)
    before = digest_of(db)
    async with open_store(db, threads=InlineThreads()) as store:
        assert store.stream == stream
        assert await store.read(digest) == before


def digest_of(db: Path) -> str:
    conn = system_files().connect(db, Mode.READ_ONLY)
    try:
        return digest(conn)
    finally:
        conn.close()


# Permissions ----------------------------------------------------------------------------------------------------------


@contextmanager
def closed(path: Path, mode: int) -> Iterator[None]:
    """Permissions taken for a while, so that the folder can be removed afterwards."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


@pytest.mark.usefixtures("bound_by_permissions")
async def test_a_new_database_in_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with closed(tmp_path, 0o500):
        with pytest.raises(Unavailable, match="its folder's permissions"):
            NodeLock.take(system_files(), tmp_path / "x.db", "")
        error = await opened_error(tmp_path / "x.db")
        assert isinstance(error, Unavailable)
        assert str(tmp_path / "x.db") in error.message


@pytest.mark.usefixtures("bound_by_permissions")
def test_a_lock_that_is_somebody_elses_is_told_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "x.db.lock"
    lock.touch()
    monkeypatch.setattr(durable, "owner_of", lambda path: "root" if path == lock else "ai-memory")
    with closed(lock, 0o000), pytest.raises(Unavailable) as told:
        NodeLock.take(system_files(), tmp_path / "x.db", "")
    assert told.value.message == (
        f"cannot lock {lock}: Permission denied; it belongs to root, and its folder to ai-memory: run this as root, or"
        f", as root, chown ai-memory {lock}")


@pytest.mark.usefixtures("bound_by_permissions")
async def test_a_folder_that_cannot_be_entered_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "closed"
    inner.mkdir()
    with closed(inner, 0o000):
        with pytest.raises(Unavailable, match="its folder's permissions"):
            NodeLock.take(system_files(), inner / "x.db", "")
        assert isinstance(await opened_error(inner / "x.db"), Unavailable)


@pytest.mark.usefixtures("bound_by_permissions")
async def test_a_read_only_database_is_read_and_refuses_writes(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    await fill(db)
    before = digest_of(db)
    with closed(db, 0o400):
        async with open_store(db, threads=InlineThreads()) as store:
            assert await store.read(digest) == before
            with pytest.raises(Unavailable) as refused:
                await store.write(put_pair, "c099")
            assert refused.value.code is Code.STORAGE_READ_ONLY
            assert str(db) in refused.value.message


@pytest.mark.usefixtures("bound_by_permissions")
async def test_a_read_only_database_in_a_read_only_folder_is_said_so(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    await fill(db)
    with closed(db, 0o400), closed(tmp_path, 0o500):
        error = await opened_error(db)
        assert isinstance(error, Unavailable)
        assert str(db) in error.message


@pytest.mark.usefixtures("bound_by_permissions")
async def test_a_key_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    await fill(db)
    with closed(sidecar_path(db), 0o000):
        error = await opened_error(db)
    assert error.code is Code.STORAGE_READ_ONLY
    assert "x.db.node" in error.message


# The lock -------------------------------------------------------------------------------------------------------------


def test_a_device_or_a_pipe_is_no_database_and_gets_no_lock_file_beside_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.db")
    with pytest.raises(InvalidRequest, match="a device, a pipe or a socket"):
        NodeLock.take(system_files(), tmp_path / "x.db", "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.db"]


def test_a_lock_file_that_is_a_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="it is a symbolic link"):
        NodeLock.take(system_files(), tmp_path / "x.db", "")


def test_a_file_of_two_names_is_refused_until_it_has_one(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    (tmp_path / "y.db").hardlink_to(tmp_path / "x.db")
    for name in ("x.db", "y.db"):
        with pytest.raises(InvalidRequest, match="a hard link"):
            NodeLock.take(system_files(), tmp_path / name, "test")
    (tmp_path / "y.db").unlink()
    NodeLock.take(system_files(), tmp_path / "x.db", "test").release()


def test_a_folder_or_a_missing_one_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a folder"):
        NodeLock.take(system_files(), tmp_path, "")
    with pytest.raises(InvalidRequest, match="does not exist"):
        NodeLock.take(system_files(), tmp_path / "none" / "x.db", "")
    (tmp_path / "file").write_text("x")
    for name in ("file/x.db", "x" * 300):
        with pytest.raises((Unavailable, InvalidRequest)) as refused:
            NodeLock.take(system_files(), tmp_path / name, "")
        assert name in refused.value.message


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[trio.Process]:
    """Another process that has the lock."""
    code = (
        "import sys; from pathlib import Path; from aimem.ports import system_files; from aimem.store import NodeLock\n"
        "lock = NodeLock.take(system_files(), Path(sys.argv[1]), 'pid 42 on host')\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", code, str(tmp_path / "x.db")],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            said += (part := await process.stdout.receive_some())
            assert part, "the holder ended"
        yield process
    finally:
        process.kill()
        await process.wait()


@pytest.mark.slow
async def test_a_lock_belongs_to_one_process_until_it_dies(tmp_path: Path, holder: trio.Process) -> None:
    db = tmp_path / "x.db"
    with pytest.raises(LockHeld) as refused:
        NodeLock.take(system_files(), db, "")
    assert refused.value.hint == "pid 42 on host"
    holder.kill()
    await holder.wait()
    lock = NodeLock.take(system_files(), db, "mine")
    with pytest.raises(LockHeld, match="mine"):
        NodeLock.take(system_files(), db, "")
    lock.release()
    lock.release()
    NodeLock.take(system_files(), db, "").release()


