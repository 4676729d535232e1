"""What shows that the owner of a stream signed its end, without the op itself; and that it signed two histories."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.model.causality import HLC_MAX, Stamp
from aimem.model.ids import StreamId, stream_id
from aimem.model.op import Op, StreamHead, body_hash, link_hash

_HASH_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_CLOSING: Final = b"aimem: the owner of this stream closes it: "


class HeadProof(Struct, array_like=True, frozen=True, gc=False):
    """The pieces of an op that its chain hash is made of, with stream, number and clock, and the signature under it.

    Attributes:
      previous, body: chain hash of the op before, and `body_hash` of its entries; 32 bytes each.
      signature: of the stream's owner under the chain hash, 64 bytes; `key` is the owner's public key, 32 bytes.
    """

    kind: str
    previous: bytes
    body: bytes
    signature: bytes
    key: bytes


class Attestation(Struct, array_like=True, frozen=True, gc=False):
    """An op of a stream as its owner signed it: its number, its clock, and the proof."""

    seq: int
    hlc: int
    proof: HeadProof


class Evidence(Struct, array_like=True, frozen=True, gc=False):
    """Why a stream is closed: two signed ops that one history cannot hold, or the owner's signed word that it closes.

    Attributes:
      signed: two ops with one number and different hashes, or one that does not follow the other; none with a word.
      key, closing: the owner's key, and its signature under `closing_words`; empty with two ops.
    """

    signed: tuple[Attestation, ...] = ()
    key: bytes = b""
    closing: bytes = b""


def closing_words(stream: StreamId) -> bytes:
    """What the owner of a stream signs to close it."""
    return _CLOSING + stream.encode()


def attestation_of(op: Op, key: bytes) -> Attestation:
    """What an op attests, by the key of its stream.

    Raises: ValueError, msgspec.MsgspecError for a blank that is none.
    """
    proof = HeadProof(kind=op.kind, previous=op.previous, body=body_hash(op.entries), signature=op.signature, key=key)
    return Attestation(op.dot.seq, op.stamp.hlc, proof)


def attested_head(stream: StreamId, told: Attestation) -> StreamHead | None:
    """The head that an attestation is about; None for what is of no op of this stream, whoever signed it.

    The signature is not looked at.
    """
    proof = told.proof
    is_sized = len(proof.previous) == len(proof.body) == _HASH_BYTES and len(proof.signature) == _SIGNATURE_BYTES
    if not (is_sized and 0 < told.seq < 1 << 63 and 0 < told.hlc <= HLC_MAX and len(proof.kind) <= _KIND_CHARS):
        return None
    try:
        if stream_id(proof.key) != stream:
            return None
        chained = link_hash(Stamp(told.hlc, stream), told.seq, proof.kind, proof.previous, proof.body)
    except ValueError:
        return None     # half of a surrogate pair
    return StreamHead(stream=stream, seq=told.seq, hlc=told.hlc, chain_hash=chained)


_KIND_CHARS: Final = 64


def contradict(stream: StreamId, one: Attestation, other: Attestation) -> bool:
    """Whether no history of a stream can hold both: two ops of one number, or one that does not follow the other."""
    earlier, later = sorted((one, other), key=lambda told: told.seq)
    first, second = attested_head(stream, earlier), attested_head(stream, later)
    if first is None or second is None:
        return False
    if first.seq == second.seq:
        return first.chain_hash != second.chain_hash
    return second.seq == first.seq + 1 and later.proof.previous != first.chain_hash
