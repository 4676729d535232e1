"""Names and identifiers: their types, their grammar and how new ones are made."""

from __future__ import annotations

import hashlib
import random
from typing import NewType
from uuid import UUID

MemoryId = NewType("MemoryId", str)
AgentId = NewType("AgentId", str)
Namespace = NewType("Namespace", str)
StreamId = NewType("StreamId", str)
"""32 lower-case hex digits: the first 16 bytes of the SHA-256 of the stream's public key."""

GLOBAL: Namespace = Namespace("global")
SYSTEM_AGENT: AgentId = AgentId("system")


def new_memory_id(rng: random.Random) -> MemoryId:
    """A random (version 4) UUID, lower case with hyphens."""
    return MemoryId(str(UUID(int=rng.getrandbits(128), version=4)))


def derived_memory_id(scope: str, key: str, index: int) -> MemoryId:
    """The id of the `index`-th object made under an idempotency key: concurrent retries make one object (design §5).

    Args:
      scope: whose key it is (the credential).
      key: the client's `Idempotency-Key`.
      index: position among the objects of that request, from 0.
    """
    digest = hashlib.sha256(f"{len(scope)}:{scope}{len(key)}:{key}{index}".encode()).digest()
    # RFC 9562, version 8 (made by a hash of ours); Python knows the number from 3.14 on.
    bits = int.from_bytes(digest[:16]) & ~(0xF << 76 | 0b11 << 62) | 8 << 76 | 0b10 << 62
    return MemoryId(str(UUID(int=bits)))


def stream_id(public_key: bytes) -> StreamId:
    """The id of the stream that the holder of this raw Ed25519 public key (32 bytes) writes."""
    return StreamId(hashlib.sha256(public_key).hexdigest()[:32])
