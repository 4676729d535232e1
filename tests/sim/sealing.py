"""What stands under the words of a liar: its own signature, which nobody can hold against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aimem.errors import InvalidRequest
from aimem.model import Endorsement
from aimem.ports import Signer
from aimem.replication.proof import (
    CERTIFICATES,
    RequestProof,
    answer_headers,
    proven_answer,
    read_request,
    request_headers,
    sign_request,
)
from tests.sim.lies import Headers, plain_of
from tests.sim.seals import Seals

KEPT: Final = 64
"""Requests that are on their way at once, at most."""
_PROOF: Final = b"x-aimem-"


class Sealing:
    """Signs what a liar sends, and makes of the answers what its own node expects, which asked something else."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals
        self._sent: dict[bytes, tuple[RequestProof, RequestProof]] = {}

    def request(
        self, signer: Signer, method: str, target: str, headers: Headers, body: bytes, *, node: str,
        line: tuple[Endorsement, ...] | None = None,
    ) -> Headers:
        """The headers of a request that was changed."""
        asked = read_request(_values(headers))
        if asked is None:
            return headers
        kept = asked.claim.line if line is None else line
        sent = sign_request(
            signer, method, target, body, node=node, to=asked.to, nonce=asked.nonce, line=kept,
            certificates=asked.claim.certificates,
        )
        if len(self._sent) >= KEPT:
            self._sent.pop(next(iter(self._sent)))
        self._sent[asked.nonce] = asked, sent
        return _with(headers, request_headers(sent))

    def answer(
        self, signer: Signer, asked: Headers, status: int, headers: Headers, body: bytes, *, node: str
    ) -> Headers:
        """The headers of an answer that was changed."""
        proof = read_request(_values(asked))
        if proof is None or not any(name.lower().startswith(_PROOF) for name, _ in headers):
            return headers
        own = tuple(one for text in _values(headers)(CERTIFICATES) for one in text.split(","))
        return _with(headers, answer_headers(signer, proof, status, body, node=node, certificates=own))

    def taken(self, headers: Headers, status: int, told: Headers, body: bytes) -> Headers:
        """The headers of an answer to a request that was changed, as if it were to the one that its node made.

        Args:
          headers: of that request.
        """
        asked = read_request(_values(headers))
        ours, sent = self._sent.pop(asked.nonce, (None, None)) if asked is not None else (None, None)
        plain = plain_of(told, body)
        if ours is None or sent is None or plain is None:
            return told
        try:
            claim = proven_answer(_values(told), sent, status, plain)
        except InvalidRequest:
            return told
        if claim is None:
            return told
        signer = self._seals.signers[claim.stream]
        return _with(told, answer_headers(
            signer, ours, status, plain, node=claim.node, line=claim.line, certificates=claim.certificates
        ))


def _values(headers: Headers) -> Callable[[str], list[str]]:
    return lambda name: [value.decode() for key, value in headers if key.lower() == name.lower().encode()]


def _with(headers: Headers, proof: dict[str, str]) -> Headers:
    rest = tuple((name, value) for name, value in headers if not name.lower().startswith(_PROOF))
    return rest + tuple((name.lower().encode(), value.encode()) for name, value in proof.items())
