"""What nodes sign, made by hand: requests in the name of a stream, and answers of peers that a test plays."""

from __future__ import annotations

import httpx

from aimem import service
from aimem.model import Credential, NodeClaim, Principal, StreamId
from aimem.ports import Signer
from aimem.replication import read_request
from aimem.replication.proof import NONCE_BYTES, answer_headers, request_headers, sign_request
from aimem.service import Node
from aimem.wire import ExchangeAnswer, ExchangeRequest
from tests.nodes import principal
from tests.streams import Author

OPERATOR = Principal(agent_id=principal("ops").agent_id, credential=Credential.SOCKET)
PUSH = "/api/v1/sync/push"


def claim_of(author: Author) -> NodeClaim:
    """Who signed."""
    return NodeClaim(node=author.name, key=author.signer.public_key)


async def exchanged(node: Node, author: Author, request: ExchangeRequest) -> ExchangeAnswer:
    """An exchange in the name of a stream's writer, as the door hands it on."""
    claim = NodeClaim(node=request.node, key=author.signer.public_key)
    return await service.exchange(node, OPERATOR, request, claim)


def signed(
    author: Author, body: bytes, to: StreamId | str, *, target: str = PUSH, method: str = "POST", nonce: int = 1,
    certificates: tuple[str, ...] = (),
) -> dict[str, str]:
    """The headers of a request that a stream's writer signed; `body` before it is packed.

    Args:
      certificates: fingerprints of those that it says it shows.
    """
    return request_headers(sign_request(
        author.signer, method, target, body, node=author.name, to=to, nonce=nonce.to_bytes(NONCE_BYTES, "big"),
        certificates=certificates,
    ))


def answered(
    request: httpx.Request, signer: Signer, node: str, content: bytes, status: int = 200, sent: bytes | None = None,
    certificates: tuple[str, ...] = (), **headers: str,
) -> httpx.Response:
    """The signed answer of a peer that a test plays.

    Args:
      certificates: those that it says are its.
      content: what is signed; `sent` what is sent, if that is something else (packed, or a lie).
    """
    asked = read_request(request.headers.get_list)
    assert asked is not None
    proof = answer_headers(signer, asked, status, content, node=node, certificates=certificates)
    # As a network gives it: not read yet.
    stream = httpx.ByteStream(content if sent is None else sent)
    return httpx.Response(status, stream=stream, headers={**proof, **headers})
