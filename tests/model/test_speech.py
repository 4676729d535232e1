"""What a stream's opening op says of the stream before it: only what that one's key signed names anybody."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from aimem.model import (
    LINE_MAX,
    PREDECESSOR_MAX_CHARS,
    Endorsement,
    endorsement_digest,
    predecessor_text,
    read_predecessor,
    stream_id,
)
from aimem.ports import Signer, is_signed
from tests.nodes import seeded_chance

CHANCE = seeded_chance(7)
SIGNERS = [CHANCE.new_signer() for _ in range(LINE_MAX + 2)]
"""Of one node, the latest first: each endorsed the one before it in this list."""
OWN, BEFORE, EARLIER = SIGNERS[:3]
STRANGER = CHANCE.new_signer()


def link(signer: Signer, successor: Signer) -> Endorsement:
    return Endorsement(signer.public_key, signer.sign(endorsement_digest(successor.public_key)))


LINE = [link(one, after) for one, after in zip(SIGNERS[1:], SIGNERS[:-1], strict=True)]


def text(signer: Signer, line: Sequence[Endorsement] = LINE) -> str:
    said = predecessor_text(stream_id(signer.public_key), line)
    assert said is not None
    return said


@pytest.mark.parametrize("back", range(1, LINE_MAX + 1))
def test_the_stream_before_is_known_by_what_its_key_signed_over_keys_that_opened_none(back: int) -> None:
    stream = stream_id(SIGNERS[back].public_key)
    assert len(text(SIGNERS[back])) <= PREDECESSOR_MAX_CHARS
    assert read_predecessor(text(SIGNERS[back]), OWN.public_key, is_signed) == stream


def test_it_is_written_as_stream_key_and_signature() -> None:
    key, signature = BEFORE.public_key, BEFORE.sign(endorsement_digest(OWN.public_key))
    assert text(BEFORE) == f"{stream_id(key)}.{key.hex()}.{signature.hex()}"


@pytest.mark.parametrize("signer", [STRANGER, OWN, SIGNERS[LINE_MAX + 1]], ids=["another's", "its own", "too far"])
def test_a_stream_whose_key_is_not_in_the_line_is_not_named(signer: Signer) -> None:
    assert predecessor_text(stream_id(signer.public_key), LINE) is None


SOUND = text(BEFORE)
STREAM, KEY, SIGNATURE = SOUND.split(".")


@pytest.mark.parametrize(("said", "key"), [
    (SOUND, BEFORE.public_key),
    (SOUND, STRANGER.public_key),
    (SOUND, b""),
    (STREAM, OWN.public_key),
    (f"{STREAM}.{KEY}", OWN.public_key),
    ("", OWN.public_key),
    (f"{STREAM}.{STRANGER.public_key.hex()}.{SIGNATURE}", OWN.public_key),
    (f"{stream_id(EARLIER.public_key)}.{KEY}.{SIGNATURE}", OWN.public_key),
    (f"{STREAM}.{KEY}.{STRANGER.sign(endorsement_digest(OWN.public_key)).hex()}", OWN.public_key),
    (f"{STREAM}.{KEY}.{BEFORE.sign(OWN.public_key).hex()}", OWN.public_key),
    (f"{STREAM}.{KEY}.{SIGNATURE[:-2]}", OWN.public_key),
    (SOUND.upper(), OWN.public_key),
    (f" {SOUND}", OWN.public_key),
    (f"{SOUND}\n", OWN.public_key),
    (f"{SOUND}.", OWN.public_key),
    (f"{SOUND}.{KEY}.{SIGNATURE}", OWN.public_key),
    (text(EARLIER, [LINE[0], link(EARLIER, STRANGER)]), OWN.public_key),
    (text(STRANGER, [link(BEFORE, OWN), link(STRANGER, OWN)]), OWN.public_key),
    (f"{SOUND}{f'.{KEY}.{SIGNATURE}' * LINE_MAX}", OWN.public_key),
    ("." * 10_000, OWN.public_key),
], ids=[
    "of another key", "of a stranger's key", "of no key", "the old form", "unsigned", "empty", "another key",
    "another stream", "signed by another", "signed something else", "cut off", "upper case", "blank before",
    "newline behind", "dot behind", "a key that signed for itself", "a gap in the line", "the liar's own end",
    "too long", "dots",
])
def test_what_does_not_hold_names_nobody(said: str, key: bytes) -> None:
    assert read_predecessor(said, key, is_signed) is None
