"""Rows that a node lost behind the store's back: found, told from what is only late, got back on the right side."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.errors import AimemError, Code
from aimem.model import Create, Entry, format_instant
from aimem.ports import Mode, Row, system_files
from aimem.replication import examine
from aimem.service import Node
from aimem.service.meshfigures import mesh_samples
from aimem.store import KINDS, digest, digests, inbound, trimming, walking
from aimem.wire import EntityRequest, ListQuery, MeshQuery, RecallRequest, SearchQuery, UpdateMemory, copies
from tests.meshes import OPERATOR, World, open_world, wait_settled
from tests.service.steps import ALICE, connect, put, shown
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")


VIEW = (
    "SELECT v.id, state, holder, v.namespace, v.title, owner, v.expires_at, hex(text_hash) FROM memory_view v "
    "ORDER BY v.id"
)
WORDS = (
    "SELECT DISTINCT v.id FROM memory_fts AS f JOIN memory_view AS v ON v.no = f.rowid >> 6 "
    "WHERE memory_fts MATCH 'text' ORDER BY v.id"
)


async def digests_of(world: World) -> set[str]:
    return {await node.store.read(digest) for node in world.nodes.values()}


async def behind_the_back(node: Node, sql: str, *values: object) -> None:
    """What a broken disk does: the tables change and nothing of it was ever written; views and indexes stay."""
    conn = system_files().connect(node.store.settings.db, Mode.READ_WRITE_CREATE)
    try:
        conn.execute(sql, values)     # type: ignore[arg-type]
    finally:
        conn.close()


async def verified(node: Node, peer: str, *, repair: bool = False) -> copies.VerifyAnswer:
    """All steps of a comparison, summed up."""
    answer = await service.verify(node, OPERATOR, copies.VerifyRequest(peer=f"http://{peer}", repair=repair))
    assert answer.after is None
    return answer


def losses(answer: copies.VerifyAnswer) -> dict[str, str]:
    return {one.key: one.lost for one in answer.objects}


async def titles(node: Node) -> set[str]:
    page = await service.list_memories(node, ALICE, ListQuery(limit=100))
    return {memory.title for memory in page.memories}


async def test_equal_nodes_differ_in_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        for number in range(5):
            await put(world.nodes["n0"], f"t{number}", "text")
        answer = await verified(world.nodes["n0"], "n1")
        assert (answer.total, answer.compared, answer.differing, answer.pending) == (7, 7, 0, 0)


async def test_a_row_that_one_node_lost_is_found_by_both_and_comes_back_on_that_node_alone(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        kept, lost = await put(n0, "kept", "a text"), await put(n0, "lost", "the pelican returns")
        await connect(n0, kept.id, lost.id)
        await wait_settled(world)
        await behind_the_back(n1, "DELETE FROM memories WHERE id = ?", lost.id)
        assert losses(await verified(n0, "n1")) == {lost.id: "there"}
        assert (await verified(n0, "n1", repair=True)).repaired == 0
        assert await titles(n1) == {"kept"}
        assert losses(await verified(n1, "n0")) == {lost.id: "here"}
        answer = await verified(n1, "n0", repair=True)
        assert (answer.differing, answer.repaired, answer.left) == (1, 1, 0)
        assert len(await digests_of(world)) == 1
        assert await titles(n1) == {"kept", "lost"}
        found = await service.search(n1, ALICE, SearchQuery(q="pelican"))
        assert [memory.id for memory in found.results] == [lost.id]
        assert [link.target_id for link in (await service.links_of(n1, ALICE, kept.id)).links] == [lost.id]
        assert (await service.recall(n1, ALICE, RecallRequest(context="pelican"))).memories[0].id == lost.id
        assert (await verified(n0, "n1")).differing == 0
        assert not (await service.mesh_status(n0, OPERATOR, MeshQuery())).conflict_count


async def test_a_row_that_lost_a_write_gets_it_back_and_its_name_with_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = await put(n0, "t", "first")
        [before] = await n1.store.read(lambda conn: conn.execute("SELECT * FROM memories").fetchall())
        await service.update(n0, ALICE, stored.id, UpdateMemory(title="renamed", content="second"))
        await wait_settled(world)
        await behind_the_back(n1, f"INSERT OR REPLACE INTO memories VALUES ({', '.join('?' * len(before))})", *before)
        assert (await verified(n1, "n0", repair=True)).repaired == 1
        memory = (await shown(n1, stored.id)).memory
        assert (memory.title, memory.content, len(await digests_of(world))) == ("renamed", "second", 1)
        assert (await service.search(n1, ALICE, SearchQuery(q="renamed"))).results[0].id == stored.id


async def test_a_tombstone_that_was_lost_kills_again(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = await put(n0, "t", "text")
        [row] = await n1.store.read(lambda conn: conn.execute("SELECT * FROM memories").fetchall())
        await service.delete(n0, ALICE, stored.id)
        await wait_settled(world)
        await behind_the_back(n1, "DELETE FROM tombstones")
        await behind_the_back(n1, f"INSERT INTO memories VALUES ({', '.join('?' * len(row))})", *row)
        assert losses(await verified(n0, "n1")) == {stored.id: "there"}
        answer = await verified(n1, "n0", repair=True)
        assert (answer.differing, answer.repaired) == (1, 1)
        assert (await titles(n1), len(await digests_of(world))) == (set(), 1)


@pytest.mark.parametrize("value", ["y", "a text that is longer than the true one"])
async def test_a_value_that_rotted_is_put_right_by_the_log_and_never_spreads(tmp_path: Path, value: str) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = await put(n0, "t", "the true text")
        await wait_settled(world)
        await behind_the_back(n1, "UPDATE memories SET content = ?, title = 'other'", value)
        assert losses(await verified(n0, "n1", repair=True)) == {stored.id: "unclear"}
        assert (await shown(n0, stored.id)).memory.content == "the true text"
        answer = await verified(n1, "n0", repair=True)
        assert (answer.repaired, answer.undecided, answer.left) == (1, 0, 0)
        assert (await shown(n1, stored.id)).memory.content == "the true text"
        assert (await titles(n1), len(await digests_of(world))) == ({"t"}, 1)


async def test_a_value_that_rotted_after_its_op_left_the_log_is_for_a_person(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n1 = world.nodes["n1"]
        stored = await put(world.nodes["n0"], "t", "the true text")
        await wait_settled(world)
        bounds = trimming.LogBounds(kept_count=0)
        await n1.store.write(
            trimming.trim, n1.store.log.vector, await n1.store.read(trimming.log_size), bounds
        )
        await behind_the_back(n1, "UPDATE memories SET content = 'rotten'")
        answer = await verified(n1, "n0", repair=True)
        assert (answer.repaired, answer.undecided, answer.left) == (0, 1, 1)
        [alarm] = (await service.mesh_status(n1, OPERATOR, MeshQuery())).alarms
        assert f"memory {stored.id} (two values under one write)" in alarm
        await service.update(n1, ALICE, stored.id, UpdateMemory(content="written anew"))
        await wait_settled(world)
        assert len(await digests_of(world)) == 1


async def test_a_row_that_cannot_be_read_is_got_back(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n1 = world.nodes["n1"]
        stored = await put(world.nodes["n0"], "t", "text")
        await wait_settled(world)
        await behind_the_back(n1, "UPDATE memories SET born = x'00'")
        assert losses(await verified(world.nodes["n0"], "n1")) == {stored.id: "there"}
        assert (await verified(n1, "n0", repair=True)).repaired == 1
        assert (await titles(n1), len(await digests_of(world))) == ({"t"}, 1)


async def test_what_is_only_late_is_no_loss_and_nothing_is_joined_ahead_of_its_op(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = await put(n0, "t", "first")
        await wait_settled(world)
        await trio.sleep(5)     # no exchange is under way any more
        world.deaf |= {("n0", "n1"), ("n1", "n0")}
        await service.update(n0, ALICE, stored.id, UpdateMemory(content="second"))
        await put(n0, "new", "text")
        for node, peer in ((n0, "n1"), (n1, "n0")):
            answer = await verified(node, peer, repair=True)
            assert (answer.differing, answer.pending, answer.repaired) == (0, 2, 0)
        assert (await shown(n1, stored.id)).memory.content == "first"
        world.deaf.clear()
        await wait_settled(world)
        assert (await verified(n1, "n0")).pending == 0


async def test_more_than_one_answer_holds_is_compared_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "SPAN_OBJECTS", 5)
    async with open_world(tmp_path, 2, writes=2) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = [await put(n0, f"t{number:02}", "text") for number in range(40)]
        await wait_settled(world)
        await behind_the_back(n1, "DELETE FROM memories")
        assert len(losses(await verified(n0, "n1"))) == 40
        answer = await verified(n1, "n0", repair=True)
        assert (answer.differing, answer.repaired) == (len(stored), len(stored))
        assert len(await digests_of(world)) == 1


async def test_now_and_then_a_node_compares_with_a_peer_mends_itself_and_raises_an_alarm(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=900) as world:
        n0 = world.nodes["n0"]
        stored = await put(world.nodes["n1"], "t", "text")
        await wait_settled(world)
        await behind_the_back(n0, "DELETE FROM memories")
        await trio.sleep(3 * 3600)
        assert len(await digests_of(world)) == 1
        assert await titles(n0) == {"t"}
        document = await service.mesh_status(n0, OPERATOR, MeshQuery())
        [alarm] = document.alarms
        assert alarm.startswith("1 object differed from a peer's at ") and "that is mended" in alarm
        assert alarm in (await service.health(n0)).warnings
        assert all(peer.compared_s is not None for peer in document.peers)
        figures = {sample.name: sample.value for sample in mesh_samples(n0)}
        assert figures["ai_memory_mesh_objects_repaired"] == 1
        assert figures["ai_memory_mesh_log_bytes"] > 0
        assert stored.id in (await shown(n0, stored.id)).memory.id


async def test_an_alarm_names_what_differs_since_when_and_until_it_is_mended(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=3) as world:
        n0 = world.nodes["n0"]
        stored = await put(n0, "t", "text")
        await wait_settled(world)
        await behind_the_back(n0, "DELETE FROM memories")
        since = format_instant(n0.clock.now())[:16]
        for peer in ("n1", "n2", "n1"):
            await verified(n0, peer)
            await trio.sleep(90)
        [alarm] = (await service.mesh_status(n0, OPERATOR, MeshQuery())).alarms
        assert alarm.startswith("1 object differs from a peer's although both nodes know the same writes, since ")
        assert f"since {since}Z: memory {stored.id} (lost here); a disk" in alarm and "mesh verify" in alarm
        [warning] = [text for text in (await service.health(n0)).warnings if "differs from a peer's" in text]
        assert stored.id not in warning
        await verified(n0, "n1", repair=True)
        await verified(n0, "n1")
        [alarm] = (await service.mesh_status(n0, OPERATOR, MeshQuery())).alarms
        assert "object differs" in alarm     # from n2's, as far as anybody has seen
        await verified(n0, "n2")
        [alarm] = (await service.mesh_status(n0, OPERATOR, MeshQuery())).alarms
        assert alarm.startswith(f"1 object differed from a peer's from {since}Z to ")


async def test_a_peer_that_answers_nonsense_or_nothing_changes_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n0 = world.nodes["n0"]
        await put(n0, "t", "text")
        await wait_settled(world)
        before = await digests_of(world)
        for fault in (world.garbled, world.hung):
            fault.add("n1")
            with pytest.raises(AimemError) as caught:
                await verified(n0, "n1", repair=True)
            assert caught.value.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}
            fault.clear()
        with pytest.raises(AimemError) as caught:
            await service.verify(n0, OPERATOR, copies.VerifyRequest(peer="http://n7"))
        assert (caught.value.code, caught.value.field) == (Code.INVALID_REQUEST, "peer")
        assert await digests_of(world) == before


async def test_what_only_one_node_can_apply_is_no_loss_and_what_both_hold_hides_none(tmp_path: Path) -> None:
    newer = Author(5)
    newer.write("dream", [Entry(kind="dream", key="d", create=Create(author="x"), fields={"text": "?"})])
    async with open_world(tmp_path, 2, writes=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = await put(n0, "t", "text")
        await wait_settled(world)
        await behind_the_back(n1, "DELETE FROM memories")
        world.isolate("n1")
        await n0.store.write(inbound.take, newer.ops, examine)
        await trio.sleep(0.001)     # so that what is sent at once is lost
        world.cut.clear()
        world.mute.clear()
        assert (await verified(n0, "n1")).pending > 0
        await wait_settled(world)
        assert losses(await verified(n0, "n1")) == {stored.id: "there"}
        assert (await verified(n1, "n0", repair=True)).repaired == 1
        assert len(await digests_of(world)) == 1


async def furnished(world: World, rng: random.Random) -> None:
    """Rows of several kinds, written on both nodes, some of them dead."""
    nodes = list(world.nodes.values())
    ids = [(await put(rng.choice(nodes), f"t{number}", f"text {number}")).id for number in range(12)]
    await wait_settled(world)
    for number in range(8):
        await connect(rng.choice(nodes), ids[number], ids[number + 1])
    entity = EntityRequest(canonical_name="ship", namespace="fleet", aliases=["boat", "vessel"])
    await service.register_entity(nodes[0], ALICE, entity)
    for memory_id in rng.sample(ids[1:], 3):
        await service.delete(rng.choice(nodes), ALICE, memory_id)
    await service.update(nodes[1], ALICE, ids[0], UpdateMemory(content="another"))


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_rows_two_nodes_lost_they_are_equal_after_each_mended_itself(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with open_world(tmp_path, 2, writes=2) as world:
        await furnished(world, rng)
        await wait_settled(world)
        before = await digests_of(world)
        lost: set[tuple[str, ...]] = set()
        for node in world.nodes.values():
            for term in (await node.store.read(digests.read_span, None, None, 1000)).terms:
                row = (term.place.table, *term.place.key)
                if rng.random() < 0.4 and row not in lost:
                    lost.add(row)
                    await lose_row(node, term.place)
        for name, peer in (("n0", "n1"), ("n1", "n0")):
            await verified(world.nodes[name], peer, repair=True)
        assert await digests_of(world) == before
        for sql in (VIEW, WORDS):
            shown_by = [await rows_of(node, sql) for node in world.nodes.values()]
            assert shown_by[0] == shown_by[1]


async def rows_of(node: Node, sql: str) -> list[Row]:
    return await node.store.read(lambda conn: conn.execute(sql).fetchall())


async def lose_row(node: Node, place: walking.Place) -> None:
    """Take one row away."""
    table, columns = ("tombstones", ("kind", "key"))
    if place.table in KINDS:
        table, columns = KINDS[place.table].table, KINDS[place.table].key_columns
    condition = " AND ".join(f"{column} = ?" for column in columns)
    await behind_the_back(node, f"DELETE FROM {table} WHERE {condition}", *place.key)
