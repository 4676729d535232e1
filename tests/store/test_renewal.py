"""A node begins a new stream while it runs: in one step, which a crash does not spoil."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import msgspec
import pytest
import trio

from aimem.errors import AimemError, Unavailable
from aimem.model import Entry, StreamId, chain_hash, decode_entry
from aimem.ports import Connection, Files, is_signed, system_files
from aimem.store import Store, Transaction, oplog
from aimem.store.identity import Sidecar, sidecar_path
from aimem.store.lineage import line_of
from tests.disk import Disk
from tests.nodes import InlineThreads, open_store
from tests.store.test_open import put_pair


def check_chains(conn: Connection) -> set[StreamId]:
    """Every stream's ops follow one another, and the end is signed by the key of its opening op."""
    ends: dict[StreamId, tuple[int, bytes]] = {}
    keys: dict[StreamId, bytes] = {}
    for _, op in oplog.read_after(conn, 0, 10_000):
        seq, previous = ends.get(op.dot.stream, (0, oplog.GENESIS))
        assert (op.dot.seq, op.previous) == (seq + 1, previous)
        chained = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)
        if op.dot.seq == 1:
            opening = decode_entry(op.entries[0])
            assert isinstance(opening, Entry)
            keys[op.dot.stream] = bytes.fromhex(str(opening.fields["public_key"]))
        assert is_signed(keys[op.dot.stream], chained, op.signature)
        ends[op.dot.stream] = op.dot.seq, chained
    for stream, (seq, chained) in ends.items():
        head = oplog.head(conn, stream)
        assert head is not None
        assert (head.seq, head.chain_hash) == (seq, chained)
    return set(ends)


async def test_a_node_goes_on_in_a_new_stream_that_names_the_one_before(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    async with open_store(db, threads=InlineThreads()) as store:
        old = store.stream
        await store.write(put_pair, "c001")
        known = store.log.heads[old]
        fresh = await store.renew()
        assert fresh == store.stream != old
        assert store.lacks_past
        written = await store.write(put_pair, "c002")
        assert written.version is not None
        assert written.version.startswith(fresh)
        assert store.log.heads[old] == known
        assert await store.read(check_chains) == {old, fresh}
        assert await store.read(line_of, fresh) == (fresh, old)
    async with open_store(db, threads=InlineThreads()) as store:
        assert (store.stream, store.lacks_past) == (fresh, True)
        await store.note_caught_up()
        await store.write(put_pair, "c003")
    async with open_store(db, threads=InlineThreads()) as store:
        assert (store.stream, store.lacks_past) == (fresh, False)
        assert await store.read(check_chains) == {old, fresh}


async def test_writes_on_both_sides_of_it_in_one_transaction_each_go_to_their_stream(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        old = store.stream
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(store.write, put_pair, f"c0{number:02}")
            nursery.start_soon(store.renew)
            for number in range(5, 10):
                nursery.start_soon(store.write, put_pair, f"c0{number:02}")
        assert store.log.vector[old] + store.log.vector[store.stream] == 22
        assert await store.read(check_chains) == {old, store.stream}


async def test_a_write_that_fails_beside_it_leaves_the_new_stream_whole(tmp_path: Path) -> None:
    def fail(transaction: Transaction) -> None:
        put_pair(transaction, "c999")
        raise Unavailable("not today")

    async def fails(store: Store) -> None:
        with pytest.raises(Unavailable):
            await store.write(fail)

    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        old = store.stream
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails, store)
            nursery.start_soon(store.renew)
            nursery.start_soon(fails, store)
        await store.write(put_pair, "c001")
        assert dict(store.log.vector) == {old: 1, store.stream: 3}
        assert await store.read(check_chains) == {old, store.stream}


class FullDisk:
    """Files of which the small ones cannot be written."""

    def __init__(self) -> None:
        self.is_full = False

    def __getattr__(self, name: str) -> object:
        return getattr(system_files(), name)

    def write_durably(self, path: Path, data: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "no room", str(path))
        system_files().write_durably(path, data)


async def test_without_room_for_the_key_the_old_stream_goes_on_and_it_is_tried_again(tmp_path: Path) -> None:
    files = FullDisk()
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), files=_as_files(files)) as store:
        old = store.stream
        files.is_full = True
        with pytest.raises(Unavailable):
            await store.renew()
        assert store.stream == old
        await store.write(put_pair, "c001")
        files.is_full = False
        await store.renew()
        assert store.stream != old
        assert await store.read(check_chains) == {old, store.stream}


def _as_files(files: FullDisk) -> Files:
    return files    # type: ignore[return-value]


async def test_wherever_the_power_goes_the_next_start_has_a_key_that_is_its_own(tmp_path: Path) -> None:
    """Each write to the disk may be the last; the line of streams leads back to the first in any case."""
    cuts = 0
    for steps in range(0, 40, 2):
        folder, after = tmp_path / f"{steps}", tmp_path / f"{steps}-after"
        folder.mkdir()
        after.mkdir()
        disk = Disk()
        db = folder / "x.db"
        async with open_store(db, threads=InlineThreads(), files=disk) as store:
            old = store.stream
            await store.write(put_pair, "c001")
        disk.steps_until_cut = None
        try:
            async with open_store(db, threads=InlineThreads(), files=disk) as store:
                disk.steps_until_cut = steps
                await store.renew()
                disk.steps_until_cut = None
        except* AimemError:
            cuts += 1
            disk.survivors(folder, after, random.Random(steps))
            db = after / "x.db"
        async with open_store(db, threads=InlineThreads()) as store:
            assert store.stream != old or not _is_replaced(db)
            assert old in await store.read(line_of, store.stream)
            await store.write(put_pair, "c002")
            await store.read(check_chains)
            assert not _is_replaced(db)
    assert 3 < cuts < 20


def _is_replaced(db: Path) -> bool:
    return msgspec.json.decode(sidecar_path(db).read_bytes(), type=Sidecar).replaces is not None
