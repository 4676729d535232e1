"""What shows that an owner signed the end of its stream, and that it signed two histories."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from aimem.model import (
    Attestation,
    Entry,
    Evidence,
    HeadProof,
    StreamHead,
    attested_head,
    blank_entry,
    closing_words,
    contradict,
    decode_entry,
)
from aimem.replication.headproof import is_news, is_proven, is_shown
from tests.heads import head_of, signed_head, told_by
from tests.nodes import seeded_chance
from tests.streams import Author

OWNER = Author(5)
OWNER.memory("m1")
TOLD = told_by(OWNER.ops[1], OWNER.signer)
OTHER = seeded_chance(9).new_signer()


def test_the_op_at_a_head_proves_it_also_after_its_texts_were_blanked() -> None:
    assert is_proven(OWNER.head, TOLD.proof)
    op = OWNER.ops[1]
    entry = decode_entry(op.entries[0])
    assert isinstance(entry, Entry)
    blank = replace(op, entries=(blank_entry(op.entries[0], entry, op.stamp),))
    assert told_by(blank, OWNER.signer) == TOLD


@pytest.mark.parametrize(
    "head",
    [
        replace(OWNER.head, seq=3), replace(OWNER.head, seq=1), replace(OWNER.head, hlc=OWNER.head.hlc + 1),
        replace(OWNER.head, chain_hash=bytes(32)), replace(OWNER.head, stream=Author(6).stream),
    ],
)
def test_a_proof_proves_no_other_head(head: StreamHead) -> None:
    assert not is_proven(head, TOLD.proof)


@pytest.mark.parametrize(
    "proof",
    [
        replace(TOLD.proof, key=OTHER.public_key), replace(TOLD.proof, signature=bytes(64)),
        replace(TOLD.proof, signature=OTHER.sign(OWNER.head.chain_hash)), replace(TOLD.proof, kind="delete"),
        replace(TOLD.proof, previous=bytes(31)), replace(TOLD.proof, body=b""), replace(TOLD.proof, kind="\ud800"),
        replace(TOLD.proof, kind="k" * 65), replace(TOLD.proof, key=b""),
    ],
)
def test_what_the_owner_did_not_sign_proves_nothing(proof: HeadProof) -> None:
    assert not is_proven(OWNER.head, proof)


@pytest.mark.parametrize(("seq", "hlc"), [(0, 1), (-1, 1), (1 << 63, 1), (1, 0), (1, 1 << 63), (1 << 80, 1 << 80)])
def test_numbers_that_no_op_has_testify_to_nothing(seq: int, hlc: int) -> None:
    assert attested_head(OWNER.stream, Attestation(seq, hlc, TOLD.proof)) is None


def test_a_proof_is_three_hundred_bytes_on_its_way_and_comes_out_as_it_went_in() -> None:
    sent = msgspec.json.encode(TOLD)
    assert len(sent) < 330
    assert msgspec.json.decode(sent, type=Attestation) == TOLD


def test_two_ops_of_one_number_show_two_histories_and_so_does_one_that_does_not_follow() -> None:
    stream, signer = OWNER.stream, OWNER.signer
    same = signed_head(signer, 2, TOLD.hlc + 5, text="another")
    assert contradict(stream, TOLD, same)
    assert is_shown(stream, Evidence(signed=(TOLD, same)))
    stray = signed_head(signer, 3, TOLD.hlc + 6, previous=bytes(32))
    assert is_shown(stream, Evidence(signed=(TOLD, stray)))
    assert is_shown(stream, Evidence(signed=(stray, TOLD)))
    follows = signed_head(signer, 3, TOLD.hlc + 6, previous=head_of(stream, TOLD).chain_hash)
    for sound in (TOLD, follows, signed_head(signer, 4, TOLD.hlc + 9)):
        assert not is_shown(stream, Evidence(signed=(TOLD, sound)))


def test_nobody_else_shows_that_a_stream_is_closed() -> None:
    stream, signer = OWNER.stream, OWNER.signer
    mine = signed_head(signer, 2, TOLD.hlc, text="another")
    lie = signed_head(OTHER, 2, TOLD.hlc, text="another")
    unsigned = Attestation(2, TOLD.hlc, replace(mine.proof, signature=bytes(64)))
    for signed in ((TOLD, lie), (TOLD, unsigned), (lie, signed_head(OTHER, 2, 9)), (TOLD,), (TOLD, mine, mine)):
        assert not is_shown(stream, Evidence(signed=signed))
    assert not is_shown(Author(6).stream, Evidence(signed=(TOLD, mine)))
    word = Evidence(key=signer.public_key, closing=signer.sign(closing_words(stream)))
    assert is_shown(stream, word)
    assert not is_shown(Author(6).stream, word)
    assert not is_shown(stream, replace(word, closing=OTHER.sign(closing_words(stream))))
    assert not is_shown(stream, Evidence(key=OTHER.public_key, closing=OTHER.sign(closing_words(stream))))
    assert not is_shown(stream, Evidence())


def test_only_what_is_beyond_what_is_known_or_another_end_is_news() -> None:
    head = OWNER.head
    assert not is_news(head, head)
    assert not is_news(replace(head, seq=1, chain_hash=bytes(32)), head)
    assert is_news(replace(head, seq=3), head)
    assert is_news(replace(head, chain_hash=bytes(32)), head)
    assert is_news(head, None)
