"""The road on which ops of other nodes come in: their signatures are verified before the writer is held up by them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import trio

from aimem.model import Op, StreamId, Vector, chain_hash, dominates
from aimem.replication.headproof import TURN, was_signed
from aimem.replication.intake import examine, opening_key
from aimem.replication.peer import beyond
from aimem.store import Received, Store, headproofs, inbound
from aimem.wire import EXCHANGE_MAX_OPS

CAUSES_WAIT_S: Final = 0.05
"""What came to the asker is on its way to this node as well, from whoever wrote it."""
FEW: Final = 4
"""Ops whose signatures (146 us each) are verified within the transaction: asking for the keys first takes as long."""


async def receive(store: Store, ops: Sequence[Op], writer: StreamId) -> Received:
    """Take a batch that the writer of a stream handed over, as far as `examine` lets it in.

    Raises: Unavailable, Corrupt.
    """
    if len(ops) > FEW:
        await _verify_ahead(store, ops)
    received: Received = (await store.write(inbound.take, ops, partial(examine, writer=writer))).value
    return received


async def wait_known(store: Store, wanted: Vector) -> bool:
    """Wait a moment for what an asker takes this node to know, as it may be on its way.

    Returns: whether it is known.
    """
    if beyond(store.log.vector, wanted) > EXCHANGE_MAX_OPS:
        return False
    with trio.move_on_after(CAUSES_WAIT_S):
        await store.log.wait_known(wanted)
    return dominates(store.log.vector, wanted)


async def _verify_ahead(store: Store, ops: Sequence[Op]) -> None:
    """Verify what the judge will ask about, while others get a turn: it decides, and finds the signatures remembered.

    Nothing behind an op that ends the batch by what is seen here: a gap, or a signature that is wrong.
    """
    known = dict(store.log.vector)
    news = [op for op in ops if op.dot.seq > known.get(op.dot.stream, 0)]
    keys = await store.read(headproofs.public_keys, {op.dot.stream for op in news}) if news else {}
    for at, op in enumerate(news, 1):
        stream, seq = op.dot.stream, op.dot.seq
        key = keys.get(stream) or (opening_key(op) if seq == 1 else None)
        if key is None or seq > known.get(stream, 0) + 1 or not is_signed_op(op, key):
            return
        keys[stream], known[stream] = key, max(seq, known.get(stream, 0))
        if at % TURN == 0:
            await trio.lowlevel.checkpoint()


def is_signed_op(op: Op, key: bytes) -> bool:
    """Whether the owner of a key signed an op; one that is no op nobody did."""
    try:
        chained = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)
    except (msgspec.MsgspecError, ValueError):
        return False    # a blank that is none
    return was_signed(key, chained, op.signature)
