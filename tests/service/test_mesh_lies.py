"""Nodes that say what is not so: what they cause has a bound, and the others go on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.errors import InvalidRequest
from aimem.model import Create, Dot, Entry, Evidence, StreamHead, StreamId, closing_words, stream_id
from aimem.replication import Mesh, MeshSettings, PeerRoad, examine, run_mesh
from aimem.replication.closure import evidence_for, hear_closed, told
from aimem.store import adoption, inbound
from aimem.wire import (
    EXCHANGE_MAX_OPS,
    HELD_MAX,
    PROTOCOL,
    STREAMS_MAX,
    ExchangeAnswer,
    ExchangeRequest,
    HeadOut,
    MeshQuery,
    copies,
    decode_body,
    encode,
    heads_out,
    op_out,
    packing,
)
from tests.heads import head_of, signed_head
from tests.meshes import BODY_MAX_BYTES, OPERATOR, join, open_world, wait_settled
from tests.nodes import InlineThreads, open_node, seeded_chance
from tests.proofs import answered, exchanged
from tests.service.steps import put
from tests.streams import BASE, Author

pytestmark = pytest.mark.usefixtures("autojump_clock")

HOUR_S = 3600.0
LIAR = Author(666, "liar")
EMPTY = copies.SnapshotAnswer(protocol=PROTOCOL, objects=())


class Liar(httpx.AsyncBaseTransport):
    """A peer that answers exchanges and asks for its state as it is told to; `asked` counts both."""

    def __init__(
        self, exchanged: Callable[[ExchangeRequest], ExchangeAnswer],
        page: copies.SnapshotAnswer = EMPTY,
    ) -> None:
        self.asked, self._exchanged, self.page = 0, exchanged, page

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await trio.sleep(0.001)
        if request.url.path.endswith("/snapshot"):
            return answered(request, LIAR.signer, "liar", encode(self.page))
        data = await request.aread()
        if request.headers.get("content-encoding") == "gzip":
            data = packing.unzipped(data, BODY_MAX_BYTES)
        return answered(
            request, LIAR.signer, "liar", encode(self._exchanged(decode_body(ExchangeRequest, data)))
        )


def echo(request: ExchangeRequest, **fields: bool) -> ExchangeAnswer:
    """An answer of somebody who knows what the asker knows."""
    return ExchangeAnswer(
        protocol=PROTOCOL, node="liar", stream=LIAR.stream, vector=request.vector, now=request.now,
        more=fields.get("more", False), trimmed=fields.get("trimmed", False),
    )


async def asked_in_an_hour(folder: Path, liar: Liar) -> int:
    """How often a node asks its only peer, when nobody writes."""
    settings = MeshSettings(peers=("http://liar",), interval_s=60, compare_s=None)
    async with open_node(folder / "a.db", threads=InlineThreads()) as node, trio.open_nursery() as nursery:
        mesh = Mesh(settings, node.store, clock=node.clock, rng=random.Random(1), road=PeerRoad(liar, node.trust))
        await nursery.start(run_mesh, mesh)
        await trio.sleep(HOUR_S)
        assert mesh.draining is None
        nursery.cancel_scope.cancel()
    return liar.asked


async def test_a_peer_that_has_more_and_sends_nothing_is_not_asked_without_end(tmp_path: Path) -> None:
    assert await asked_in_an_hour(tmp_path, Liar(lambda request: echo(request, more=True))) < 100


@pytest.mark.parametrize(("reason", "line"), [
    ("forged", ("WARNING", "peer.refuses")), ("assumed", ("INFO", "peer.lacks")), ("gap", ("INFO", "peer.lacks")),
])
async def test_a_person_is_warned_where_a_peer_refuses_and_not_where_it_lacks_what_comes_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: str, line: tuple[str, str]
) -> None:
    answers = iter([reason])

    def stop(request: ExchangeRequest) -> ExchangeAnswer:
        return replace(echo(request), stopped=next(answers, ""), stopped_at="")

    with caplog.at_level("INFO"):
        await asked_in_an_hour(tmp_path, Liar(stop))
    told = [(one.levelname, one.message) for one in caplog.records if one.message.startswith("peer.")]
    assert told == [line, *[("INFO", "peer.back")] * (line[0] == "WARNING")]


async def test_a_peer_whose_state_covers_nothing_new_is_not_asked_for_it_without_end(tmp_path: Path) -> None:
    assert await asked_in_an_hour(tmp_path, Liar(lambda request: echo(request, trimmed=True))) < 200


async def test_a_peer_that_shows_more_of_a_closed_stream_and_has_no_rows_is_not_asked_without_end(
    tmp_path: Path,
) -> None:
    owner = Author(5)

    def ahead(request: ExchangeRequest) -> ExchangeAnswer:
        proof = signed_head(owner.signer, 99, BASE + 99)
        vector = {**request.vector, **heads_out({owner.stream: head_of(owner.stream, proof)})}
        said = closing([5])
        return replace(
            echo(request), vector=vector, proofs={owner.stream: proof.proof}, closed=said.closed, evidence=said.evidence
        )

    assert 60 < await asked_in_an_hour(tmp_path, Liar(ahead)) < 200


async def test_rows_of_a_closed_stream_are_joined_again_from_whoever_got_more_of_it(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        owner, n2 = Author(5), world.nodes["n2"].store
        for node in world.nodes.values():
            await node.store.write(inbound.take, owner.ops, examine)
            await hear_closed(node.store, closing([5]).evidence)
        await trio.sleep(20)
        stores = [node.store for node in world.nodes.values()]
        streams = {store.stream for store in stores}
        assert all(store.log.closed[owner.stream] | {store.stream} == streams for store in stores)
        told_more = signed_head(owner.signer, 9, BASE + 9)
        heads = {owner.stream: head_of(owner.stream, told_more)}
        # As by the snapshot of an owner that writes on, and says of no stream that it is closed.
        await n2.write(
            adoption.adopt, (), heads, {owner.stream: told_more.proof}, n2.stream, (), lambda _: None,
        )
        await trio.sleep(20)
        assert {store.log.vector[owner.stream] for store in stores} == {9}
        counts = [node.mesh.joins.counts.joined for node in world.nodes.values() if node.mesh is not None]
        await trio.sleep(60)
        assert counts == [node.mesh.joins.counts.joined for node in world.nodes.values() if node.mesh is not None]


async def test_a_state_whose_pages_lead_nowhere_is_left(tmp_path: Path) -> None:
    page = copies.SnapshotAnswer(protocol=PROTOCOL, objects=(), after="onwards")
    assert await asked_in_an_hour(tmp_path, Liar(lambda request: echo(request, trimmed=True), page)) < 200


def closing(seeds: Iterable[int]) -> ExchangeRequest:
    """The owners of these streams closed them."""
    evidence = {}
    for seed in seeds:
        signer = seeded_chance(seed).new_signer()
        stream = stream_id(signer.public_key)
        evidence[str(stream)] = Evidence(key=signer.public_key, closing=signer.sign(closing_words(stream)))
    return ExchangeRequest(
        protocol=PROTOCOL, node="x", stream=Author(6).stream, evidence=evidence, closed=dict.fromkeys(evidence, ())
    )


async def test_a_node_remembers_so_many_closed_streams_and_tells_first_of_those_that_it_knows(tmp_path: Path) -> None:
    author = Author(5)
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        opening = ExchangeRequest(protocol=PROTOCOL, node="x", stream=author.stream, ops=(op_out(author.ops[0]),))
        await exchanged(node, author, opening)
        for first in range(0, STREAMS_MAX - copies.CLOSED_MAX, copies.CLOSED_MAX):
            await exchanged(node, Author(6), closing(range(100 + first, 100 + first + copies.CLOSED_MAX)))
        await exchanged(node, Author(6), closing([5]))
        for first in range(STREAMS_MAX, STREAMS_MAX + 200, copies.CLOSED_MAX):
            await exchanged(node, Author(6), closing(range(100 + first, 100 + first + copies.CLOSED_MAX)))
        assert len(node.store.log.closed) == len(node.store.log.evidence) == STREAMS_MAX
        other = Author(8)
        await node.store.write(inbound.take, other.ops, examine)
        await hear_closed(node.store, closing([8]).evidence)
        assert other.stream in node.store.log.closed
        assert {author.stream, other.stream} == set(list(told(node.store))[:2])
        assert set(list(evidence_for(node.store, ()))[:2]) == {author.stream, other.stream}
        with pytest.raises(InvalidRequest, match="more than 64"):
            await exchanged(node, Author(6), closing(range(copies.CLOSED_MAX + 1)))
        document = await service.mesh_status(node, OPERATOR, MeshQuery())
        assert len(document.alarms[0]) < 500
        await put(node, "t", "text")


async def test_a_node_that_begins_a_stream_where_as_many_are_known_as_may_be_is_still_told_of_others(
    tmp_path: Path,
) -> None:
    head = StreamHead(stream=StreamId("0" * 32), seq=1, hlc=1, chain_hash=bytes(32))
    vector = {f"{number:032x}": HeadOut(head.seq, head.hlc, head.chain_hash) for number in range(STREAMS_MAX + 4)}
    request = ExchangeRequest(protocol=PROTOCOL, node="x", stream=Author(5).stream, vector=vector, wants=10)
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        await put(node, "t", "text")
        assert len((await exchanged(node, Author(5), request)).ops) == 2
        vector |= {f"{number:032x}": vector[head.stream] for number in range(2 * STREAMS_MAX + 1)}
        with pytest.raises(InvalidRequest, match="a vector of"):
            await exchanged(node, Author(5), request)


async def test_more_ops_that_cannot_be_applied_than_can_be_named_do_not_keep_others_from_counting(
    tmp_path: Path,
) -> None:
    newer = Author(5)
    for number in range(HELD_MAX + 1):
        newer.write("dream", [Entry(kind="dream", key=f"d{number}", create=Create(author="x"))])
    ops = tuple(map(op_out, newer.ops))
    async with open_world(tmp_path, 2, writes=2) as world:
        for first in range(0, len(ops), EXCHANGE_MAX_OPS):
            batch = ops[first : first + EXCHANGE_MAX_OPS]
            await exchanged(world.nodes["n0"], newer, ExchangeRequest(
                protocol=PROTOCOL, node="x", stream=newer.stream, ops=batch,
            ))
        await wait_settled(world)
        await trio.sleep(1)     # until each was asked what it has by now
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        for node in (n0, n1):
            await put(node, f"of {node.store.node_name}", "text")       # with two of two
        last = f"{newer.stream}:{len(ops)}"
        assert (await service.write_outcome(n0, last)).outcome == "held"
        document = await service.mesh_status(n0, OPERATOR, MeshQuery())
        assert (document.held_count, document.peers[0].held) == (HELD_MAX + 1, -1)


async def test_an_address_that_led_to_another_node_for_a_while_does_not_keep_that_node_from_counting(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        n0, n1, n2 = (world.nodes[name] for name in ("n0", "n1", "n2"))
        world.nodes["address"] = n1
        await join(world, "n0", MeshSettings(peers=("http://n1", "http://address"), interval_s=1))
        await trio.sleep(5)
        world.nodes["address"] = n2     # which it was meant to be
        await trio.sleep(60)
        mesh = world.nodes["n0"].mesh
        assert mesh is not None
        tally = mesh.tally([Dot(n0.store.stream, 1)])
        assert (tally.acked_by[1:], tally.waiting_for) == (("http://n1", "http://address"), {})
