"""What nodes sign: requests are checked as soon as their body is there, and their answers are signed in turn.

Whoever signs is judged on every route, so that nothing is told to, or taken from, somebody who is not who it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # Any: an ASGI scope is an open mapping

from msgspec.structs import replace

from aimem.api.guard import FINGERPRINT_KEY, NAMES_KEY, SHOWS_KEY, TLS_EXTENSION
from aimem.api.incoming import Incoming
from aimem.api.refusals import Reply
from aimem.model import NodeClaim, Shown
from aimem.replication import RequestProof, read_request
from aimem.service import Node, admit_claim, refuse_wrong_proof


class Hearing:
    """One request that a node may have signed.

    Attributes:
      asked: the proof under it, once it holds: then the answer is signed, too, whatever it says.
    """

    def __init__(self, node: Node) -> None:
        self.asked: RequestProof | None = None
        self._node = node
        self._by: str | None = None

    async def heard(self, incoming: Incoming, body: bytes) -> NodeClaim | None:
        """Who signed a request, if somebody did; `body` as it was before it was packed.

        Raises: InvalidRequest for headers that are no proof; Denied if it is wrong, or its signer is not believed;
          Conflict(wrong_node) if it is meant for another node; Unavailable, Corrupt.
        """
        proof = read_request(incoming.values_of)
        if proof is None:
            return None
        refuse_wrong_proof(self._node, proof, incoming.method, _target(incoming), body)
        self.asked, self._by = proof, _tls_of(incoming.scope).get(SHOWS_KEY)
        await admit_claim(self._node, proof, shown_in(incoming.scope))
        return proof.claim

    def signed(self, reply: Reply) -> Reply:
        """The answer, signed if the request was."""
        if self.asked is None:
            return reply
        headers = self._node.trust.answer(self.asked, reply.status, reply.content, self._by)
        return replace(reply, headers=(*reply.headers, *headers.items()))


def shown_in(scope: Mapping[str, Any]) -> Shown:
    """The certificate that a client showed, by the connection layer's word."""
    tls = _tls_of(scope)
    return Shown(fingerprint=tls.get(FINGERPRINT_KEY), names=tuple(tls.get(NAMES_KEY, ())))


def _tls_of(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    return (scope.get("extensions") or {}).get(TLS_EXTENSION) or {}


def _target(incoming: Incoming) -> str:
    query = incoming.query_string.decode("ascii", "replace")
    return f"{incoming.path}?{query}" if query else incoming.path
