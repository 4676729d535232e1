"""Proofs that whoever asks, or answers, holds the key of the stream that it writes; how they travel in headers. Pure.

An answer is bound to one request and a request to one node, so that neither can be used twice to another end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final
from urllib.parse import quote, unquote

from msgspec import Struct

from aimem.errors import Code, InvalidRequest
from aimem.model import (
    LINE_MAX,
    SPOKEN_MAX,
    Endorsement,
    NodeClaim,
    StreamId,
    answer_digest,
    endorsement_digest,
    request_digest,
    stream_id,
)
from aimem.ports import Signer, is_signed

NODE: Final = "X-Aimem-Node"
KEY: Final = "X-Aimem-Key"
TO: Final = "X-Aimem-To"
NONCE: Final = "X-Aimem-Nonce"
PROOF: Final = "X-Aimem-Proof"
LINE: Final = "X-Aimem-Line"
CERTIFICATES: Final = "X-Aimem-Certificates"
NAME_MAX_CHARS: Final = 128
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16
SIGNATURE_BYTES: Final = 64
FINGERPRINT_BYTES: Final = 32
_STREAM_CHARS: Final = 32
_NAME_SENT_MAX_CHARS: Final = 12 * NAME_MAX_CHARS      # four bytes a character, three signs a byte

Values = Callable[[str], Sequence[str]]
"""All values that a header was given."""


class RequestProof(Struct, frozen=True, kw_only=True):
    """What stands under a request.

    Attributes:
      to: the stream that the asked node is taken to write; empty if the asker does not know.
    """

    claim: NodeClaim
    to: str
    nonce: bytes
    signature: bytes


def sign_request(
    signer: Signer, method: str, target: str, body: bytes, *, node: str, to: str, nonce: bytes,
    line: tuple[Endorsement, ...] = (), certificates: tuple[str, ...] = (),
) -> RequestProof:
    """Sign a request; `body` before it is packed."""
    digest = request_digest(method, target, node=node, to=to, nonce=nonce, body=body, certificates=certificates)
    claim = NodeClaim(node=node, key=signer.public_key, line=line, certificates=certificates)
    return RequestProof(claim=claim, to=to, nonce=nonce, signature=signer.sign(digest))


def is_sound_request(proof: RequestProof, method: str, target: str, body: bytes) -> bool:
    """Whether the holder of the key asked just this."""
    claim = proof.claim
    digest = request_digest(
        method, target, node=claim.node, to=proof.to, nonce=proof.nonce, body=body, certificates=claim.certificates
    )
    return is_signed(claim.key, digest, proof.signature)


def request_headers(proof: RequestProof) -> dict[str, str]:
    """A proof as it travels."""
    return {
        **_claim_headers(proof.claim), TO: proof.to, NONCE: proof.nonce.hex(), PROOF: proof.signature.hex(),
    }


def answer_headers(
    signer: Signer, asked: RequestProof, status: int, body: bytes, *, node: str, line: tuple[Endorsement, ...] = (),
    certificates: tuple[str, ...] = (),
) -> dict[str, str]:
    """What stands under an answer; `body` before it is packed."""
    digest = answer_digest(
        status, node=node, nonce=asked.nonce, asked=asked.signature, body=body, certificates=certificates
    )
    claim = NodeClaim(node=node, key=signer.public_key, line=line, certificates=certificates)
    return {**_claim_headers(claim), PROOF: signer.sign(digest).hex()}


def read_request(values: Values) -> RequestProof | None:
    """The proof under a request; None if there is none. Raises: InvalidRequest naming a header that is no part."""
    if not any(values(name) for name in (NODE, KEY, TO, NONCE, PROOF, LINE, CERTIFICATES)):
        return None
    to = _single(values, TO)
    if to and not (len(to) == _STREAM_CHARS and _is_hex(to)):
        raise _malformed(TO)
    return RequestProof(
        claim=_read_claim(values), to=to, nonce=_read_bytes(values, NONCE, NONCE_BYTES),
        signature=_read_bytes(values, PROOF, SIGNATURE_BYTES),
    )


def proven_answer(values: Values, asked: RequestProof, status: int, body: bytes) -> NodeClaim | None:
    """Who gave an answer to a request; None if it is not signed.

    Raises: InvalidRequest for headers that are no proof, and for a signature of something else.
    """
    if not values(PROOF):
        return None
    claim = _read_claim(values)
    digest = answer_digest(
        status, node=claim.node, nonce=asked.nonce, asked=asked.signature, body=body, certificates=claim.certificates
    )
    if not is_signed(claim.key, digest, _read_bytes(values, PROOF, SIGNATURE_BYTES)):
        raise InvalidRequest("its signature is of something else", code=Code.SCHEMA_MISMATCH, field=PROOF)
    return claim


def descends(claim: NodeClaim, known: Collection[str]) -> bool:
    """Whether one of some keys (hex) endorsed the key of a claim, or one that endorsed it, and so on."""
    key = claim.key
    for link in claim.line[:LINE_MAX]:
        if not is_signed(link.key, endorsement_digest(key), link.signature):
            return False
        if link.key.hex() in known:
            return True
        key = link.key
    return False


def own_keys(key: bytes, line: Sequence[Endorsement]) -> frozenset[str]:
    """The key of a node and those that it had before, in hex."""
    return frozenset({key.hex(), *(link.key.hex() for link in line)})


def stream_of(key: str) -> StreamId:
    """The stream that the holder of a key (hex) writes."""
    return stream_id(bytes.fromhex(key))


def _claim_headers(claim: NodeClaim) -> dict[str, str]:
    headers = {NODE: quote(claim.node, safe=""), KEY: claim.key.hex()}
    if claim.line:
        headers[LINE] = ",".join(f"{link.key.hex()}.{link.signature.hex()}" for link in claim.line)
    if claim.certificates:
        headers[CERTIFICATES] = ",".join(claim.certificates)
    return headers


def _read_claim(values: Values) -> NodeClaim:
    name = _single(values, NODE)
    try:
        node = unquote(name, errors="strict") if len(name) <= _NAME_SENT_MAX_CHARS else ""
    except UnicodeDecodeError:
        node = ""
    if not (0 < len(node) <= NAME_MAX_CHARS and node.isprintable()):    # else it could play with a person's terminal
        raise _malformed(NODE)
    return NodeClaim(
        node=node, key=_read_bytes(values, KEY, KEY_BYTES), line=_read_line(values),
        certificates=_read_certificates(values),
    )


def _read_certificates(values: Values) -> tuple[str, ...]:
    text = _single(values, CERTIFICATES) if values(CERTIFICATES) else ""
    named = tuple(text.split(",")) if text else ()
    if len(named) > SPOKEN_MAX or not all(len(one) == 2 * FINGERPRINT_BYTES and _is_hex(one) for one in named):
        raise _malformed(CERTIFICATES)
    return named


def _read_line(values: Values) -> tuple[Endorsement, ...]:
    text = _single(values, LINE) if values(LINE) else ""
    links = text.split(",") if text else []
    if len(links) > LINE_MAX:
        raise _malformed(LINE)
    return tuple(_read_link(link) for link in links)


def _read_link(text: str) -> Endorsement:
    key, _, signature = text.partition(".")
    if not (len(key) == 2 * KEY_BYTES and len(signature) == 2 * SIGNATURE_BYTES and _is_hex(key + signature)):
        raise _malformed(LINE)
    return Endorsement(bytes.fromhex(key), bytes.fromhex(signature))


def _read_bytes(values: Values, header: str, size_bytes: int) -> bytes:
    text = _single(values, header)
    if len(text) != 2 * size_bytes or not _is_hex(text):
        raise _malformed(header)
    return bytes.fromhex(text)


def _single(values: Values, header: str) -> str:
    found = values(header)
    if len(found) != 1:
        raise _malformed(header)
    return found[0].strip()


_HEX: Final = frozenset("0123456789abcdef")


def _is_hex(text: str) -> bool:
    return _HEX.issuperset(text)


def _malformed(header: str) -> InvalidRequest:
    return InvalidRequest(
        f"the header {header} is no part of a node's proof: it is given once, in the form of ai-memory-mesh(7)",
        code=Code.SCHEMA_MISMATCH, field=header,
    )
