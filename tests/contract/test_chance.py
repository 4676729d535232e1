"""Chance and keys: the machine's, and a seed's."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from aimem.ports import Chance, system_chance
from tests.nodes import seeded_chance

MAKERS = {"system": system_chance, "seeded": lambda: seeded_chance(7)}


@pytest.fixture(params=sorted(MAKERS))
def chance(request: pytest.FixtureRequest) -> Chance:
    return MAKERS[request.param]()


def test_tokens_have_their_size_and_differ(chance: Chance) -> None:
    tokens = {chance.token(16) for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {16}
    assert len({chance.rng.getrandbits(64) for _ in range(100)}) == 100


def test_a_signature_is_the_keys_and_the_messages(chance: Chance) -> None:
    signer, other = chance.new_signer(), chance.new_signer()
    assert signer.public_key != other.public_key
    assert (len(signer.public_key), len(signer.private_key), len(signer.sign(b"text"))) == (32, 32, 64)
    verifier = Ed25519PublicKey.from_public_bytes(signer.public_key)
    verifier.verify(signer.sign(b"text"), b"text")
    for forged in (other.sign(b"text"), signer.sign(b"test")):
        with pytest.raises(InvalidSignature):
            verifier.verify(forged, b"text")


def test_a_key_is_loaded_from_its_seed(chance: Chance) -> None:
    signer = chance.new_signer()
    again = chance.load_signer(signer.private_key)
    assert (again.public_key, again.sign(b"x")) == (signer.public_key, signer.sign(b"x"))
    for size in (0, 31, 33):
        with pytest.raises(ValueError):
            chance.load_signer(bytes(size))


def test_a_seed_fixes_everything() -> None:
    one, two = seeded_chance(3), seeded_chance(3)
    assert (one.token(8), one.rng.random(), one.new_signer().public_key) == (
        two.token(8), two.rng.random(), two.new_signer().public_key,
    )


def test_the_machine_never_repeats_itself() -> None:
    assert system_chance().rng.random() != system_chance().rng.random()
    assert system_chance().token(16) != system_chance().token(16)
