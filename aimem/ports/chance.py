"""Chance and secrets: ids, jitter and sampling draw from `rng`; keys and tokens from entropy."""

from __future__ import annotations

import random
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer(Protocol):
    """An Ed25519 key pair."""

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        ...

    @property
    def private_key(self) -> bytes:
        """32 raw bytes: the seed; only the sidecar file holds it."""
        ...

    def sign(self, message: bytes) -> bytes:
        """A signature of 64 bytes."""
        ...


class Chance(Protocol):
    """Where randomness comes from."""

    @property
    def rng(self) -> random.Random:
        """For ids, jitter and sampling; not for secrets."""
        ...

    def token(self, size_bytes: int) -> bytes:
        """Secret random bytes."""
        ...

    def new_signer(self) -> Signer:
        """A fresh key pair."""
        ...

    def load_signer(self, private_key: bytes) -> Signer:
        """The key pair of this seed. Raises: ValueError if it does not have 32 bytes."""
        ...


class Ed25519Signer:
    """A key pair held in memory (RFC 8032; from the `cryptography` package)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()
        self.private_key = key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign; deterministic for a given key and message."""
        return self._key.sign(message)


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of this raw public key signed the message; a key or a signature of another form did not."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class SeededChance:
    """Chance drawn from one generator: real with `random.SystemRandom`, reproducible with a seeded `random.Random`."""

    def __init__(self, rng: random.Random, token_source: random.Random | None = None) -> None:
        self.rng = rng
        self._tokens = token_source

    def token(self, size_bytes: int) -> bytes:
        """Secret bytes; from the seeded source in a simulation."""
        return secrets.token_bytes(size_bytes) if self._tokens is None else self._tokens.randbytes(size_bytes)

    def new_signer(self) -> Signer:
        """A key pair from `token`."""
        return self.load_signer(self.token(32))

    def load_signer(self, private_key: bytes) -> Signer:
        """The key pair of this seed."""
        return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(private_key))


def system_chance() -> Chance:
    """Randomness of the machine: a generator seeded by it for ids, the kernel for secrets."""
    return SeededChance(random.Random(secrets.randbits(256)))
