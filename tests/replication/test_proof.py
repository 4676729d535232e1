"""Proofs under requests and answers: only what was signed holds, and only where it was meant to."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from aimem.errors import InvalidRequest
from aimem.model import Endorsement, NodeClaim, endorsement_digest
from aimem.replication.proof import (
    Values,
    answer_headers,
    descends,
    is_sound_request,
    proven_answer,
    read_request,
    request_headers,
    sign_request,
)
from tests.nodes import seeded_chance

ASKER, ASKED = seeded_chance(1).new_signer(), seeded_chance(2).new_signer()
TO = "ab" * 16
LINK = Endorsement(ASKED.public_key, ASKED.sign(endorsement_digest(ASKER.public_key)))
PROOF = sign_request(ASKER, "POST", "/p", b"body", node="käse/1", to=TO, nonce=bytes(16), line=(LINK,))


def values(headers: Mapping[str, str | list[str]]) -> Values:
    def of(name: str) -> list[str]:
        found = headers.get(name, [])
        return found if isinstance(found, list) else [found]

    return of


def test_a_proof_travels_in_headers_and_holds() -> None:
    headers = request_headers(PROOF)
    assert headers["X-Aimem-Node"] == "k%C3%A4se%2F1"
    assert read_request(values(headers)) == PROOF
    assert is_sound_request(PROOF, "POST", "/p", b"body")
    assert read_request(values({})) is None


@pytest.mark.parametrize(("method", "target", "body"), [
    ("GET", "/p", b"body"), ("POST", "/q", b"body"), ("POST", "/p", b""),
])
def test_a_request_that_was_changed_is_not_what_was_signed(method: str, target: str, body: bytes) -> None:
    assert not is_sound_request(PROOF, method, target, body)


@pytest.mark.parametrize(("header", "value"), [
    ("X-Aimem-Node", "somebody%20else"), ("X-Aimem-Key", ASKED.public_key.hex()), ("X-Aimem-To", ""),
    ("X-Aimem-To", "cd" * 16), ("X-Aimem-Nonce", "11" * 16), ("X-Aimem-Proof", "00" * 64),
])
def test_a_header_that_was_changed_breaks_the_proof(header: str, value: str) -> None:
    changed = read_request(values({**request_headers(PROOF), header: value}))
    assert changed is not None
    assert not is_sound_request(changed, "POST", "/p", b"body")


@pytest.mark.parametrize(("header", "value"), [
    ("X-Aimem-Node", ""), ("X-Aimem-Node", "a" * 129), ("X-Aimem-Node", "%ff"),
    ("X-Aimem-Node", "%E2%80%AEa"), ("X-Aimem-Node", "a%0A"),
    ("X-Aimem-Node", ["a", "b"]),
    ("X-Aimem-Key", "ab"), ("X-Aimem-Key", "AB" * 32), ("X-Aimem-To", "nobody"), ("X-Aimem-Nonce", []),
    ("X-Aimem-Proof", "zz" * 64), ("X-Aimem-Line", "ab.cd"), ("X-Aimem-Line", ",".join(["ab"] * 9)),
    ("X-Aimem-Certificates", "ab"), ("X-Aimem-Certificates", ",".join(["ab" * 32] * 9)),
])
def test_headers_that_are_no_proof_are_named(header: str, value: str | list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(values({**request_headers(PROOF), header: value}))
    assert caught.value.field == header


def test_the_certificates_that_are_named_are_signed_with_the_rest() -> None:
    named = ("ab" * 32, "cd" * 32)
    sent = sign_request(ASKER, "POST", "/p", b"body", node="a", to=TO, nonce=bytes(16), certificates=named)
    headers = request_headers(sent)
    asked = read_request(values(headers))
    assert asked is not None
    assert asked.claim.certificates == named
    assert is_sound_request(asked, "POST", "/p", b"body")
    for header in ("", "ab" * 32, ",".join(reversed(named))):
        changed = read_request(values({**headers, "X-Aimem-Certificates": header}))
        assert changed is not None
        assert not is_sound_request(changed, "POST", "/p", b"body")
    answer = answer_headers(ASKED, sent, 200, b"answer", node="b", certificates=named[:1])
    claim = proven_answer(values(answer), sent, 200, b"answer")
    assert claim is not None
    assert claim.certificates == named[:1]
    with pytest.raises(InvalidRequest, match="something else"):
        proven_answer(values({**answer, "X-Aimem-Certificates": named[1]}), sent, 200, b"answer")


def test_an_answer_holds_for_its_request_alone() -> None:
    headers = values(answer_headers(ASKED, PROOF, 200, b"answer", node="b"))
    assert proven_answer(headers, PROOF, 200, b"answer") == NodeClaim(node="b", key=ASKED.public_key)
    assert proven_answer(values({}), PROOF, 200, b"answer") is None
    other = sign_request(ASKER, "POST", "/p", b"body", node="käse/1", to=TO, nonce=b"n" * 16)
    for asked, status, body in ((PROOF, 409, b"answer"), (PROOF, 200, b"another"), (other, 200, b"answer")):
        with pytest.raises(InvalidRequest, match="something else"):
            proven_answer(headers, asked, status, body)


def test_a_key_descends_from_whom_its_line_leads_to_and_from_nobody_else() -> None:
    assert descends(PROOF.claim, {ASKED.public_key.hex()})
    assert not descends(PROOF.claim, {ASKER.public_key.hex()})
    wrong = NodeClaim(node="x", key=ASKED.public_key, line=(LINK,))
    assert not descends(wrong, {ASKED.public_key.hex()})
