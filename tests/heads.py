"""Heads and proofs made by hand: what the owner of a stream signs, and what others would like it to have signed."""

from __future__ import annotations

import hashlib

import msgspec

from aimem.model import Attestation, HeadProof, Op, Stamp, StreamHead, StreamId, attestation_of, stream_id
from aimem.model.op import link_hash
from aimem.ports import Signer
from aimem.store import Store
from aimem.store.identity import Sidecar, sidecar_path
from tests.nodes import seeded_chance


def signed_head(signer: Signer, seq: int, hlc: int, *, text: str = "", previous: bytes = bytes(32)) -> Attestation:
    """An op that never was, signed by its stream's owner; other texts make other ops."""
    stamp, body = Stamp(hlc, stream_id(signer.public_key)), hashlib.sha256(text.encode()).digest()
    signature = signer.sign(link_hash(stamp, seq, "store", previous, body))
    return Attestation(seq, hlc, HeadProof("store", previous, body, signature, signer.public_key))


def head_of(stream: StreamId, told: Attestation) -> StreamHead:
    """The head that it is about."""
    chained = link_hash(Stamp(told.hlc, stream), told.seq, told.proof.kind, told.proof.previous, told.proof.body)
    return StreamHead(stream=stream, seq=told.seq, hlc=told.hlc, chain_hash=chained)


def told_by(op: Op, signer: Signer) -> Attestation:
    """What an op attests."""
    return attestation_of(op, signer.public_key)


def key_of(store: Store) -> Signer:
    """The key with which a node signs."""
    sidecar = msgspec.json.decode(sidecar_path(store.settings.db).read_bytes(), type=Sidecar)
    return seeded_chance(0).load_signer(bytes.fromhex(sidecar.private_key))
