"""Snapshots beside the database: of one moment, given from files, gone after a while, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from aimem.errors import AimemError, Code, Gone, InvalidRequest, Unavailable
from aimem.model import Create, Entry
from aimem.replication import examine
from aimem.store import KINDS, Store, digest, digests, inbound, snapshot, spool
from aimem.wire import copies
from tests.disk import Disk
from tests.nodes import FakeClock, InlineThreads, open_node, open_store, seeded_chance
from tests.service.steps import put
from tests.store.lives import Life
from tests.store.test_snapshot import furnished
from tests.streams import Author


async def bodies_of(store: Store, manifest: copies.Manifest) -> list[copies.ChunkBody]:
    """All chunks of a snapshot."""
    data = [await store.spool.chunk(manifest.id, number) for number in range(len(manifest.chunks))]
    return [copies.unpack_chunk(one, said) for one, said in zip(data, manifest.chunks, strict=True)]


def told(body: copies.ChunkBody) -> list[snapshot.Told]:
    return [snapshot.Told(kind=one.kind, key=one.key, state=copies.object_in(one)) for one in body.objects]


def files_in(store: Store) -> list[str]:
    if not store.spool.folder.exists():
        return []
    return sorted(path.name for path in store.spool.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("seed", range(6))
async def test_a_snapshot_has_every_object_and_says_what_they_add_up_to(tmp_path: Path, seed: int) -> None:
    clock = FakeClock()
    async with (
        open_node(tmp_path / "a.db", clock=clock, chance=seeded_chance(seed), threads=InlineThreads()) as a,
        open_node(tmp_path / "b.db", clock=clock, chance=seeded_chance(99), threads=InlineThreads()) as b,
    ):
        life = Life(a, clock, seed)
        await life.live(120)
        manifest = await a.store.spool.begin({}, "").made()
        assert manifest.digest == await a.store.read(digest)
        assert {stream: head.seq for stream, head in manifest.vector.items()} == a.store.log.vector
        total = 0
        for body, said in zip(await bodies_of(a.store, manifest), manifest.chunks, strict=True):
            found = told(body)
            numbers = [digests.hash_of_state(KINDS[one.kind], one.key, one.state) for one in found]
            assert digests.text_of(sum(numbers)) == said.digest
            total += len(found)
            await b.store.write(snapshot.join_objects, found)
        assert total == manifest.objects
        assert {"memory", "stream"} <= {one.kind for body in await bodies_of(a.store, manifest) for one in told(body)}


async def test_large_states_come_in_many_chunks_none_of_them_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "SNAPSHOT_BYTES", 2_000)
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        for number in range(20):
            await put(a, f"t{number}", "x" * 500)
        manifest = await a.store.spool.begin({}, "").made()
        assert len(manifest.chunks) > 5
        assert all(chunk.plain_bytes < 4_000 for chunk in manifest.chunks)
        assert sum(len(body.objects) for body in await bodies_of(a.store, manifest)) == manifest.objects
        monkeypatch.setattr(copies, "CHUNKS_MAX", 3)
        with pytest.raises(Unavailable, match="too large") as caught:
            await a.store.spool.begin_anew("").made()
        assert caught.value.code == Code.STORAGE_FULL


async def test_what_is_held_comes_behind_all_objects(tmp_path: Path) -> None:
    newer = Author(5)
    newer.write("dream", [Entry(kind="dream", key="d", create=Create(author="x"), fields={"text": "?"})])
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        await a.store.write(inbound.take, newer.ops, examine)
        manifest = await a.store.spool.begin({}, "").made()
        last = (await bodies_of(a.store, manifest))[-1]
        assert ([(op.stream, op.seq) for op in last.held], manifest.held) == ([(newer.stream, 2)], 1)


@pytest.mark.usefixtures("autojump_clock")
async def test_whoever_takes_one_chunk_and_never_comes_back_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        await furnished(a)
        manifest = await a.store.spool.begin({}, "").made()
        await a.store.spool.chunk(manifest.id, 0)
        await put(a, "later", "text")
        # No reader holds the log: all of it goes into the database, and the log is emptied.
        assert (await a.store.write(lambda t: None)).value is None
        assert await _checkpoint(a.store) == (0, 0)
        assert files_in(a.store)
        assert a.store.spool.counts.kept_bytes > 0
        await trio.sleep(spool.KEPT_S - 1)
        assert files_in(a.store)
        await trio.sleep(2)
        assert (files_in(a.store), a.store.spool.folder.exists(), a.store.spool.counts.kept_bytes) == ([], False, 0)
        with pytest.raises(Gone, match="begin anew"):
            await a.store.spool.chunk(manifest.id, 1)


async def _checkpoint(store: Store) -> tuple[object, object]:
    """Empty the write-ahead log on a connection beside. Returns: whether a reader was in the way, and pages left."""
    from aimem.ports import Mode, system_files  # only here does a test checkpoint beside the writer

    conn = system_files().connect(store.settings.db, Mode.READ_WRITE_CREATE)
    try:
        row = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        conn.close()
    assert row is not None
    return row[0], row[1]


@pytest.mark.usefixtures("autojump_clock")
async def test_a_snapshot_serves_all_who_ask_while_it_is_fresh_or_has_what_they_lack(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        found: list[str] = []

        async def ask() -> None:
            found.append((await a.store.spool.begin({}, "").made()).id)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        assert (len(set(found)), a.store.spool.counts.made) == (1, 1)
        early = dict(a.store.log.vector)
        await put(a, "t", "text")
        late = dict(a.store.log.vector)
        assert (await a.store.spool.begin(late, "").made()).id == found[0]      # fresh: the rest is in the log
        await trio.sleep(spool.FRESH_S + 1)
        assert (await a.store.spool.begin(early, "").made()).id == found[0]
        second = await a.store.spool.begin(late, "").made()
        assert second.id != found[0]
        await trio.sleep(1)
        assert (await a.store.spool.begin(late, found[0]).made()).id == found[0]    # for whoever goes on with it
        third = await a.store.spool.begin_anew("").made()
        assert third.id not in (found[0], second.id)
        # Two are kept, and the other one of these was read last.
        assert (await a.store.spool.begin(late, second.id).made()).id != second.id
        assert a.store.spool.counts.made == 3


async def test_whoever_was_told_what_is_made_is_given_that(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        first = a.store.spool.begin_anew("")
        assert a.store.spool.begin_anew(first.name) is first
        assert a.store.spool.begin({}, first.name) is first
        assert (await first.made()).id == first.name
        again = a.store.spool.begin_anew(first.name)        # it is there by now, and was not when it was asked for
        assert (again.name, (await again.made()).id) == (first.name, first.name)
        other = a.store.spool.begin_anew("a" * 16)
        assert other.name not in (first.name, "a" * 16)     # the giver names what it makes
        assert (await other.made()).id == other.name
        assert a.store.spool.counts.made == 2


async def test_a_start_and_an_end_leave_no_snapshot(tmp_path: Path) -> None:
    async with open_store(tmp_path / "a.db", threads=InlineThreads()) as store:
        await store.spool.begin({}, "").made()
        folder = store.spool.folder
        assert (folder.exists(), folder.stat().st_mode & 0o777) == (True, 0o700)
    assert not folder.exists()
    folder.mkdir()
    (folder / "left").write_bytes(b"by a crash")
    async with open_store(tmp_path / "a.db", threads=InlineThreads()):
        assert not folder.exists()


async def test_without_room_there_is_no_snapshot_and_all_else_goes_on(tmp_path: Path) -> None:
    disk = Disk()
    async with open_node(tmp_path / "a.db", threads=InlineThreads(), files=disk) as a:
        await furnished(a)
        disk.writes_until_full = 0
        with pytest.raises(Unavailable) as caught:
            await a.store.spool.begin({}, "").made()
        assert caught.value.code == Code.STORAGE_FULL
        assert (files_in(a.store), a.store.spool.counts.failed) == ([], 1)
        disk.writes_until_full = None
        await put(a, "t", "text")
        await a.store.spool.begin({}, "").made()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("harm", [Path.unlink, _cut, _flip], ids=["gone", "cut", "flipped"])
async def test_a_chunk_that_rots_on_this_disk_is_not_given(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    async with open_store(tmp_path / "a.db", threads=InlineThreads()) as store:
        manifest = await store.spool.begin({}, "").made()
        harm(store.spool.folder / manifest.id / "0")
        with pytest.raises(Gone):
            await store.spool.chunk(manifest.id, 0)
        again = await store.spool.begin({}, manifest.id).made()
        assert again.id != manifest.id
        assert await bodies_of(store, again)


@pytest.mark.parametrize("number", [-1, 1, 1 << 40])
async def test_a_number_that_leads_nowhere_is_refused(tmp_path: Path, number: int) -> None:
    async with open_store(tmp_path / "a.db", threads=InlineThreads()) as store:
        manifest = await store.spool.begin({}, "").made()
        with pytest.raises(InvalidRequest, match="chunks 0 to 0"):
            await store.spool.chunk(manifest.id, number)
        with pytest.raises(Gone):
            await store.spool.chunk("../" + manifest.id, 0)


async def test_a_row_that_cannot_be_read_is_said_to_whoever_asks(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        await put(a, "t", "text")
        await a.store.write(lambda t: t.conn.execute("UPDATE memories SET born = x'00'"))
        with pytest.raises(AimemError, match="mesh verify"):
            await a.store.spool.begin({}, "").made()
        await put(a, "u", "text")


async def test_a_snapshot_covers_all_that_its_state_shows_also_what_was_written_as_it_began(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        read = a.store.read

        async def read_later(fn: Callable[..., object]) -> object:
            await put(a, "late", "text")
            return await read(fn)

        before = a.store.log.vector[a.store.stream]
        turn = spool.Making("of-this-test")
        await a.store.spool._make(turn, read_later, a.store._given(), a.store.log.wait_known)
        assert turn.manifest is not None
        assert turn.manifest.vector[a.store.stream].seq == before + 1
        titles = [one.state.fields["name"].value for body in await bodies_of(a.store, turn.manifest)
                  for one in told(body) if one.kind == "memory"]
        assert ("global", "late") in titles


async def test_what_a_node_was_not_told_of_in_time_is_no_snapshot_and_leaves_nothing(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as a:
        turn = spool.Making("of-this-test")

        async def never(_: object) -> None:
            await trio.sleep_forever()

        await a.store.spool._make(turn, a.store.read, a.store._given(), never)
        with pytest.raises(Unavailable):
            await turn.made()
        assert files_in(a.store) == []
