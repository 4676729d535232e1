"""Whether a snapshot can be joined here, judged by its manifest before anything of it is fetched. Pure."""

from __future__ import annotations

from typing import Final

from aimem.errors import Code, InvalidRequest
from aimem.store import SCHEMA_VERSION, digests, heldops
from aimem.wire import copies, stream_in

_DIGEST_CHARS: Final = 32
_SHA256_CHARS: Final = 64
_HEX: Final = frozenset("0123456789abcdef")


def check_manifest(manifest: copies.Manifest, cluster: str) -> None:
    """Make sure that a snapshot is one that this node can join, of this mesh, and of a size that can be.

    Raises: InvalidRequest(schema_mismatch), whose `reason` is `cluster`, `schema`, `format`, `size` or `digest`.
    """
    if manifest.format != copies.SNAPSHOT_FORMAT or manifest.digest_format != digests.DIGEST_FORMAT:
        raise refused(f"its snapshot has format {manifest.format}.{manifest.digest_format}, which is not read here; "
                       "bring both nodes to one version", "format")
    if manifest.schema > SCHEMA_VERSION:
        raise refused(
            f"its snapshot is of schema {manifest.schema}; this node knows up to {SCHEMA_VERSION}: install the newer "
            "version here first", "schema",
        )
    if cluster and manifest.cluster and manifest.cluster != cluster:
        raise refused(
            f"its snapshot is of the mesh {manifest.cluster[:_DIGEST_CHARS]}, and this node is of {cluster}", "cluster"
        )
    stream_in(manifest.stream)
    if len(manifest.id) > copies.ID_CHARS or not 0 < len(manifest.chunks) <= copies.CHUNKS_MAX:
        raise refused(f"its snapshot has {len(manifest.chunks)} chunks; at most {copies.CHUNKS_MAX} can be", "size")
    for chunk in manifest.chunks:
        _check_chunk(chunk)
    digest = digests.text_of(sum(int(chunk.digest, 16) for chunk in manifest.chunks))
    objects, held = sum(chunk.objects for chunk in manifest.chunks), sum(chunk.held for chunk in manifest.chunks)
    if (digest, objects, held) != (manifest.digest, manifest.objects, manifest.held):
        raise refused("the chunks of its snapshot do not add up to what it says", "digest")
    if manifest.held > heldops.HELD_MAX_COUNT:
        raise refused(f"its snapshot holds {manifest.held} ops; at most {heldops.HELD_MAX_COUNT} can be", "size")


def _check_chunk(chunk: copies.ChunkOut) -> None:
    is_sized = (
        0 < chunk.bytes <= copies.CHUNK_MAX_BYTES and 0 < chunk.plain_bytes <= copies.CHUNK_PLAIN_MAX_BYTES
        and 0 <= chunk.objects <= copies.CHUNK_MAX_OBJECTS and 0 <= chunk.held <= copies.CHUNK_MAX_OBJECTS
        and not (chunk.objects and chunk.held)
    )
    is_hex = len(chunk.digest) == _DIGEST_CHARS and _HEX.issuperset(chunk.digest) and len(chunk.sha256) == _SHA256_CHARS
    if not (is_sized and is_hex):
        raise refused("a chunk of its snapshot has a size that cannot be", "size")


def refused(sentence: str, reason: str) -> InvalidRequest:
    """What to raise where a snapshot is not joined; `reason` is its word in the metrics."""
    return InvalidRequest(sentence, code=Code.SCHEMA_MISMATCH, reason=reason)
