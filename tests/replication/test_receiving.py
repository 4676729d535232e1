"""Ops that come in: their signatures are verified before the transaction, and what nobody signed goes no further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from aimem.model import StopReason
from aimem.ports import is_signed
from aimem.replication import headproof, intake, receive, receiving, wait_known
from aimem.wire import EXCHANGE_MAX_OPS, PROTOCOL, ExchangeRequest, op_out
from tests.meshes import open_world
from tests.nodes import InlineThreads, open_node
from tests.proofs import exchanged
from tests.streams import Author, tampered

pytestmark = pytest.mark.usefixtures("autojump_clock")


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Each test meets each signature for the first time."""
    headproof.was_signed.cache_clear()
    yield
    headproof.was_signed.cache_clear()


async def test_the_transaction_finds_all_signatures_of_a_batch_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, met = Author(1), list[bool]()
    for number in range(EXCHANGE_MAX_OPS - 1):
        author.memory(f"m{number}")

    def is_met(key: bytes, message: bytes, signature: bytes) -> bool:
        misses = headproof.was_signed.cache_info().misses
        found = headproof.was_signed(key, message, signature)
        met.append(headproof.was_signed.cache_info().misses == misses)
        return found

    monkeypatch.setattr(intake, "was_signed", is_met)
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        received = await receive(node.store, author.ops, author.stream)
    assert received.taken == len(met) == EXCHANGE_MAX_OPS <= headproof.VERIFIED_MAX
    assert all(met)


async def test_others_get_a_turn_while_signatures_are_verified(tmp_path: Path) -> None:
    author, turns = Author(1), 0
    for number in range(EXCHANGE_MAX_OPS - 1):
        author.memory(f"m{number}")

    async def count(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal turns
        task_status.started()
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node, trio.open_nursery() as nursery:
        await nursery.start(count)
        await receiving._verify_ahead(node.store, author.ops)
        nursery.cancel_scope.cancel()
    assert turns >= EXCHANGE_MAX_OPS // headproof.TURN


@pytest.mark.parametrize("at", [0, 3, 7])
async def test_nothing_is_verified_behind_an_op_that_ends_the_batch(tmp_path: Path, at: int) -> None:
    author = Author(1)
    for number in range(7):
        author.memory(f"m{number}")
    ops = list(author.ops)
    ops[at] = tampered(ops[at], signature=bytes(64))
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        received = await receive(node.store, ops, author.stream)
        assert (received.taken, received.stop and received.stop.reason) == (at, StopReason.FORGED)
        assert headproof.was_signed.cache_info().misses == at + 1
        assert (await receive(node.store, author.ops, author.stream)).taken == len(ops) - at


async def test_a_member_that_signs_its_own_stream_badly_does_not_part_those_who_relay_it(tmp_path: Path) -> None:
    liar = Author(666, "liar")
    for number in range(2 * EXCHANGE_MAX_OPS - 1):
        liar.memory(f"m{number}")
    runs = (liar.ops[:EXCHANGE_MAX_OPS], liar.ops[EXCHANGE_MAX_OPS:])
    spoilt = [[*(tampered(op, signature=bytes(64)) for op in run[1:-1]), run[-1]] for run in runs]
    assert is_signed(liar.signer.public_key, liar.head.chain_hash, spoilt[1][-1].signature)
    async with open_world(tmp_path, 2, writes=2) as world:
        for run, ops in zip(runs, spoilt, strict=True):
            sent = tuple(op_out(op) for op in (run[0], *ops))
            request = ExchangeRequest(protocol=PROTOCOL, node="liar", stream=liar.stream, ops=sent)
            await exchanged(world.nodes["n0"], liar, request)
        await trio.sleep(120)
        for name, node in world.nodes.items():
            assert node.mesh is not None
            (peer,) = node.mesh.peers
            assert (name, peer.state.failures, peer.state.last_error) == (name, 0, "")
            assert node.store.log.vector[liar.stream] == 1


async def test_what_is_on_its_way_is_waited_for_a_moment_and_what_is_far_away_is_not(tmp_path: Path) -> None:
    author = Author(1)
    author.memory("m")
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node, trio.open_nursery() as nursery:
        wanted = {author.stream: 2}
        began = trio.current_time()
        assert not await wait_known(node.store, wanted)
        assert trio.current_time() == began + receiving.CAUSES_WAIT_S
        assert not await wait_known(node.store, {author.stream: EXCHANGE_MAX_OPS + 1})
        assert trio.current_time() == began + receiving.CAUSES_WAIT_S

        async def arrive() -> None:
            await trio.sleep(receiving.CAUSES_WAIT_S / 2)
            await receive(node.store, author.ops, author.stream)

        nursery.start_soon(arrive)
        assert await wait_known(node.store, wanted)
        assert trio.current_time() == began + 1.5 * receiving.CAUSES_WAIT_S
