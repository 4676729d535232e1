"""Who signed what: every key of the world, and every message that was signed with it."""

from __future__ import annotations

import random

from aimem.model import StreamId, stream_id
from aimem.ports import Signer
from aimem.ports.chance import SeededChance


class Seals:
    """All keys of a run.

    Attributes:
      signers: by the streams that they write.
      owners: which machine has which key.
    """

    def __init__(self) -> None:
        self.signers: dict[StreamId, Signer] = {}
        self.owners: dict[StreamId, str] = {}
        self._signed: set[tuple[StreamId, bytes]] = set()

    def note(self, stream: StreamId, message: bytes) -> None:
        """A message was signed."""
        self._signed.add((stream, message))

    def is_signed(self, stream: StreamId, message: bytes) -> bool:
        """Whether the key of a stream ever signed this; what else bears its name is forged."""
        return (stream, message) in self._signed


class _NotedSigner:
    """A key whose use is noted."""

    def __init__(self, inner: Signer, owner: str, seals: Seals) -> None:
        self._inner, self._seals = inner, seals
        self.public_key, self.private_key = inner.public_key, inner.private_key
        self.stream = stream_id(inner.public_key)
        seals.signers[self.stream] = self
        seals.owners[self.stream] = owner

    def sign(self, message: bytes) -> bytes:
        """As the key does."""
        self._seals.note(self.stream, message)
        return self._inner.sign(message)


class NotedChance(SeededChance):
    """Chance that a seed fixes; its keys are the world's."""

    def __init__(self, seed: int, owner: str, seals: Seals) -> None:
        super().__init__(random.Random(seed), random.Random(seed + 1))
        self._owner, self._seals = owner, seals

    def load_signer(self, private_key: bytes) -> Signer:
        """The key pair of this seed, noted."""
        return _NotedSigner(super().load_signer(private_key), self._owner, self._seals)
