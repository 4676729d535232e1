"""What a node copies from another beside the log: its state, to join or to compare with, and vectors of texts."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from aimem.errors import Code, InvalidRequest
from aimem.model import Cell, FieldValue, HeadProof, ObjectState, StreamId, parse_stamp
from aimem.wire.codec import decode_body, encode
from aimem.wire.mesh import SYNC_BODY_MAX_BYTES, HeadOut, OpOut, stream_in
from aimem.wire.packing import unzipped

SNAPSHOT_PATH: Final = "/api/v1/sync/snapshot"
SNAPSHOT_OBJECTS: Final = 1000
SNAPSHOT_BYTES: Final = 1_048_576
"""Bounds of one page; a single object may be larger."""
SNAPSHOT_FORMAT: Final = 1
CHUNKS_MAX: Final = 8_192
"""Of one snapshot."""
CHUNK_MAX_BYTES: Final = SYNC_BODY_MAX_BYTES // 2
"""Of a chunk as it is fetched; as base64 it still fits into an answer."""
CHUNK_MAX_OBJECTS: Final = 10_000
ID_CHARS: Final = 64
CHUNK_PLAIN_MAX_BYTES: Final = 4 * SYNC_BODY_MAX_BYTES
CLOSED_MAX: Final = 64
"""Closed streams that a message names, and nodes that it names for each of them."""
SPAN_OBJECTS: Final = 2048
"""Objects whose digests are compared at once, at most."""
_HASH_BYTES: Final = 16
_LEVEL: Final = 1

EMBEDDINGS_TEXTS: Final = 256
EMBEDDINGS_BYTES: Final = 1_048_576
"""Bounds of what one answer holds of vectors; those of a single text come whole."""


class ObjectOut(Struct, array_like=True, frozen=True):
    """One object of a snapshot: `[kind, key, born, author, dead, {field: [stamp, value]}]`."""

    kind: str
    key: str
    born: str | None
    author: str | None
    dead: str | None
    fields: dict[str, tuple[str, FieldValue]]


class SnapshotRequest(Struct, kw_only=True):
    """Ask for a page of a node's whole state; `after` is the place that the page before told, None for the first.

    Attributes:
      named: ask for these objects (kind, key) instead, 256 at most.
      begin: ask for the manifest of a snapshot instead, which covers this vector if the node knows as much.
      snapshot: ask for chunk `chunk` of this one instead; with `begin` the one to go on with, if it is still there or
        under way.
      anew: with `begin`: no snapshot that was made before this request, but for that one.
    """

    protocol: int
    after: str | None = None
    named: tuple[tuple[str, str], ...] = ()
    begin: dict[str, int] | None = None
    snapshot: str = ""
    chunk: int = 0
    anew: bool = False


class ChunkOut(Struct, frozen=True, kw_only=True):
    """One chunk of a snapshot.

    Attributes:
      bytes, plain_bytes: its size as it is fetched, and unpacked.
      objects, held: how many of both are in it.
      sha256: of the bytes as they are fetched; 64 hex digits.
      digest: of its objects: see ai-memory-glossary(7).
    """

    bytes: int
    plain_bytes: int
    objects: int
    held: int
    sha256: str
    digest: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a snapshot consists of; all of one moment.

    Attributes:
      format, schema, digest_format: of the chunks, of the database that it was made of, and of the digests.
      cluster: the id of the mesh; empty while the node knows none.
      node, stream: who made it.
      id: under which its chunks are fetched.
      vector, proofs: what it covers, and that the owners of the streams signed these heads.
      objects, held: in all chunks.
      digest: of all objects: the sum of the chunks'.
    """

    format: int
    protocol: int
    schema: int
    digest_format: int
    cluster: str
    node: str
    stream: str
    id: str
    vector: dict[str, HeadOut]
    proofs: dict[str, HeadProof]
    objects: int
    held: int
    digest: str
    chunks: tuple[ChunkOut, ...]


class ChunkBody(Struct, frozen=True, kw_only=True):
    """What is in a chunk: objects, and behind all of them the ops that its node has and cannot apply."""

    objects: tuple[ObjectOut, ...] = ()
    held: tuple[OpOut, ...] = ()


def pack_chunk(body: ChunkBody, digest: str) -> tuple[bytes, ChunkOut]:
    """A chunk as it is fetched, and what the manifest says of it."""
    plain = encode(body)
    data = gzip.compress(plain, _LEVEL, mtime=0)
    return data, ChunkOut(
        bytes=len(data), plain_bytes=len(plain), objects=len(body.objects), held=len(body.held),
        sha256=hashlib.sha256(data).hexdigest(), digest=digest,
    )


def unpack_chunk(data: bytes, said: ChunkOut) -> ChunkBody:
    """Inverse of pack_chunk, of which no more than the manifest says is ever made.

    Raises: InvalidRequest(schema_mismatch) for what is not just what the manifest says; `reason` is `truncated` or
      `altered`.
    """
    if len(data) != said.bytes:
        raise _bad_chunk(f"it has {len(data)} bytes, not {said.bytes}", "truncated")
    if hashlib.sha256(data).hexdigest() != said.sha256:
        raise _bad_chunk("its hash is another", "altered")
    try:
        plain = unzipped(data, said.plain_bytes)
        body = decode_body(ChunkBody, plain)
    except InvalidRequest as error:
        raise _bad_chunk(error.message, "altered") from None
    if (len(plain), len(body.objects), len(body.held)) != (said.plain_bytes, said.objects, said.held):
        raise _bad_chunk("it holds more or less than the manifest says", "altered")
    return body


def _bad_chunk(why: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"a chunk is not what its manifest says: {why}", code=Code.SCHEMA_MISMATCH, reason=reason)


class SnapshotAnswer(Struct, kw_only=True):
    """A page; `vector` is what the snapshot covers once all pages are joined, and comes with the first.

    Attributes:
      proofs: that their owners signed the heads in `vector`, of as many as this node can show.
      objects: of named ones the first ones in their order, those too of which nothing is known.
      ended: which of the named are absent because a memory that they hang on is dead: positions in `objects`.
      held: with named ones: hash of the dots that the node that answers has and cannot apply; empty for none.
      manifest: where a snapshot was to begin; making: which one is to be asked for again, as it is not there yet.
      chunk: one chunk: a ChunkBody as JSON, gzip.
    """

    protocol: int
    objects: tuple[ObjectOut, ...]
    after: str | None = None
    vector: dict[str, HeadOut] = field(default_factory=dict)
    proofs: dict[str, HeadProof] = field(default_factory=dict)
    ended: tuple[int, ...] = ()
    held: str = ""
    manifest: Manifest | None = None
    making: str = ""
    chunk: bytes = b""


class TextVectors(Struct, array_like=True, frozen=True):
    """The vectors of a text, little-endian float16, chunk by chunk: `[hash, [vector]]`; none if none can be made."""

    hash: bytes
    vectors: tuple[bytes, ...]


class EmbeddingsRequest(Struct, kw_only=True):
    """Ask for the vectors that a model made of some texts, by the hashes of the texts."""

    protocol: int
    model: str
    hashes: tuple[bytes, ...]


class EmbeddingsAnswer(Struct, kw_only=True):
    """What there is of them.

    Attributes:
      model: of the node that answers; if it is another, it has none of them.
      missing: hashes of texts without vectors of that model; what is neither here nor found did not fit.
    """

    protocol: int
    model: str
    found: tuple[TextVectors, ...]
    missing: tuple[bytes, ...]


def object_out(kind: str, key: str, state: ObjectState) -> ObjectOut:
    """An object in wire form."""
    return ObjectOut(
        kind=kind, key=key, born=None if state.born is None else state.born.text(), author=state.author,
        dead=None if state.dead is None else state.dead.text(),
        fields={name: (cell.stamp.text(), cell.value) for name, cell in state.fields.items()},
    )


def object_in(sent: ObjectOut) -> ObjectState:
    """An object's state from its wire form. Raises: InvalidRequest(schema_mismatch)."""
    try:
        return ObjectState(
            born=None if sent.born is None else parse_stamp(sent.born), author=sent.author,
            dead=None if sent.dead is None else parse_stamp(sent.dead),
            fields={name: Cell(parse_stamp(stamp), value) for name, (stamp, value) in sent.fields.items()},
        )
    except ValueError:
        raise InvalidRequest(
            f"{sent.kind} {sent.key[:80]!r} holds what is no stamp", code=Code.SCHEMA_MISMATCH
        ) from None


class TermOut(Struct, array_like=True, frozen=True):
    """What one row adds to a digest: `[kind or "tombstones", key, hash]`."""

    table: str
    key: tuple[str, ...]
    hash: bytes


class DigestRequest(Struct, kw_only=True, frozen=True):
    """Ask for the digest of a range of keys.

    Attributes:
      format: of digests; nodes compare only what they compute in one way.
      after, until: where the range begins and ends; None for the beginning and the end of all.
      digest: the asker's own of that range: where it is equal, the answer lists no objects.
    """

    protocol: int
    format: int
    after: str | None = None
    until: str | None = None
    digest: str = ""


class DigestAnswer(Struct, kw_only=True, frozen=True):
    """The digest of a range.

    Attributes:
      until: where it ends here: earlier than was asked if it holds more than fits into one answer.
      objects: what the range consists of, if the asker's digest of just this range is another.
    """

    protocol: int
    digest: str
    until: str | None = None
    objects: tuple[TermOut, ...] = ()


class VerifyRequest(Struct, kw_only=True):
    """Compare with a peer, for a second or two.

    Attributes:
      peer: its address, as it is configured.
      after: where the answer before ended; None for the beginning.
      repair: whether this node joins what the peer has and it lost.
    """

    peer: str
    after: str | None = None
    repair: bool = False


class DifferOut(Struct, kw_only=True):
    """An object in which two nodes differ although both know the same writes.

    Attributes:
      lost: which of them lost something: `here`, `there`, `both`; or `unclear` where two values stand under one stamp.
    """

    kind: str
    key: str
    lost: str


class VerifyAnswer(Struct, kw_only=True):
    """What a comparison found so far.

    Attributes:
      after: where to go on; None at the end.
      total: objects here, told with the first answer.
      compared: objects here that were looked at.
      differing: of them, and of the peer's; the first ones are `objects`.
      pending: objects that differ by writes of which one of the two does not know yet.
      repaired: objects that changed here.
      left: of the differing ones, those that still do: what the peer lost it has to ask for itself.
      undecided: objects here of which nothing tells which of two values is right.
    """

    url: str
    node: str
    after: str | None = None
    total: int = 0
    compared: int = 0
    differing: int = 0
    pending: int = 0
    repaired: int = 0
    left: int = 0
    undecided: int = 0
    objects: tuple[DifferOut, ...] = ()


class VerifiedOut(Struct, kw_only=True):
    """What the whole comparison with one peer came to: sums of the answers.

    Attributes:
      verdict: `equal`; `differs`; `repaired` (it differed, and no longer does); `behind` (some objects differ by writes
        that one of both does not know yet: ask again when quiet); `unreachable` or `untrusted`, and then `reason` says
        why.
      objects: the first ones that differ.
    """

    url: str
    node: str
    verdict: str
    compared: int = 0
    differing: int = 0
    pending: int = 0
    repaired: int = 0
    left: int = 0
    undecided: int = 0
    reason: str = ""
    objects: list[DifferOut] = field(default_factory=list)


def term_hash(sent: TermOut) -> bytes:
    """The hash of a term. Raises: InvalidRequest(schema_mismatch)."""
    if len(sent.hash) != _HASH_BYTES:
        raise InvalidRequest(f"the hash of an object has {_HASH_BYTES} bytes", code=Code.SCHEMA_MISMATCH)
    return sent.hash


def closed_in(sent: Mapping[str, tuple[str, ...]]) -> dict[StreamId, frozenset[StreamId]]:
    """Closed streams from their wire form. Raises: InvalidRequest(schema_mismatch)."""
    if len(sent) > CLOSED_MAX or any(len(nodes) > CLOSED_MAX for nodes in sent.values()):
        raise InvalidRequest(
            f"more than {CLOSED_MAX} closed streams, or nodes for one of them", code=Code.SCHEMA_MISMATCH
        )
    return {stream_in(stream): frozenset(map(stream_in, nodes)) for stream, nodes in sent.items()}
