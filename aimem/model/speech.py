"""What the keys of streams sign beside ops: requests and answers between nodes, and the key that comes after.

Each is a digest of its own domain, whose first byte no op's header has: a signature under one says nothing of another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from aimem.model.ids import StreamId, stream_id

LINE_MAX: Final = 8
"""Keys before its own that a node can name, one endorsed by the other."""
SPOKEN_MAX: Final = 8
"""Certificates that a node can name as those that it may be showing: two, and those that it showed until just now."""
_REQUEST: Final = b"aimem request v2"
_ANSWER: Final = b"aimem answer v2"
_ENDORSEMENT: Final = b"aimem endorsement v2"
PREDECESSOR_MAX_CHARS: Final = 32 + LINE_MAX * (1 + 64 + 1 + 128)
_PREDECESSOR: Final = re.compile(rf"[0-9a-f]{{32}}(?:\.[0-9a-f]{{64}}\.[0-9a-f]{{128}}){{1,{LINE_MAX}}}")

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether a public key signed these bytes: `(key, message, signature)`."""


class Endorsement(Struct, frozen=True):
    """What a key signed for the one that came after it; `key` is the one that signed, 32 raw bytes."""

    key: bytes
    signature: bytes


class NodeClaim(Struct, frozen=True, kw_only=True):
    """Who somebody says it is; the key has signed what it came with.

    Attributes:
      node: its name.
      key: the public key of the stream that it writes, 32 raw bytes.
      line: the keys before this one, the latest first, each of which endorsed the one after it; often not told.
      certificates: fingerprints of what it shows on the connection that it speaks on, signed with the rest: whoever
        hands its words on shows something else.
    """

    node: str
    key: bytes
    line: tuple[Endorsement, ...] = ()
    certificates: tuple[str, ...] = ()

    @property
    def stream(self) -> StreamId:
        """The stream that the key writes."""
        return stream_id(self.key)


class Shown(Struct, frozen=True, kw_only=True):
    """The certificate that the other end of a connection showed.

    Attributes:
      fingerprint: SHA-256 of the certificate, 64 hex digits; None without one.
      names: those that an authority of this mesh vouches for.
    """

    fingerprint: str | None = None
    names: tuple[str, ...] = ()


def request_digest(
    method: str, target: str, *, node: str, to: str, nonce: bytes, body: bytes, certificates: tuple[str, ...] = ()
) -> bytes:
    """What the asker signs: 32 bytes.

    Args:
      target: path and query, as they are sent.
      to: the stream that the asked node is taken to write.
      body: before it is packed.
      certificates: see `NodeClaim`.
    """
    return _digest(
        _REQUEST, method.encode(), target.encode(), node.encode(), to.encode(), nonce, hashlib.sha256(body).digest(),
        ",".join(certificates).encode(),
    )


def answer_digest(
    status: int, *, node: str, nonce: bytes, asked: bytes, body: bytes, certificates: tuple[str, ...] = ()
) -> bytes:
    """What the asked node signs: 32 bytes.

    Args:
      nonce, asked: of the request, and the signature under it: it is the answer to that one and to no other.
    """
    return _digest(
        _ANSWER, str(status).encode(), node.encode(), nonce, asked, hashlib.sha256(body).digest(),
        ",".join(certificates).encode(),
    )


def endorsement_digest(key: bytes) -> bytes:
    """What a key signs of the public key that its node goes on with: 32 bytes."""
    return _digest(_ENDORSEMENT, key)


def predecessor_text(predecessor: StreamId, line: Sequence[Endorsement]) -> str | None:
    """What a stream's opening op says of the stream before it: `STREAM.KEY.SIGNATURE`, all in hex.

    `KEY` is the one that writes STREAM, `SIGNATURE` what it signed for the new key. A key in between, under which no
    stream was ever opened, follows with what it signed, `.KEY.SIGNATURE`; the last one signed for the new key.

    Args:
      line: the keys before the new one, the latest first.
    Returns: None if none of these is the predecessor's: nobody would believe it.
    """
    for count, link in enumerate(line[:LINE_MAX], start=1):
        if stream_id(link.key) == predecessor:
            links = (f"{link.key.hex()}.{link.signature.hex()}" for link in reversed(line[:count]))
            return ".".join((predecessor, *links))
    return None


def read_predecessor(text: str, key: bytes, verify: Verify) -> StreamId | None:
    """The stream before another one, if its key signed for that one's; else None, whatever the text says.

    Args:
      text: as `predecessor_text` writes it; anything else names nobody.
      key: the public key of the stream that says so.
    """
    if _PREDECESSOR.fullmatch(text) is None:
        return None
    stream, *rest = text.split(".")
    signers = [bytes.fromhex(one) for one in rest[::2]]
    if stream_id(signers[0]) != stream:
        return None
    links = zip(signers, [*signers[1:], key], rest[1::2], strict=True)
    is_sound = all(verify(one, endorsement_digest(after), bytes.fromhex(signed)) for one, after, signed in links)
    return StreamId(stream) if is_sound else None


def _digest(*parts: bytes) -> bytes:
    # With its length before each part, no two lists of parts run together to the same bytes.
    return hashlib.sha256(parts[0] + b"".join(len(part).to_bytes(4, "big") + part for part in parts[1:])).digest()
