"""What becomes of a snapshot on its way, or at a giver that lies: chunks of other bytes, manifests that cannot be.

Nothing here hangs together: rows that a member changed with all that it says of them are its word, and no signature is
under any row.
"""

from __future__ import annotations

import base64
import gzip
import random
from collections.abc import Callable
from typing import Any, Final  # messages as they are on the wire

Manifest = dict[str, Any]
MANY: Final = 1 << 40
_WHOLE: Final = 2


def spoil(rng: random.Random, told: dict[str, Any]) -> bool:
    """Change what an answer holds of a snapshot, if it holds anything. Returns: whether it does."""
    if told.get("manifest"):
        rng.choice(_OF_MANIFESTS)(rng, told["manifest"])
        return True
    chunk = told.get("chunk")
    if chunk and isinstance(chunk, str):        # who asks for one says its number
        told["chunk"] = base64.b64encode(rng.choice(_OF_CHUNKS)(rng, base64.b64decode(chunk))).decode()
        return True
    return False


def another_mesh(rng: random.Random) -> str:
    """The id of a mesh that is none."""
    return f"{rng.getrandbits(128):032x}"


def _of_another_mesh(rng: random.Random, manifest: Manifest) -> None:
    manifest["cluster"] = another_mesh(rng)


def _of_a_newer_schema(rng: random.Random, manifest: Manifest) -> None:
    manifest["schema"] += rng.randint(1, 9)


def _of_a_newer_format(rng: random.Random, manifest: Manifest) -> None:
    manifest[rng.choice(["format", "digest_format"])] += rng.randint(1, 9)


def _without_measure(rng: random.Random, manifest: Manifest) -> None:
    name = rng.choice(["bytes", "plain_bytes", "objects", "held"])
    rng.choice(manifest["chunks"])[name] = rng.choice([MANY, -1])


def _without_end(rng: random.Random, manifest: Manifest) -> None:
    manifest["chunks"] = [rng.choice(manifest["chunks"])] * 9_000


def _without_chunks(_: random.Random, manifest: Manifest) -> None:
    manifest["chunks"] = []


def _that_does_not_add_up(rng: random.Random, manifest: Manifest) -> None:
    match rng.choice(["digest", "objects", "held", "chunk"]):
        case "digest":
            manifest["digest"] = f"{rng.getrandbits(128):032x}"
        case "chunk":       # it ends before its end
            manifest["chunks"] = manifest["chunks"][:-1]
        case name:
            manifest[name] += 1


def _of_other_chunks(rng: random.Random, manifest: Manifest) -> None:
    rng.choice(manifest["chunks"])["sha256"] = f"{rng.getrandbits(256):064x}"


def _under_another_name(rng: random.Random, manifest: Manifest) -> None:
    manifest["id"] = rng.choice(["", "x" * 1_000, "../../memory.db"])


def _unproven(_: random.Random, manifest: Manifest) -> None:
    manifest["proofs"] = {}


def _truncated(rng: random.Random, chunk: bytes) -> bytes:
    return chunk[: rng.randrange(len(chunk))]


def _flipped(rng: random.Random, chunk: bytes) -> bytes:
    at = rng.randrange(len(chunk))
    return chunk[:at] + bytes([chunk[at] ^ 1 << rng.randrange(8)]) + chunk[at + 1:]


def _rewritten(_: random.Random, chunk: bytes) -> bytes:
    """Rows of the same shape and size, with other words in them."""
    return gzip.compress(gzip.decompress(chunk).replace(b"word", b"lies"), mtime=0)


def _doubled(_: random.Random, chunk: bytes) -> bytes:
    return chunk * _WHOLE


_OF_MANIFESTS: Final[tuple[Callable[[random.Random, Manifest], None], ...]] = (
    _of_another_mesh, _of_a_newer_schema, _of_a_newer_format, _without_measure, _without_end, _without_chunks,
    _that_does_not_add_up, _of_other_chunks, _under_another_name, _unproven,
)
_OF_CHUNKS: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    _truncated, _flipped, _rewritten, _rewritten, _doubled,
)
