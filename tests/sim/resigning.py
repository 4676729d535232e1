"""The liar's own signature under what it says instead: it has its key, and nobody else's."""

from __future__ import annotations

import gzip

from aimem.ports import Signer
from aimem.replication.proof import PROOF, TO, answer_headers, read_request, request_headers, sign_request
from tests.sim.lies import Headers

_CODING = b"content-encoding"


def sign_asked(signer: Signer, method: str, target: str, headers: Headers, body: bytes) -> Headers:
    """The headers of a request whose body is another now."""
    proof = read_request(lambda name: _values(headers, name))
    if proof is None:
        return headers
    fresh = sign_request(
        signer, method, target, _plain(headers, body), node=proof.claim.node, to=proof.to, nonce=proof.nonce,
        line=proof.claim.line,
    )
    return _with(headers, request_headers(fresh))


def sign_answered(signer: Signer, node: str, asked: Headers, status: int, headers: Headers, body: bytes) -> Headers:
    """The headers of an answer whose body is another now."""
    proof = read_request(lambda name: _values(asked, name))
    if proof is None or not _values(headers, PROOF):
        return headers
    return _with(headers, answer_headers(signer, proof, status, _plain(headers, body), node=node))


def _values(headers: Headers, name: str) -> list[str]:
    return [value.decode("latin-1") for header, value in headers if header.lower() == name.lower().encode()]


def _with(headers: Headers, proof: dict[str, str]) -> Headers:
    """Other headers beside a proof; an answer names nobody that it is for."""
    names = {name.lower().encode() for name in (*proof, TO)}
    kept = tuple((name, value) for name, value in headers if name.lower() not in names)
    return (*kept, *((name.lower().encode(), value.encode()) for name, value in proof.items()))


def _plain(headers: Headers, body: bytes) -> bytes:
    return gzip.decompress(body) if (_CODING, b"gzip") in headers else body
