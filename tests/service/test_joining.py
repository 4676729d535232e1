"""Joining the snapshot of a peer: whole, resumed, refused with a sentence, and never more than one at a time."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Awaitable, Callable, Sequence
from errno import ENOSPC
from pathlib import Path
from typing import Any  # what a private function is handed

import msgspec
import pytest
import trio
import trio.testing

from aimem import service
from aimem.errors import Code, Gone, InvalidRequest, Unavailable
from aimem.model import StreamId
from aimem.ports import Mode, system_files
from aimem.replication import Mesh, catchup, joining
from aimem.replication.joining import ANSWER_DEADLINE_S, BEGIN_DEADLINE_S
from aimem.replication.joins import LONGEST_PAUSE_S, Joins
from aimem.replication.manifest import check_manifest
from aimem.service import Node
from aimem.service.meshfigures import mesh_samples
from aimem.service.snapshots import ANSWER_S
from aimem.store import SCHEMA_VERSION, Transaction, adoption, digest, snapshot, trimming
from aimem.store.recent import RecentOps
from aimem.store.spool import Making
from aimem.wire import MeshQuery, copies, reloading
from tests.meshes import OPERATOR, World, open_world, set_up_anew
from tests.service.steps import ALICE, put
from tests.service.test_mesh import digests, mesh_of, settled
from tests.service.test_mesh_held import handed_over
from tests.store.test_heldops import dream
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")

COUNT = 30


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "SNAPSHOT_OBJECTS", 4)


async def cut_logs(world: World) -> None:
    """Empty the logs of all nodes, and what they have at hand of them."""
    for node in world.nodes.values():
        node.store.log.recent = RecentOps()
        size = await node.store.read(trimming.log_size)
        await node.store.write(trimming.trim, node.store.log.vector, size, trimming.LogBounds(kept_count=0))


async def fall_behind(world: World, name: str) -> None:
    """Cut a node off, write on another one more than logs hold, and let the node back in."""
    await settled(world)
    world.isolate(name)
    other = next(node for other, node in world.nodes.items() if other != name)
    gone = await put(other, "gone", "text")
    for number in range(COUNT):
        await put(other, f"t{number}", "text")
    await service.delete(other, ALICE, gone.id)
    await trio.sleep(3)
    await cut_logs(world)
    world.heal()


async def equal(world: World) -> bool:
    await settled(world)
    await trio.testing.wait_all_tasks_blocked()     # whoever joined a state was told of it
    return len(await digests(world)) == 1


Chunk = Callable[[str, int], Awaitable[bytes]]


def spoil_chunks(
    node: Node, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Chunk, str, int], Awaitable[bytes]]
) -> None:
    """Have a node give other chunks than those that it made."""
    given = node.store.spool.chunk

    async def chunk(name: str, number: int) -> bytes:
        return await harm(given, name, number)

    monkeypatch.setattr(node.store.spool, "chunk", chunk)


def spoil_manifest(
    node: Node, monkeypatch: pytest.MonkeyPatch, harm: Callable[[copies.Manifest], copies.Manifest]
) -> None:
    """Have a node say something else of its snapshots."""
    begin = node.store.spool.begin

    def spoiled(covering: dict[StreamId, int], preferred: str) -> Making:
        making = begin(covering, preferred)
        made = making.made

        async def spoiled_made() -> copies.Manifest:
            return harm(await made())

        monkeypatch.setattr(making, "made", spoiled_made)
        return making

    monkeypatch.setattr(node.store.spool, "begin", spoiled)


def failures(mesh: Mesh) -> dict[str, int]:
    return mesh.joins.counts.failed


async def test_a_node_that_is_far_behind_joins_one_snapshot_and_is_equal(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        await fall_behind(world, "n2")
        assert await equal(world)
        joins = mesh_of(world.nodes["n2"]).joins
        assert (joins.counts.joined, joins.counts.failed, joins.now) == (1, {}, None)
        assert joins.counts.chunks >= COUNT / 4
        names = {sample.name: sample.value for sample in mesh_samples(world.nodes["n2"])}
        assert names["ai_memory_mesh_snapshots_joined"] == 1
        assert names["ai_memory_mesh_joining"] == 1.0
        assert await world.nodes["n2"].store.read(adoption.load) == adoption.Progress()
        assert not (await service.mesh_status(world.nodes["n2"], OPERATOR, MeshQuery())).alarms


def make_slowly(node: Node, monkeypatch: pytest.MonkeyPatch, pause_s: float) -> None:
    """Have a node take its time for a snapshot."""
    make = node.store.spool._make

    async def slowly(*told: Any) -> None:
        await trio.sleep(pause_s)
        await make(*told)

    monkeypatch.setattr(node.store.spool, "_make", slowly)


async def test_a_snapshot_that_takes_long_is_waited_for_as_its_giver_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await settled(world)
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        make_slowly(n0, monkeypatch, 5 * ANSWER_DEADLINE_S)
        assert not (await service.rejoin(n1, OPERATOR, reloading.RejoinRequest())).ready
        await trio.sleep(5 * ANSWER_DEADLINE_S + ANSWER_S)
        assert await equal(world)
        joins = mesh_of(n1).joins
        assert (joins.counts.joined, joins.counts.failed, n0.store.spool.counts.made) == (1, {}, 1)


async def test_whoever_makes_a_snapshot_without_end_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        make_slowly(world.nodes["n0"], monkeypatch, 3 * BEGIN_DEADLINE_S)
        monkeypatch.setattr(Joins, "is_due", _first_of("http://n0"))
        await fall_behind(world, "n2")
        await trio.sleep(BEGIN_DEADLINE_S)
        assert await equal(world)
        assert failures(mesh_of(world.nodes["n2"])) == {"timeout": 1}


@pytest.mark.parametrize("of", ["manifest", "chunk"])
async def test_whoever_says_nothing_keeps_a_node_from_others_for_no_longer_than_an_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        await settled(world)
        node = world.nodes["n2"]
        road, asked = mesh_of(node).road, list[str]()
        snapshot = road.snapshot

        async def lost(url: str, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
            asked.append(url)
            if len(set(asked)) == 1 and (request.begin is None) == (of == "chunk"):
                await trio.sleep_forever()
            return await snapshot(url, request)

        monkeypatch.setattr(road, "snapshot", lost)
        await service.rejoin(node, OPERATOR, reloading.RejoinRequest())
        await trio.sleep(ANSWER_DEADLINE_S + 2)
        assert (await service.rejoin(node, OPERATOR, reloading.RejoinRequest(look=True))).ready
        assert failures(mesh_of(node)) == {"timeout": 1}
        assert len(set(asked)) == 2


async def test_what_was_written_while_it_was_cut_off_survives_the_join(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await settled(world)
        world.isolate("n2")
        own = await put(world.nodes["n2"], "own", "text")
        world.heal()
        await fall_behind(world, "n2")
        assert await equal(world)
        for node in world.nodes.values():
            assert (await service.get(node, ALICE, own.id)).memory.title == "own"


async def _truncated(given: Chunk, name: str, number: int) -> bytes:
    data = await given(name, number)
    return data[:-3] if number == 3 else data


async def _altered(given: Chunk, name: str, number: int) -> bytes:
    data = await given(name, number)
    return data[:-1] + bytes([data[-1] ^ 1]) if number == 3 else data


async def _exchanged(given: Chunk, name: str, number: int) -> bytes:
    return await given(name, 2 if number == 3 else number)


async def _ended(given: Chunk, name: str, number: int) -> bytes:
    if number == 3:
        raise Gone("that snapshot is not kept any more")
    return await given(name, number)


@pytest.mark.parametrize(("harm", "reason"), [
    (_truncated, "truncated"), (_altered, "altered"), (_exchanged, "truncated"), (_ended, "answered"),
], ids=["truncated", "altered", "exchanged", "ended"])
async def test_a_chunk_that_is_not_what_the_manifest_says_is_not_joined_and_another_peer_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Chunk, str, int], Awaitable[bytes]], reason: str
) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        spoil_chunks(world.nodes["n0"], monkeypatch, harm)
        monkeypatch.setattr(Joins, "is_due", _first_of("http://n0"))
        await fall_behind(world, "n2")
        assert await equal(world)
        mesh = mesh_of(world.nodes["n2"])
        assert set(failures(mesh)) == {reason}
        assert mesh.joins.counts.joined == 1


def _first_of(url: str) -> Callable[[Joins, str, float], bool]:
    """Have this peer asked before any other one."""
    is_due = Joins.is_due

    def wrapped(joins: Joins, asked: str, now: float) -> bool:
        return is_due(joins, asked, now) and (asked == url or bool(joins.counts.failed))

    return wrapped


def other(**changes: object) -> Callable[[copies.Manifest], copies.Manifest]:
    return lambda manifest: msgspec.structs.replace(manifest, **changes)


def resized(**changes: object) -> Callable[[copies.Manifest], copies.Manifest]:
    def harm(manifest: copies.Manifest) -> copies.Manifest:
        first = msgspec.structs.replace(manifest.chunks[0], **changes)
        return msgspec.structs.replace(manifest, chunks=(first, *manifest.chunks[1:]))

    return harm


BAD_MANIFESTS = {
    "schema": (other(schema=SCHEMA_VERSION + 1), "schema"),
    "format": (other(format=2), "format"),
    "digests": (other(digest_format=3), "format"),
    "cluster": (other(cluster="b" * 32), "cluster"),
    "none": (other(chunks=()), "size"),
    "objects": (other(objects=7), "digest"),
    "sum": (other(digest="0" * 32), "digest"),
    "held": (other(held=1), "digest"),
    "id": (other(id="x" * 65), "size"),
    "negative": (resized(bytes=-1), "size"),
    "bytes": (resized(bytes=1 << 30), "size"),
    "plain": (resized(plain_bytes=1 << 40), "size"),
    "many": (resized(objects=1 << 40), "size"),
    "hash": (resized(sha256=""), "size"),
    "digit": (resized(digest="+1"), "size"),
}


@pytest.mark.parametrize("name", sorted(BAD_MANIFESTS))
async def test_a_manifest_that_cannot_be_is_refused_with_a_word(tmp_path: Path, name: str) -> None:
    harm, reason = BAD_MANIFESTS[name]
    async with open_world(tmp_path, 1, writes=1) as world:
        sound = await world.nodes["n0"].store.spool.begin({}, "").made()
    sound = msgspec.structs.replace(sound, cluster="a" * 32)
    check_manifest(sound, "a" * 32)
    check_manifest(sound, "")
    with pytest.raises(InvalidRequest) as caught:
        check_manifest(harm(sound), "a" * 32)
    assert caught.value.details["reason"] == reason


async def test_a_snapshot_of_a_newer_schema_changes_nothing_here_and_another_peer_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        spoil_manifest(world.nodes["n0"], monkeypatch, other(schema=SCHEMA_VERSION + 1))
        spoil_manifest(world.nodes["n1"], monkeypatch, other(schema=SCHEMA_VERSION + 1))
        await settled(world)
        before = await world.nodes["n2"].store.read(digest)
        await fall_behind(world, "n2")
        await trio.sleep(20)
        assert await world.nodes["n2"].store.read(digest) == before
        assert 4 <= failures(mesh_of(world.nodes["n2"]))["schema"] <= 14
        monkeypatch.undo()
        await trio.sleep(LONGEST_PAUSE_S)
        assert await equal(world)


@pytest.mark.parametrize(
    ("between", "first", "resumed"), [(lambda _: None, 4, 1), (shutil.rmtree, 0, 0)],   # a power cut, or a restore
    ids=["kept", "lost"],
)
async def test_a_join_that_breaks_off_goes_on_where_it_stood_after_a_restart_if_that_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: Callable[[Path], object], first: int, resumed: int
) -> None:
    asked: list[int] = []
    is_broken = True

    async def breaking(given: Chunk, name: str, number: int) -> bytes:
        asked.append(number)
        if is_broken and number == 4:
            await trio.sleep_forever()
        return await given(name, number)

    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        spoil_chunks(world.nodes["n0"], monkeypatch, breaking)
        await fall_behind(world, "n1")
        await trio.sleep(5)
        document = await service.mesh_status(world.nodes["n1"], OPERATOR, MeshQuery())
        assert document.joining is not None
        assert (document.joining.chunk, document.joining.objects) == (4, 16)
        assert document.joining.chunks > 5
        settings = mesh_of(world.nodes["n1"]).settings
        folder = world.nodes["n1"].store.inbox.folder
        await world.stop("n1")
        between(folder)
        is_broken = False
        del asked[:]
        await world.start("n1", settings)
        assert await equal(world)
        assert min(asked) == first
        joins = mesh_of(world.nodes["n1"]).joins
        assert (joins.counts.resumed, joins.counts.joined) == (resumed, 1)
        assert world.nodes["n0"].store.spool.counts.made == 1


async def test_a_giver_that_starts_anew_meanwhile_is_asked_for_another_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(given: Chunk, name: str, number: int) -> bytes:
        await trio.sleep(1)
        return await given(name, number)

    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        spoil_chunks(world.nodes["n0"], monkeypatch, slow)
        await fall_behind(world, "n1")
        await trio.sleep(4)
        mesh = mesh_of(world.nodes["n1"])
        assert mesh.joins.now is not None
        settings = mesh_of(world.nodes["n0"]).settings
        await world.stop("n0")
        await world.start("n0", settings)
        assert await equal(world)
        assert mesh.joins.counts.joined == 1


async def test_only_one_snapshot_is_joined_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most = 0, 0
    join = catchup.join_snapshot

    async def counted(mesh: Mesh, peer: catchup.Peer, freshness: catchup.Freshness) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(2)
        try:
            return await join(mesh, peer, freshness)
        finally:
            under_way -= 1

    monkeypatch.setattr(catchup, "join_snapshot", counted)
    async with open_world(tmp_path, 4, writes=2, interval_s=1) as world:
        await fall_behind(world, "n3")
        mesh = mesh_of(world.nodes["n3"])
        await trio.sleep(20)
        assert await equal(world)
        assert (most, mesh.joins.counts.joined) == (1, 1)


async def test_what_the_giver_holds_is_held_or_applied_by_whoever_joins_its_snapshot(tmp_path: Path) -> None:
    newer = Author(5)
    newer.memory("m1")
    op = dream(newer)
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await settled(world)
        world.isolate("n1")
        await handed_over(world, "n0", newer)
        await cut_logs(world)
        world.heal()
        assert await equal(world)
        n1 = world.nodes["n1"]
        assert mesh_of(n1).joins.counts.joined == 1
        assert (await n1.store.held(10)).dots == (op.dot,)
        assert n1.store.log.vector[newer.stream] == 3


async def test_an_empty_node_far_behind_takes_the_state_and_not_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "SNAPSHOT_FROM_OPS", COUNT)
    monkeypatch.setattr(catchup, "SNAPSHOT_FROM_SHARE", 2)
    monkeypatch.setattr("aimem.replication.mesh.EXCHANGE_MAX_OPS", 2)
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await settled(world)
        world.isolate("n1")
        for number in range(COUNT + 5):
            await put(world.nodes["n0"], f"t{number}", "text")
        world.heal()
        world.deaf.add(("n0", "n1"))     # it has to ask
        assert await equal(world)
        mesh = mesh_of(world.nodes["n1"])
        assert (mesh.joins.counts.joined, mesh.counts.taken < COUNT) == (1, True)


async def test_a_new_node_tells_how_far_it_is_with_the_state_of_a_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, tuple[str, ...]]] = []
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n1 = world.nodes["n1"]

        async def look(given: Chunk, name: str, number: int) -> bytes:
            health = await service.health(n1)
            assert health.ready
            told.append((health.behind, health.warnings))
            return await given(name, number)

        spoil_chunks(world.nodes["n0"], monkeypatch, look)
        await fall_behind(world, "n1")
        assert await equal(world)
        health = await service.health(n1)
        assert (health.behind, [text for text in health.warnings if "fetches" in text]) == (0, [])
    assert {behind for behind, _ in told} == {COUNT + 2}
    assert f"this node fetches the state of a peer, 4 of {COUNT + 3} objects are done" in told[1][1]


def two_histories() -> tuple[Author, Author]:
    """A node that signed two ops of one number; the first of both goes on by one op."""
    one, other = Author(7), Author(7)
    one.memory("m1", content="one")
    one.memory("m2")
    other.memory("m1", content="another")
    return one, other


async def test_a_node_is_not_ready_before_each_member_was_compared_with_the_snapshot(tmp_path: Path) -> None:
    one, another = two_histories()
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await settled(world)
        world.isolate("n0")
        world.isolate("n1")
        await handed_over(world, "n0", one)
        await handed_over(world, "n1", another)
        await cut_logs(world)
        world.isolate("n2")
        world.cut -= {("n0", "n2"), ("n2", "n0"), ("n1", "n2"), ("n2", "n1")}
        world.mute -= {("n0", "n2"), ("n2", "n0"), ("n1", "n2"), ("n2", "n1")}
        n2 = await set_up_anew(world, "n2", tmp_path)
        await trio.sleep(30)
        # By what n0 signed for its last op alone: nobody has the op before any more.
        assert one.stream in n2.store.log.closed
        assert n2.store.log.evidence[one.stream]
        assert any(one.stream in alarm for alarm in (await service.mesh_status(n2, OPERATOR, MeshQuery())).alarms)


async def test_no_reader_sees_a_part_of_a_state_and_nothing_is_written_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    join, parts = snapshot.join_objects, list[int]()
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await fall_behind(world, "n1")
        n1 = world.nodes["n1"]
        before = await n1.store.read(digest)

        def joined(transaction: Transaction, told: Sequence[snapshot.Told]) -> None:
            join(transaction, told)
            with contextlib.closing(system_files().connect(n1.store.settings.db, Mode.READ_ONLY)) as conn:
                assert digest(conn) == before
            parts.append(len(told))

        monkeypatch.setattr(snapshot, "join_objects", joined)
        assert await equal(world)
        assert len(parts) > COUNT / 4
        assert await n1.store.read(digest) != before


async def test_a_join_ends_between_two_chunks_once_nobody_waits_for_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        node = world.nodes["n0"]
        for number in range(5):
            await put(node, f"t{number}", "text")
        manifest = await node.store.spool.begin({}, "").made()
        await node.store.inbox.begin()
        for number in range(len(manifest.chunks)):
            await node.store.inbox.keep(number, await node.store.spool.chunk(manifest.id, number))
        waiting = joining._Waiting()
        kept = joining._kept(node.store.inbox, manifest.chunks, waiting)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiting.watch)
            await trio.testing.wait_all_tasks_blocked()
            assert len(next(kept)) == 4
            nursery.cancel_scope.cancel()
        with pytest.raises(Unavailable) as caught:
            next(kept)
        assert caught.value.code is Code.SHUTTING_DOWN


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _make_unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [_cut, _make_unreadable])
async def test_a_chunk_that_a_crash_cut_or_a_disk_lost_is_fetched_anew_with_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None]
) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        mesh = mesh_of(world.nodes["n1"])
        inbox, harmed = mesh.store.inbox, list[int]()
        read = inbox.read

        def read_harmed(number: int, limit_bytes: int) -> bytes:
            if number == 3 and not harmed:
                harm(inbox.folder / str(number))
                harmed.append(number)
            return read(number, limit_bytes)

        monkeypatch.setattr(inbox, "read", read_harmed)
        await fall_behind(world, "n1")
        assert await equal(world)
        assert (failures(mesh), mesh.joins.counts.joined, harmed) == ({"truncated": 1}, 1, [3])
        assert not inbox.folder.exists()


async def test_a_disk_without_room_for_what_is_fetched_leaves_all_as_it_was_until_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n1 = world.nodes["n1"]
        inbox = n1.store.inbox
        write_new = inbox._files.write_new

        def write(path: Path, data: bytes) -> None:
            if path == inbox.folder / "3":
                raise OSError(ENOSPC, "No space left on device", str(path))
            write_new(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(inbox._files, "write_new", write)
            await fall_behind(world, "n1")
            before = await n1.store.read(digest)
            await trio.sleep(20)
            assert await n1.store.read(digest) == before
            assert mesh_of(n1).joins.counts.joined == 0
            assert failures(mesh_of(n1))
            assert not inbox.folder.exists(), "what the node writes itself has the room"
        await trio.sleep(LONGEST_PAUSE_S)
        assert await equal(world)
