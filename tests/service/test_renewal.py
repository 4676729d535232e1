"""Nodes that were put back from a copy, or run twice: each goes on by itself, and no acknowledged write is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code, Unavailable
from aimem.model import Dot, StreamId
from aimem.replication import MeshSettings, Standing
from aimem.replication.renewal import RENEWALS_MAX
from aimem.service import Once
from aimem.store import Store, adoption, inbound, trimming
from aimem.wire import PROTOCOL, CreateMemory, ExchangeRequest, MeshQuery, Stored, UpdateMemory, heads_out
from tests.heads import head_of, key_of, signed_head
from tests.meshes import OPERATOR, World, join, open_world
from tests.proofs import exchanged
from tests.service.steps import ALICE, put, shown
from tests.service.test_mesh import digests, mesh_of, missing, settled
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")

FILES = (".db", ".db-wal", ".db.node")


def copy_files(world: World, source: str, target: Path, name: str, endings: tuple[str, ...] = FILES) -> None:
    """Copy a node's files as they are at this moment."""
    target.mkdir(exist_ok=True)
    for ending in endings:
        path = world.folder / (source + ending)
        if path.exists():
            shutil.copyfile(path, target / (name + ending))


async def put_back(world: World, name: str, copy: Path) -> None:
    """End a node, and start it on an older copy of its files."""
    settings = mesh_of(world.nodes[name]).settings
    await world.stop(name)
    for path in world.folder.glob(f"{name}.db*"):
        path.unlink()
    for path in copy.iterdir():
        shutil.copyfile(path, world.folder / path.name)
    await world.start(name, settings)


async def part(world: World, folder: Path, known: int) -> list[Stored]:
    """Put n0 back as it was before its last writes, which the others know, and cut it off; what it wrote since.

    What n0 writes from then on is another history of its stream than theirs.
    """
    await put(world.nodes["n0"], "shared", "text")
    await settled(world)
    copy_files(world, "n0", folder, "n0")
    written = [await put(world.nodes["n0"], f"known{number}", "text") for number in range(known)]
    await settled(world)
    world.isolate("n0")
    await put_back(world, "n0", folder)
    return written


async def same_everywhere(world: World) -> None:
    """Wait until all nodes show the same; fails after minutes of virtual time."""
    for _ in range(200):
        if len(await digests(world)) == 1:
            return
        await trio.sleep(1)
    raise AssertionError(await digests(world))


async def forgotten(world: World, name: str) -> None:
    """What operators say where a node lost its key: it may come back under another one."""
    for other, node in world.nodes.items():
        if other != name:
            await node.trust.accept(name, None)


async def closed_of(store: Store) -> tuple[str, ...]:
    return await store.read(inbound.closed_streams)


async def test_a_node_that_was_put_back_with_its_key_goes_on_in_a_new_stream_and_loses_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        first = await put(world.nodes["n0"], "first", "text")
        copy_files(world, "n0", tmp_path / "copy", "n0")
        later = await put(world.nodes["n0"], "later", "text")
        await service.delete(world.nodes["n0"], ALICE, first.id)
        await settled(world)
        old = world.nodes["n0"].store.stream
        await put_back(world, "n0", tmp_path / "copy")
        n0 = world.nodes["n0"]
        assert n0.store.stream == old
        third = await put(n0, "third", "text")
        assert n0.store.stream != old
        assert (await shown(n0, later.id)).title == "later"
        assert (await missing(lambda: shown(n0, first.id))).code is Code.NOT_FOUND
        await settled(world)
        assert len(await digests(world)) == 1
        for node in world.nodes.values():
            assert (await shown(node, third.id)).title == "third"
            assert not await closed_of(node.store)
        document = await service.mesh_status(n0, OPERATOR, MeshQuery())
        assert (document.alarms, mesh_of(n0).renewal.count, n0.store.lacks_past) == ((), 1, False)


async def test_what_a_put_back_node_wrote_before_it_met_its_peers_is_on_all_nodes_in_the_end(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        shared = await put(world.nodes["n0"], "shared", "text")
        await settled(world)
        copy_files(world, "n0", tmp_path / "copy", "n0")
        known = [await put(world.nodes["n0"], f"known{number}", "text") for number in range(3)]
        await settled(world)
        old = world.nodes["n0"].store.stream
        world.isolate("n0")
        await put_back(world, "n0", tmp_path / "copy")
        n0 = world.nodes["n0"]
        lonely = [await put(n0, f"lonely{number}", "text") for number in range(5)]
        await service.update(n0, ALICE, shared.id, UpdateMemory(content="lonely"))
        assert n0.store.stream == old
        world.heal()
        await trio.sleep(20)
        await same_everywhere(world)
        assert n0.store.stream != old
        for node in world.nodes.values():
            for stored in (*known, *lonely):
                assert (await shown(node, stored.id)).id == stored.id
            assert (await shown(node, shared.id)).content == "lonely"
            assert await closed_of(node.store) == (old,)
        stored = await put(n0, "after", "text")
        await settled(world)
        assert (await shown(world.nodes["n2"], stored.id)).title == "after"
        assert not any(peer.state.failures for node in world.nodes.values() for peer in mesh_of(node).peers)


@pytest.mark.parametrize("count", [2, 9])
async def test_two_nodes_that_run_from_one_copy_both_go_on_and_all_rows_of_both_are_everywhere(
    tmp_path: Path, count: int
) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await put(world.nodes["n0"], "shared", "text")
        await settled(world)
        settings = mesh_of(world.nodes["n2"]).settings
        await world.stop("n2")
        for path in world.folder.glob("n2.db*"):
            path.unlink()
        copy_files(world, "n0", world.folder, "n2")
        world.cut |= {("n0", "n2"), ("n2", "n0")}
        n2 = await world.start("n2", settings)
        n0, old = world.nodes["n0"], world.nodes["n0"].store.stream
        assert n2.store.stream == old
        world.isolate("n2")
        stored = [await put(n0, f"a{number}", "text") for number in range(2)]
        stored += [await put(n2, f"b{number}", "text") for number in range(count)]
        world.heal()
        await trio.sleep(20)
        await same_everywhere(world)
        for node in world.nodes.values():
            for one in stored:
                assert (await shown(node, one.id)).id == one.id
        assert len({old, n0.store.stream, n2.store.stream}) == 3
        await put(n0, "more", "text")
        await put(n2, "yet more", "text")
        await settled(world)
        assert len(await digests(world)) == 1


async def test_a_write_of_the_other_history_does_not_count_as_acknowledged(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await part(world, tmp_path / "copy", 5)
        once = Once(key="k", request_hash=b"h")
        lonely = await service.remember(world.nodes["n0"], ALICE, CreateMemory(title="k", content="keyed"), once)
        for number in range(9):
            await put(world.nodes["n0"], f"lonely{number}", "text")
        world.heal()
        seen = set()
        for _ in range(400):
            outcome = await service.write_outcome(world.nodes["n0"], lonely.version)
            holders = {name for name, node in world.nodes.items() if await _has(node.store, lonely.id)}
            assert outcome.got <= len(holders)
            seen.add(outcome.got)
            await trio.sleep(0.05)
        assert 1 in seen
        await same_everywhere(world)
        await trio.sleep(5)
        outcome = await service.write_outcome(world.nodes["n0"], lonely.version)
        assert (outcome.outcome, outcome.got) == ("applied", 3)


async def _has(store: Store, memory_id: str) -> bool:
    return bool(await store.read(lambda c: c.execute("SELECT 1 FROM memories WHERE id = ?", (memory_id,)).fetchall()))


async def test_a_put_back_node_whose_peers_trimmed_their_logs_joins_their_state_and_they_its(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        known = await part(world, tmp_path / "copy", 5)
        lonely = await put(world.nodes["n0"], "lonely", "text")
        for name in ("n1", "n2"):
            store = world.nodes[name].store
            size = await store.read(trimming.log_size)
            await store.write(trimming.trim, store.log.vector, size, trimming.LogBounds(kept_count=0))
        world.heal()
        await trio.sleep(20)
        await same_everywhere(world)
        for node in world.nodes.values():
            for one in (lonely, *known):
                assert (await shown(node, one.id)).id == one.id


async def test_a_new_node_gets_the_rows_of_a_closed_stream_from_one_of_the_others(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await part(world, tmp_path / "copy", 1)
        await put(world.nodes["n0"], "lonely", "text")
        world.heal()
        await trio.sleep(20)
        await same_everywhere(world)
        settings = MeshSettings(peers=("http://n1",), interval_s=1)
        await world.stop("n0")
        fresh = await world.start("n9", settings)
        await same_everywhere(world)
        assert fresh.store.log.closed.keys() == world.nodes["n1"].store.log.closed.keys()


@pytest.mark.parametrize("count", [1, 5])
async def test_what_a_node_wrote_in_a_closed_stream_goes_on_from_whoever_joined_it_before_it_was_gone(
    tmp_path: Path, count: int
) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await part(world, tmp_path / "copy", 3)
        lonely = [await put(world.nodes["n0"], f"lonely{number}", "text") for number in range(count)]
        old = world.nodes["n0"].store.stream
        world.mute.clear()
        world.cut.remove(("n0", "n2"))      # it tells of its writes, and nobody asks it for its rows
        await trio.sleep(20)
        n1, n2 = (world.nodes[name].store for name in ("n1", "n2"))
        assert n2.stream in n1.log.closed[old]
        assert n1.stream in n2.log.closed[old]
        assert not await _has(n2, lonely[-1].id)
        world.cut.remove(("n2", "n0"))
        for _ in range(2000):
            if await _has(n2, lonely[-1].id):
                break
            await trio.sleep(0.01)
        await world.stop("n0")
        await trio.sleep(20)
        assert n1.log.vector == n2.log.vector
        for one in lonely:
            assert (await shown(world.nodes["n1"], one.id)).id == one.id
            await service.wait_version(world.nodes["n1"], one.version)


async def test_only_what_its_own_key_signed_makes_a_node_begin_a_new_stream_and_not_for_ever(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n0, liar = world.nodes["n0"], Author(5)
        await settled(world)
        for _ in range(RENEWALS_MAX + 3):
            signed = signed_head(key_of(n0.store), 99, n0.store.log.hlc + 1)
            head = head_of(n0.store.stream, signed)
            request = ExchangeRequest(
                protocol=PROTOCOL, node="x", stream=liar.stream, vector=heads_out({head.stream: head}),
            )
            before = mesh_of(n0).renewal.count
            await exchanged(n0, liar, request)
            await trio.sleep(5)
            assert mesh_of(n0).renewal.count == before
            await exchanged(n0, liar, replace(request, proofs={head.stream: signed.proof}))
            await trio.sleep(5)
        assert mesh_of(n0).renewal.count == RENEWALS_MAX
        error = await missing(lambda: put(n0, "t", "text"))
        assert (error.code, error.details["outcome"], error.retryable) == (Code.STREAM_FORKED, "not_applied", True)
        await trio.sleep(3600)
        await put(n0, "t", "text")


async def test_a_stream_that_a_full_disk_kept_from_beginning_is_not_counted_among_those_of_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n0, tries = world.nodes["n0"], 0

        async def fail(_: Store) -> StreamId:
            nonlocal tries
            tries += 1
            raise Unavailable("the disk is full", code=Code.STORAGE_FULL)

        await settled(world)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "renew", fail)
            mesh_of(n0).renewal.call("its disk is in doubt")
            await trio.sleep(60)
            error = await missing(lambda: put(n0, "t", "text"))
        assert (error.code, error.details["outcome"]) == (Code.STREAM_FORKED, "not_applied")
        assert error.message.startswith("its disk is in doubt; ")
        assert tries > RENEWALS_MAX
        await trio.sleep(30)
        assert mesh_of(n0).renewal.count == 1
        await put(n0, "t", "text")


async def test_until_it_knows_what_its_peers_knew_a_node_with_a_new_stream_refuses_to_write_and_says_so(
    tmp_path: Path
) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        for number in range(5):
            await put(world.nodes["n1"], f"t{number}", "text")
        await settled(world)
        settings = mesh_of(world.nodes["n0"]).settings
        await world.stop("n0")
        for path in world.folder.glob("n0.db*"):
            path.unlink()
        await forgotten(world, "n0")
        world.late = {"n1": 0.9, "n2": 0.9}     # a first contact takes two requests
        n0 = await world.start("n0", settings)
        await trio.sleep(1)
        health = await service.health(n0)
        assert (health.ready, n0.store.lacks_past) == (False, True)
        assert "began a new stream" in " ".join(health.warnings)
        document = await service.mesh_status(n0, OPERATOR, MeshQuery())
        assert "does not know yet" in " ".join(document.alarms)
        await put(n0, "u", "text")
        assert n0.store.log.vector[world.nodes["n1"].store.stream] >= 6
        assert (await service.health(n0)).ready
        world.late = {"n1": 30.0, "n2": 30.0}
        await _put_anew(world, settings)
        error = await missing(lambda: put(world.nodes["n0"], "v", "text"))
        assert (error.code, error.details["outcome"], error.retryable) == (Code.CATCHING_UP, "not_applied", True)


async def test_a_node_that_its_peers_do_not_believe_is_not_ready_until_it_knows_what_one_of_them_knew(
    tmp_path: Path
) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        await put(world.nodes["n1"], "t", "text")
        await settled(world)
        settings = mesh_of(world.nodes["n0"]).settings
        await world.stop("n0")
        for path in world.folder.glob("n0.db*"):
            path.unlink()
        n0 = await world.start("n0", settings)
        await trio.sleep(60)        # far beyond what it takes to give up peers that are gone
        assert not (await service.health(n0)).ready
        assert (await missing(lambda: put(n0, "u", "text"))).code is Code.CATCHING_UP
        await world.nodes["n2"].trust.accept("n0", None)
        await trio.sleep(10)
        assert (await service.health(n0)).ready
        assert n0.store.log.vector == world.nodes["n2"].store.log.vector


async def test_a_node_that_was_not_believed_is_ready_once_nobody_is_there_any_more(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await settled(world)
        settings = mesh_of(world.nodes["n0"]).settings
        await world.stop("n0")
        for path in world.folder.glob("n0.db*"):
            path.unlink()
        n0 = await world.start("n0", settings)
        await trio.sleep(60)
        assert not (await service.health(n0)).ready
        await world.stop("n1")
        await trio.sleep(60)
        assert (await service.health(n0)).ready
        await put(n0, "u", "text")


def _take_nothing(*_: object) -> inbound.Received:
    raise Unavailable("the disk is full")


@pytest.mark.parametrize("is_started_again", [False, True])
async def test_a_node_that_got_a_part_of_what_its_peers_knew_is_not_ready_while_none_of_them_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_started_again: bool
) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await put(world.nodes["n1"], "t", "text")
        await settled(world)
        settings = mesh_of(world.nodes["n0"]).settings
        await world.stop("n0")
        await forgotten(world, "n0")
        for path in world.folder.glob("n0.db*"):
            path.unlink()
        with monkeypatch.context() as patch:
            patch.setattr(inbound, "take", _take_nothing)
            n0 = await world.start("n0", settings)
            await trio.sleep(3)
            assert not (await service.health(n0)).ready
            await world.stop("n1")
            if is_started_again:
                await n0.store.write(adoption.note, adoption.Progress(stream="s", id="i", chunk=1))
                await world.stop("n0")
                n0 = await world.start("n0", settings)
            await trio.sleep(60)
            assert not (await service.health(n0)).ready
        await world.start("n1", replace(settings, peers=("http://n0",)))
        await trio.sleep(10)
        assert (await service.health(n0)).ready
        assert n0.store.log.vector == world.nodes["n1"].store.log.vector


async def _put_anew(world: World, settings: MeshSettings) -> None:
    """Start a node with nothing, whose peers are slow, and believed to be there all the same."""
    await world.stop("n0")
    await forgotten(world, "n0")
    for path in world.folder.glob("n0.db*"):
        path.unlink()
    await world.start("n0", replace(settings, timeout_s=1.0))
    for peer in mesh_of(world.nodes["n0"]).peers:
        peer.rules = replace(peer.rules, patience_s=60.0)


async def test_a_member_with_a_new_stream_is_counted_once_also_by_two_addresses(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1000) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        world.nodes["alias"] = n1
        settings = MeshSettings(peers=("http://n1", "http://alias"), interval_s=1000)
        await join(world, "n0", settings)
        await trio.sleep(5)
        old = n1.store.stream
        await n1.store.renew()
        mesh = mesh_of(world.nodes["n0"])
        world.cut |= {("n0", "alias")}
        mesh.ask_all(trio.current_time())
        await trio.sleep(5)
        assert [peer.state.stream for peer in mesh.peers] == [n1.store.stream, old]
        tally = mesh.tally([Dot(n0.store.stream, 1)])
        assert tally.acked_by[1:] == ("http://n1",)
        assert list(tally.waiting_for) == ["http://alias"]


async def test_a_copy_at_another_address_that_nobody_writes_yet_is_this_node(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await settled(world)
        settings = mesh_of(world.nodes["n1"]).settings
        await world.stop("n1")
        for path in world.folder.glob("n1.db*"):
            path.unlink()
        copy_files(world, "n0", world.folder, "n1")
        n0, n1 = world.nodes["n0"], await world.start("n1", settings)
        await trio.sleep(5)
        assert {peer.state.standing for node in (n0, n1) for peer in mesh_of(node).peers} == {Standing.SELF}
        stored = await put(n0, "t", "text")
        await trio.sleep(5)
        await put(n1, "u", "text")
        await settled(world)
        assert n0.store.stream != n1.store.stream
        assert (await shown(n1, stored.id)).title == "t"
        assert len(await digests(world)) == 1
        assert not await closed_of(n0.store)
