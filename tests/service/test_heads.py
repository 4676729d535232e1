"""What a member says of streams counts only as far as their owners signed it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code, InvalidRequest
from aimem.model import Evidence, HeadProof, StreamHead, StreamId, Vector
from aimem.replication import Mesh, MeshSettings, PeerRoad, Roll, roll_of, run_mesh
from aimem.store import Store, Transaction, headproofs, inbound, trimming
from aimem.wire import PROTOCOL, ExchangeAnswer, ExchangeRequest, MeshQuery, copies, heads_out, op_out
from tests.heads import head_of, key_of, signed_head, told_by
from tests.meshes import OPERATOR, World, open_world
from tests.nodes import InlineThreads, open_node
from tests.proofs import exchanged
from tests.service.steps import put, shown
from tests.service.test_mesh import digests, mesh_of, settled
from tests.service.test_mesh_lies import LIAR, Liar
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")


def beyond(stream: StreamId) -> StreamHead:
    """What nobody signed."""
    return StreamHead(stream=stream, seq=10**6, hlc=1, chain_hash=b"x" * 32)


def lying(vector: Mapping[StreamId, StreamHead], **fields: Any) -> Liar:     # whatever an answer has
    """A member that answers whatever it is asked with this vector, besides what the asker knows."""

    def answer(request: ExchangeRequest) -> ExchangeAnswer:
        known = {**request.vector, **heads_out(vector)}
        return ExchangeAnswer(
            protocol=PROTOCOL, node="liar", stream=LIAR.stream, vector=known, now=request.now, **fields
        )

    return Liar(answer)


STRANGER = Author(72, "stranger")


@asynccontextmanager
async def meet(folder: Path, liar: Liar) -> AsyncIterator[Mesh]:
    """A node whose only peer lies."""
    settings = MeshSettings(peers=("http://liar",), interval_s=10, compare_s=None)
    async with open_node(folder / "a.db", threads=InlineThreads()) as node, trio.open_nursery() as nursery:
        mesh = Mesh(settings, node.store, clock=node.clock, rng=random.Random(1), road=PeerRoad(liar, node.trust))
        await nursery.start(run_mesh, mesh)
        yield mesh
        nursery.cancel_scope.cancel()


async def acked(folder: Path, liar: Liar) -> tuple[Vector, str, Roll]:
    """What a liar is taken to know, why it failed, and the roll then."""
    async with meet(folder, liar) as mesh:
        await trio.sleep(5)
        return mesh.peers[0].state.acked, mesh.peers[0].state.last_error, roll_of(mesh)


async def test_what_nobody_signed_counts_for_nothing_and_is_counted(tmp_path: Path) -> None:
    async with meet(tmp_path, lying({STRANGER.stream: beyond(STRANGER.stream)})) as mesh:
        await trio.sleep(5)
        peer, own = mesh.peers[0], mesh.store.stream
        assert (peer.state.acked, peer.state.failures) == ({own: 1}, 0)
        assert (mesh.counts.heads.unproven > 0, roll_of(mesh).is_covered) == (True, True)


async def test_what_its_owner_signed_counts(tmp_path: Path) -> None:
    proof = told_by(STRANGER.ops[0], STRANGER.signer).proof
    head = {STRANGER.stream: STRANGER.head}
    # Its log does not reach back, it says; else it would have handed over what it names.
    known, error, roll = await acked(tmp_path, lying(head, proofs={STRANGER.stream: proof}, trimmed=True))
    assert (known.get(STRANGER.stream), error, roll.is_covered) == (1, "", False)


async def test_what_a_member_names_and_does_not_hand_over_keeps_nobody_from_being_ready(tmp_path: Path) -> None:
    proof = told_by(STRANGER.ops[0], STRANGER.signer).proof
    liar = lying({STRANGER.stream: STRANGER.head}, proofs={STRANGER.stream: proof})
    async with meet(tmp_path, liar) as mesh:
        await trio.sleep(5)
        assert STRANGER.stream not in mesh.peers[0].state.acked
        assert (mesh.is_ready, roll_of(mesh).is_covered) == (True, True)


async def test_an_op_shows_its_head_as_well_as_a_proof(tmp_path: Path) -> None:
    known, error, roll = await acked(
        tmp_path, lying({STRANGER.stream: STRANGER.head}, ops=tuple(map(op_out, STRANGER.ops)))
    )
    assert (known.get(STRANGER.stream), error, roll.is_covered) == (1, "", True)


@pytest.mark.parametrize("about", [STRANGER.stream, LIAR.stream])
async def test_an_answer_with_a_proof_that_is_wrong_counts_for_nothing_at_all(tmp_path: Path, about: StreamId) -> None:
    proof = told_by(STRANGER.ops[0], STRANGER.signer).proof
    known, error, _ = await acked(tmp_path, lying({about: beyond(about)}, proofs={about: proof}))
    assert known == {}
    assert error.startswith("forged: ")


async def test_a_member_that_says_more_of_a_nodes_own_stream_does_not_have_it_begin_another_and_acks_nothing(
    tmp_path: Path,
) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        own = node.store.stream
    for lie in (beyond(own), StreamHead(stream=own, seq=1, hlc=1, chain_hash=b"x" * 32)):
        async with meet(tmp_path, lying({own: lie}, stopped="fork", stopped_at=f"{own}:1")) as mesh:
            await trio.sleep(60)
            assert (mesh.store.stream, mesh.renewal.count, mesh.is_forked, mesh.store.log.closed) == (own, 0, False, {})
            assert own not in mesh.peers[0].state.acked
            assert mesh.is_ready


async def test_that_a_stream_is_closed_is_shown_or_not_believed(tmp_path: Path) -> None:
    one, other = signed_head(STRANGER.signer, 7, 9), signed_head(STRANGER.signer, 7, 9, text="another")
    async with open_world(tmp_path, 2, writes=2) as world:
        await settled(world)
        n0, n1 = (world.nodes[name] for name in ("n0", "n1"))
        said = ExchangeRequest(
            protocol=PROTOCOL, node="liar", stream=LIAR.stream, closed={n1.store.stream: (), STRANGER.stream: ()}
        )
        await exchanged(n0, LIAR, said)
        assert n0.store.log.closed == {}
        for wrong in (Evidence(), Evidence(signed=(one, one)), Evidence(signed=(one, other))):
            with pytest.raises(InvalidRequest) as raised:
                await exchanged(n0, LIAR, replace(said, evidence={n1.store.stream: wrong}))
            assert raised.value.code is Code.FORGED
        assert n0.store.log.closed == {}
        shown_to = replace(said, evidence={STRANGER.stream: Evidence(signed=(one, other))})
        await exchanged(n0, LIAR, shown_to)
        assert n0.store.log.closed.keys() == {STRANGER.stream}
        await trio.sleep(60)
        assert n1.store.log.closed.keys() == {STRANGER.stream}       # it was told on, and believed
        await put(n0, "t", "text")


async def test_a_snapshot_cannot_keep_an_owners_ops_from_being_taken(tmp_path: Path) -> None:
    lie = {STRANGER.stream: beyond(STRANGER.stream)}
    page = copies.SnapshotAnswer(protocol=PROTOCOL, objects=(), vector=heads_out(lie))
    liar = lying({}, trimmed=True)
    liar.page = page
    async with meet(tmp_path, liar) as mesh:
        await trio.sleep(5)
        assert STRANGER.stream not in mesh.store.log.vector
        liar.page = replace_page(page, told_by(STRANGER.ops[0], STRANGER.signer).proof)
        await trio.sleep(120)
        assert STRANGER.stream not in mesh.store.log.vector


def replace_page(page: copies.SnapshotAnswer, proof: HeadProof) -> copies.SnapshotAnswer:
    """The same with a proof of something else."""
    return msgspec.structs.replace(page, proofs={STRANGER.stream: proof})


async def trim(store: Store) -> None:
    size = await store.read(trimming.log_size)
    await store.write(trimming.trim, store.log.vector, size, trimming.LogBounds(kept_count=0))


async def test_a_new_node_gets_all_of_nodes_whose_logs_are_empty_and_can_prove_it_to_the_next(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2, interval_s=1) as world:
        stored = [await put(world.nodes["n0"], f"t{number}", "text") for number in range(3)]
        await settled(world)
        for node in world.nodes.values():
            await trim(node.store)
        await world.stop("n1")
        third = await world.start("n3", MeshSettings(peers=("http://n0",), interval_s=1))
        await trio.sleep(5)
        assert (await shown(third, stored[2].id)).title == "t2"
        await world.stop("n0")
        fourth = await world.start("n4", MeshSettings(peers=("http://n3",), interval_s=1))
        await trio.sleep(5)
        assert (await shown(fourth, stored[2].id)).title == "t2"
        assert len(await digests(world)) == 1
        proofs = await fourth.store.read(headproofs.proofs_of, fourth.store.log.heads.values())
        assert proofs.keys() == fourth.store.log.heads.keys()
        assert mesh_of(fourth).counts.heads.unproven == 0


def forget_proofs(transaction: Transaction) -> None:
    """As a database is that trimmed its log before proofs were kept."""
    transaction.conn.execute("DELETE FROM meta WHERE name GLOB 'proof:*'")


async def test_what_cannot_be_proven_any_more_is_not_offered_without_end_and_all_else_goes_on(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        stored = await put(world.nodes["n0"], "t", "text")
        await settled(world)
        dead = world.nodes["n0"].store.stream
        await world.stop("n0")
        await put(world.nodes["n1"], "u", "text")
        await put(world.nodes["n2"], "v", "text")
        for name in ("n1", "n2"):
            await trim(world.nodes[name].store)
            await world.nodes[name].store.write(forget_proofs)
            settings = mesh_of(world.nodes[name]).settings
            await world.stop(name)
            world.nodes[name] = await world.start(name, settings)
            assert dead in world.nodes[name].store.log.unproven
        later = await put(world.nodes["n1"], "w", "text")
        await put(world.nodes["n2"], "x", "text")
        assert {len(node.store.log.unproven) for node in world.nodes.values() if node.store.node_name != "n0"} == {1}
        fresh = await world.start("n3", MeshSettings(peers=("http://n1", "http://n2"), writes=2, interval_s=1))
        await trio.sleep(5)
        for memory_id in (stored.id, later.id):
            assert (await shown(fresh, memory_id)).id == memory_id
        assert dead not in fresh.store.log.vector
        await put(fresh, "y", "text")
        assert {peer.state.failures for peer in mesh_of(fresh).peers} == {0}


async def test_a_node_that_signs_two_ops_of_one_number_is_shown_to_all_and_its_rows_are_everywhere(
    tmp_path: Path,
) -> None:
    one, other = Author(73, "evil"), Author(73, "evil")
    one.memory("11111111-1111-4111-8111-111111111111", "one")
    other.memory("22222222-2222-4222-8222-222222222222", "other")
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        await settled(world)
        world.isolate("n1")
        for name, author in (("n0", one), ("n1", other)):
            await hand_over(world, name, author)
        world.heal()
        await trio.sleep(30)
        assert len(await digests(world)) == 1
        for node in world.nodes.values():
            assert await node.store.read(inbound.closed_streams) == (one.stream,)
            assert one.stream in await node.store.read(headproofs.load_evidence)
            for author in (one, other):
                await shown(node, str(msgspec.json.decode(author.ops[1].entries[0])["key"]))
            document = await service.mesh_status(node, OPERATOR, MeshQuery())
            assert any("two histories" in alarm for alarm in document.alarms)
            assert mesh_of(node).renewal.count == 0
            await put(node, f"of {node.store.node_name}", "text")


async def hand_over(world: World, name: str, author: Author) -> None:
    """Its own node hands a stream to one of the others."""
    request = ExchangeRequest(
        protocol=PROTOCOL, node="evil", stream=author.stream, ops=tuple(map(op_out, author.ops))
    )
    assert (await exchanged(world.nodes[name], author, request)).taken == len(author.ops)


async def test_nodes_that_know_the_same_prove_nothing_to_each_other(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        for number in range(20):
            await put(world.nodes[f"n{number % 3}"], f"t{number}", "text")
        await settled(world)
        before = [mesh_of(node).counts.heads.sent for node in world.nodes.values()]
        await trio.sleep(60)
        assert [mesh_of(node).counts.heads.sent for node in world.nodes.values()] == before


async def test_whoever_asks_a_restored_node_shows_it_what_it_signed(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n0, n1 = (world.nodes[name] for name in ("n0", "n1"))
        await settled(world)
        signed = signed_head(key_of(n0.store), 2, n0.store.log.hlc + 1)
        head = head_of(n0.store.stream, signed)
        old = n0.store.stream
        await n1.store.write(lambda t: t.heads.update({head.stream: head}))
        await n1.store.write(lambda t: headproofs.keep(t.conn, head, signed.proof))
        world.cut |= {("n0", "n1")}
        await trio.sleep(5)
        assert n0.store.stream != old
