"""What a node says of how far streams are known counts only as far as their owners signed it.

A head that is known here needs no proof, so that nodes that know the same send none. Whoever says less than is known
here is believed: it harms nobody but itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec
import trio

from aimem.errors import Code, InvalidRequest
from aimem.model import (
    Attestation,
    Evidence,
    HeadProof,
    StreamHead,
    StreamId,
    Vector,
    attestation_of,
    attested_head,
    closing_words,
    contradict,
    stream_id,
)
from aimem.ports import is_signed
from aimem.replication.counts import HeadCounts
from aimem.store import Store, headproofs
from aimem.wire import ExchangeRequest, OpOut, op_in

PROOFS_MAX: Final = 1024
"""In one exchange. What is unproven for want of room is known as soon as its ops, or a snapshot, come."""
PROVE_MAX: Final = 16
VERIFIED_MAX: Final = 2048
"""Of several batches at once (512 ops each): those of one are still remembered when the judge asks. Each takes half a
KiB."""
TURN: Final = 32
"""Signatures that are verified (146 us each) before others get a turn."""


@lru_cache(maxsize=VERIFIED_MAX)
def was_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """As `is_signed`, remembered: an op's signature is met as the proof of a head, and with the op, from each peer."""
    return is_signed(key, message, signature)


def forged(sentence: str) -> InvalidRequest:
    """What to raise where a signature is wrong: nothing of such a message counts."""
    return InvalidRequest(sentence, code=Code.FORGED)


def is_proven(head: StreamHead, proof: HeadProof) -> bool:
    """Whether the owner of a stream signed this end of it."""
    told = attested_head(head.stream, Attestation(head.seq, head.hlc, proof))
    return told == head and was_signed(proof.key, head.chain_hash, proof.signature)


def is_shown(stream: StreamId, evidence: Evidence) -> bool:
    """Whether a stream is closed beyond doubt: its owner signed that, or two histories."""
    if len(evidence.signed) != _PAIR:
        is_owners = not evidence.signed and stream_id(evidence.key) == stream
        return is_owners and was_signed(evidence.key, closing_words(stream), evidence.closing)
    one, other = evidence.signed
    return contradict(stream, one, other) and all(_is_attested(stream, told) for told in evidence.signed)


_PAIR: Final = 2


def _is_attested(stream: StreamId, told: Attestation) -> bool:
    head = attested_head(stream, told)
    return head is not None and was_signed(told.proof.key, head.chain_hash, told.proof.signature)


def is_news(head: StreamHead, known: StreamHead | None) -> bool:
    """Whether a head is beyond what is known of its stream, or another end of the same length."""
    is_other_end = known is not None and head.seq == known.seq and head.chain_hash != known.chain_hash
    return is_other_end or is_beyond(head, known)


def is_beyond(head: StreamHead, known: StreamHead | None) -> bool:
    """Whether a head is beyond what is known of its stream."""
    return known is None or head.seq > known.seq


async def proven(
    store: Store, counts: HeadCounts, said: Mapping[StreamId, StreamHead], proofs: Mapping[str, HeadProof],
    ops: Iterable[OpOut] = (),
) -> dict[StreamId, HeadProof]:
    """The heads that are news here and that their owners signed.

    Args:
      ops: of the same message: one that is at a head shows it as well as a proof.
    Raises: InvalidRequest(forged) for a proof that is wrong; Unavailable.
    """
    news = [head for stream, head in said.items() if is_news(head, store.log.heads.get(stream))]
    brought = await _brought(store, news, ops) if news else {}
    found: dict[StreamId, HeadProof] = {}
    for at, head in enumerate(news):
        if at % TURN == TURN - 1:
            await trio.lowlevel.checkpoint()
        proof = proofs.get(head.stream)
        if proof is not None and not is_proven(head, proof):
            counts.forged += 1
            raise forged(f"what it says of {head.stream} is not what its owner signed")
        proof = proof or brought.get(head.stream)
        if proof is not None and is_proven(head, proof):
            found[head.stream] = proof
    counts.proven += len(found)
    counts.unproven += sum(head.stream not in found and head.stream not in store.log.closed for head in news)
    return found


async def _brought(store: Store, news: Iterable[StreamHead], ops: Iterable[OpOut]) -> dict[StreamId, HeadProof]:
    wanted = {(head.stream, head.seq) for head in news}
    last = [op_in(sent) for sent in ops if (sent.stream, sent.seq) in wanted]
    keys = await store.read(headproofs.public_keys, {op.dot.stream for op in last}) if last else {}
    found = {}
    for op in last:
        try:
            if op.dot.stream in keys:
                found[op.dot.stream] = attestation_of(op, keys[op.dot.stream]).proof
        except (ValueError, msgspec.MsgspecError):
            continue    # a blank that is none: it is refused when it is to be taken
    return found


def counted(
    store: Store, said: Mapping[StreamId, StreamHead], shown: Collection[StreamId]
) -> dict[StreamId, StreamHead]:
    """A vector as far as it counts: what is news and not shown is cut to what is known here.

    Of this node's own stream nothing is left then: who says more of it, or something else, has not said that it has
    what is known here. Of closed streams a vector says nothing anyway.
    """
    heads: dict[StreamId, StreamHead] = {}
    for stream, head in said.items():
        known = store.log.heads.get(stream)
        if stream in store.log.closed or stream in shown or not is_news(head, known):
            heads[stream] = head
        elif known is not None and stream != store.stream:
            heads[stream] = known
    return heads


async def proofs_for(
    store: Store, heads: Mapping[StreamId, StreamHead], theirs: Mapping[StreamId, StreamHead], ops: Iterable[OpOut],
    request: ExchangeRequest,
) -> dict[str, HeadProof]:
    """What an asker has to be shown of a vector: the heads that are news to it, and those that it wants to see.

    To one that fetches nothing, more of its own stream, or another history of any: what else is news to it counts for
    nothing until its ops are there, and they come with their signatures. Of a closed stream none come: whoever fetches
    is shown that more of it is known here, and joins the rows.
    Raises: Unavailable, Corrupt.
    """
    brought, named = {(op.stream, op.seq) for op in ops}, frozenset(request.prove[:PROVE_MAX])
    is_open = request.wants > 0 or bool(named)
    wanted = [
        head for stream, head in heads.items() if stream not in store.log.closed and (
            (is_news(head, theirs.get(stream)) and not (stream in theirs and (stream, head.seq) in brought)
             and (is_open or _is_doubt(head, theirs.get(stream), request.stream)))
            or (stream in named and head.seq < theirs[stream].seq)
        )
    ]
    closed = [heads[stream] for stream in store.log.closed if stream in heads and request.wants > 0]
    return await _read(store, [*wanted, *(head for head in closed if is_beyond(head, theirs.get(head.stream)))])


def _is_doubt(head: StreamHead, theirs: StreamHead | None, asker: str) -> bool:
    """Whether what is news to an asker says that there are two histories of a stream, or more of its own."""
    return head.stream == asker or (theirs is not None and head.seq == theirs.seq)


async def proofs_of_own(store: Store, stream: StreamId | None, assumed: Vector) -> dict[str, HeadProof]:
    """What a peer has to be shown of the stream that it writes: that more of it is known here than it said itself.

    Raises: Unavailable, Corrupt.
    """
    head = None if stream is None else store.log.heads.get(stream)
    if head is None or not assumed or head.seq <= assumed.get(head.stream, 0) or head.stream in store.log.closed:
        return {}
    return await _read(store, [head])


async def _read(store: Store, heads: list[StreamHead]) -> dict[str, HeadProof]:
    if not heads:
        return {}
    return {str(stream): proof for stream, proof in (
        await store.read(headproofs.proofs_of, heads[:PROOFS_MAX])
    ).items()}
