"""Proofs of heads outlive the ops that they come from; evidence is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aimem.model import Dot, Evidence, StreamHead
from aimem.replication import examine
from aimem.replication.headproof import is_proven, is_shown
from aimem.store import LogPage, Store, headproofs, inbound, outbound, snapshot, trimming
from tests.heads import head_of, signed_head, told_by
from tests.nodes import InlineThreads, open_store, seeded_chance
from tests.streams import Author


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as opened:
        yield opened


async def trim(store: Store) -> None:
    size = await store.read(trimming.log_size)
    await store.write(trimming.trim, store.log.vector, size, trimming.LogBounds(kept_count=0))


async def unproven(store: Store) -> set[str]:
    """Heads for which there is no proof, or a wrong one."""
    proofs = await store.read(headproofs.proofs_of, store.log.heads.values())
    return {
        stream for stream, head in store.log.heads.items()
        if stream not in proofs or not is_proven(head, proofs[stream])
    }


async def test_each_head_has_a_proof_before_and_after_its_op_left_the_log(store: Store) -> None:
    author = Author(5)
    author.memory("m1")
    await store.write(inbound.take, author.ops, examine)
    assert await unproven(store) == set()
    await trim(store)
    assert (await store.read(trimming.log_size)).count == 0
    assert await unproven(store) == set()
    author.delete("m1")
    await store.write(inbound.take, author.ops[2:], examine)
    assert await unproven(store) == set()
    await trim(store)
    assert await unproven(store) == set()


async def test_a_head_that_a_snapshot_brought_is_proven_by_what_came_with_it(store: Store) -> None:
    author = Author(5)
    head, proof = author.head, told_by(author.ops[0], author.signer).proof
    await store.write(snapshot.adopt_heads, {head.stream: head}, {head.stream: proof}, store.stream)
    assert await store.read(headproofs.proofs_of, [head]) == {head.stream: proof}
    assert await store.read(headproofs.proofs_of, [StreamHead(
        stream=head.stream, seq=head.seq, hlc=head.hlc, chain_hash=bytes(32)
    )]) == {}


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_fork_is_shown_by_two_ops_that_its_writer_signed_and_that_is_remembered(
    store: Store, tmp_path: Path, at: int
) -> None:
    honest, twice = Author(5), Author(5)
    for number in range(3):
        honest.memory(f"m{number}")
    for number in range(at - 1):
        twice.memory(f"m{number}")
    twice.memory("another")
    await store.write(inbound.take, honest.ops, examine)
    received = (await store.write(inbound.take, twice.ops[at:], examine)).value
    assert received.evidence is not None
    assert is_shown(honest.stream, received.evidence)
    assert await store.read(headproofs.load_evidence) == {honest.stream: received.evidence}
    async with open_store(tmp_path / "y.db", threads=InlineThreads(), chance=seeded_chance(2)) as other:
        await other.write(inbound.take, twice.ops, examine)
        received = (await other.write(inbound.take, honest.ops[at + 1 :] or honest.ops[at:], examine)).value
        assert received.evidence is not None
        assert is_shown(honest.stream, received.evidence)


async def test_what_is_known_at_the_start_is_what_was_kept(tmp_path: Path) -> None:
    signer = seeded_chance(7).new_signer()
    one, other = signed_head(signer, 4, 9), signed_head(signer, 4, 9, text="another")
    stream = Author(7).stream
    assert head_of(stream, one).stream == stream
    evidence = Evidence(signed=(one, other))
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(lambda t: headproofs.keep_evidence(t.conn, {stream: evidence}))
        await store.write(lambda t: headproofs.keep_evidence(t.conn, {stream: Evidence()}))
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        assert store.log.evidence == {stream: evidence}


async def test_who_leaves_a_stream_can_say_so_with_its_key_later_on(store: Store) -> None:
    old = store.stream
    assert await store.read(headproofs.word_of, old) is None
    await store.renew()
    word = await store.read(headproofs.word_of, old)
    assert word is not None
    assert is_shown(old, word)
    assert await unproven(store) == set()
    page: LogPage = await store.read(outbound.lacking, {}, 10, 1 << 20)
    assert Dot(old, 1) in {op.dot for op in page.ops}
