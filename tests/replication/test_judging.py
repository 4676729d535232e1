"""Who is believed to be whom: a table of claims, and what is known when they come."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from msgspec.structs import replace

from aimem.errors import Code, Denied
from aimem.model import Endorsement, NodeClaim, Shown, endorsement_digest
from aimem.ports import Signer
from aimem.replication.judging import (
    Accepted,
    Acquaintance,
    Refused,
    is_delisted,
    judge_claim,
    own_shown,
    trust_command,
)
from aimem.store import Pin, pins
from tests.nodes import START, seeded_chance

OWN, OLD, NEW, LATER, OTHER = (seeded_chance(seed).new_signer() for seed in range(5))
MINE, THEIRS, OURS = "11" * 32, "22" * 32, "33" * 32
NOBODY = Shown()


def hexed(*signers: Signer) -> tuple[str, ...]:
    return tuple(signer.public_key.hex() for signer in signers)


def claim(signer: Signer, *before: Signer, node: str = "b") -> NodeClaim:
    """A claim whose key was endorsed by the ones before, the latest first."""
    line, key = [], signer.public_key
    for old in before:
        line.append(Endorsement(old.public_key, old.sign(endorsement_digest(key))))
        key = old.public_key
    return NodeClaim(node=node, key=signer.public_key, line=tuple(line))


def known(*signers: Signer, certificates: tuple[str, ...] = (), **fields: Any) -> Acquaintance:
    """What a node called `a` knows, by which keys it knows `b`."""
    pinned = {"b": Pin(keys=hexed(*signers), certificates=certificates, since=START)} if signers else {}
    values: dict[str, Any] = {
        "name": "a", "keys": frozenset(hexed(OWN)), "pins": pinned, "opened_as": None, "now": START,
    }
    return Acquaintance(**{**values, **fields})


FULL = {f"n{number}": Pin(keys=hexed(OTHER), since=START) for number in range(pins.PINS_MAX)}
HELD = {
    "b": Pin(keys=hexed(OLD), certificates=(MINE,), since=START),
    "c": Pin(keys=hexed(OTHER), certificates=(THEIRS,), since=START),
}


@pytest.mark.parametrize(("said", "shown", "before", "keys"), [
    (claim(OLD), NOBODY, known(), hexed(OLD)),
    (claim(OLD), Shown(fingerprint=MINE), known(), hexed(OLD)),
    (claim(NEW, OLD), NOBODY, known(OLD), hexed(NEW, OLD)),
    (claim(LATER, NEW, OLD), NOBODY, known(OLD), hexed(LATER, OLD)),
    (claim(LATER, OLD), NOBODY, known(NEW, OLD), hexed(LATER, NEW, OLD)),
    (claim(NEW), Shown(fingerprint=MINE), known(OLD, certificates=(MINE,)), hexed(NEW)),
    (claim(NEW), Shown(fingerprint=MINE, names=("b",)), known(OLD, certificates=(THEIRS,)), hexed(NEW)),
    (claim(NEW, OWN, node="a"), NOBODY, known(), hexed(NEW)),
], ids=[
    "first contact", "with a certificate", "endorsed", "endorsed twice", "another successor", "same certificate",
    "authority vouches", "a copy of this node",
])
def test_who_is_new_and_believed_is_remembered(
    said: NodeClaim, shown: Shown, before: Acquaintance, keys: tuple[str, ...]
) -> None:
    verdict = judge_claim(said, shown, before)
    assert isinstance(verdict, Accepted)
    assert verdict.pin is not None
    assert verdict.pin.keys == keys
    if shown.fingerprint is not None:
        assert verdict.pin.certificates[0] == shown.fingerprint
    again = judge_claim(said, shown, replace(before, pins={**before.pins, said.node: verdict.pin}))
    assert again == Accepted()


@pytest.mark.parametrize(("said", "shown", "before", "code"), [
    (claim(NEW), NOBODY, known(OLD), "node_untrusted"),
    (claim(NEW, OTHER), NOBODY, known(OLD), "node_untrusted"),
    (claim(NEW, LATER, OTHER), NOBODY, known(OLD), "node_untrusted"),
    (replace(claim(NEW, OLD), key=OTHER.public_key), NOBODY, known(OLD), "node_untrusted"),
    (claim(NEW), Shown(fingerprint=THEIRS), known(OLD, certificates=(MINE,)), "node_untrusted"),
    (claim(NEW), Shown(fingerprint=THEIRS, names=("c",)), known(OLD, certificates=(MINE,)), "node_untrusted"),
    (claim(OLD), NOBODY, known(OLD, opened_as="c"), "name_of_another"),
    (claim(OLD, node="a"), NOBODY, known(), "name_of_another"),
    (claim(OLD), Shown(fingerprint=THEIRS), known(pins=HELD), "certificate_of_another"),
    (claim(NEW, node="d"), Shown(fingerprint=MINE), known(pins=HELD), "certificate_of_another"),
    (claim(NEW), Shown(fingerprint=OURS), known(own_certificates=frozenset({OURS})), "certificate_of_another"),
    (claim(OLD), Shown(fingerprint=OURS), known(OLD, own_certificates=frozenset({OURS})), "certificate_of_another"),
    (claim(NEW, node="new"), NOBODY, known(pins=FULL), "pins_full"),
], ids=[
    "another key", "endorsed by somebody", "endorsed by a line of others", "a line of another key",
    "unknown certificate", "certificate of another name", "another's stream", "this node's name",
    "another's certificate", "another's certificate, first contact", "ours, first contact", "ours", "as many as may be",
])
def test_who_is_not_who_it_says_is_refused(
    said: NodeClaim, shown: Shown, before: Acquaintance, code: str
) -> None:
    verdict = judge_claim(said, shown, before)
    assert isinstance(verdict, Refused)
    assert verdict.code.value == code
    assert verdict.waits == (code == "node_untrusted" or bool(verdict.holder))
    assert bool(verdict.holder) == (code == "certificate_of_another" and shown.fingerprint != OURS)


def test_a_certificate_that_an_authority_names_for_a_node_is_taken_from_who_showed_it_before() -> None:
    before = known(pins={"b": Pin(keys=hexed(OLD), since=START), "c": HELD["c"]})
    shown = Shown(fingerprint=THEIRS, names=("b",))
    verdict = judge_claim(claim(OLD), shown, before)
    assert isinstance(verdict, Accepted)
    assert verdict.pin == Pin(keys=hexed(OLD), certificates=(THEIRS,), since=START)
    assert verdict.cleared == {"c": replace(HELD["c"], certificates=())}
    again = judge_claim(claim(OLD), shown, replace(before, pins={"b": verdict.pin, **verdict.cleared}))
    assert again == Accepted()


@pytest.mark.parametrize(("said", "names"), [
    (claim(OLD), ()), (claim(OLD), ("c",)), (claim(OLD), ("d",)), (claim(OLD), ("b", "c")), (claim(NEW), ()),
    (claim(NEW, node="d"), ("b",)), (claim(OTHER), ()),
], ids=["no authority", "the other's", "somebody's", "both", "another key", "first contact", "the other's key"])
def test_no_certificate_is_taken_from_a_node_without_the_word_of_an_authority(
    said: NodeClaim, names: tuple[str, ...]
) -> None:
    verdict = judge_claim(said, Shown(fingerprint=THEIRS, names=names), known(pins=HELD))
    assert isinstance(verdict, Refused)
    assert (verdict.code, verdict.holder) == (Code.CERTIFICATE_OF_ANOTHER, "c")
    assert f"`{trust_command(said.node)}`" in verdict.sentence


def test_who_is_left_without_a_certificate_does_not_count_as_taken_off_the_list() -> None:
    both = {"b": Pin(keys=hexed(OLD), since=START), "c": replace(HELD["c"], is_listed=True)}
    before = known(pins=both, listed=frozenset({THEIRS}))
    verdict = judge_claim(claim(OLD), Shown(fingerprint=THEIRS, names=("b",)), before)
    assert isinstance(verdict, Accepted)
    assert not is_delisted(verdict.cleared["c"], before.listed)


def test_who_is_refused_takes_no_certificate_from_anybody() -> None:
    shown = Shown(fingerprint=THEIRS, names=("b",))
    off_the_list = replace(HELD["b"], is_listed=True)
    before = known(pins={"b": off_the_list, "c": HELD["c"]}, listed=frozenset({OURS}))
    assert isinstance(judge_claim(claim(OLD), shown, before), Refused)


LIST = frozenset({MINE, THEIRS})


@pytest.mark.parametrize(("named", "shown", "listed", "counts"), [
    ((MINE,), Shown(fingerprint=MINE, names=("b",)), None, True),
    ((THEIRS, MINE), Shown(fingerprint=MINE), LIST, True),
    ((), NOBODY, LIST, True),
    ((MINE,), NOBODY, LIST, True),
    ((), Shown(fingerprint=MINE, names=("b",)), None, False),
    ((MINE,), Shown(fingerprint=THEIRS, names=("b",)), None, False),
], ids=["its own", "one of its own", "none", "none, by a plain road", "a proxy's", "another's"])
def test_a_certificate_counts_if_whoever_speaks_names_it(
    named: tuple[str, ...], shown: Shown, listed: frozenset[str] | None, counts: bool
) -> None:
    assert own_shown(replace(claim(OLD), certificates=named), shown, listed) == (shown if counts else NOBODY)


@pytest.mark.parametrize("named", [(), (MINE,)])
def test_where_there_is_a_list_nobody_is_heard_by_another_ones_certificate(named: tuple[str, ...]) -> None:
    with pytest.raises(Denied) as refused:
        own_shown(replace(claim(OLD), certificates=named), Shown(fingerprint=THEIRS), LIST)
    assert refused.value.code is Code.CERTIFICATE_OF_ANOTHER


def test_whom_the_authority_vouches_for_gets_rid_of_the_certificate_of_who_took_its_name_first() -> None:
    first = judge_claim(claim(OTHER), Shown(fingerprint=THEIRS), known(listed=LIST))
    assert isinstance(first, Accepted)
    assert first.pin is not None
    real = judge_claim(claim(OLD), Shown(fingerprint=MINE, names=("b",)), known(pins={"b": first.pin}, listed=LIST))
    assert isinstance(real, Accepted)
    assert real.pin == Pin(keys=hexed(OLD), certificates=(MINE,), since=START, is_listed=True)
    again = judge_claim(claim(OTHER), Shown(fingerprint=THEIRS), known(pins={"b": real.pin}, listed=LIST))
    assert isinstance(again, Refused)
    assert again.code is Code.NODE_UNTRUSTED


def test_who_was_taken_off_the_list_does_not_come_back_by_another_key_that_its_authority_vouches_for() -> None:
    pinned = {"b": Pin(keys=hexed(OLD), certificates=(MINE,), since=START, is_listed=True)}
    before = known(pins=pinned, listed=frozenset({OURS}))
    for fingerprint in (MINE, THEIRS):
        verdict = judge_claim(claim(NEW), Shown(fingerprint=fingerprint, names=("b",)), before)
        assert isinstance(verdict, Refused)
        assert verdict.code is Code.NODE_UNTRUSTED
    back = judge_claim(claim(NEW), Shown(fingerprint=OURS, names=("b",)), before)
    assert isinstance(back, Accepted)
    assert back.pin == Pin(keys=hexed(NEW), certificates=(OURS,), since=START, is_listed=True)


@pytest.mark.parametrize("name", ["node-b", "$(reboot)", "a`id`; ls", "a b", "it's", "-rf", "--key=00"])
def test_a_command_that_is_advised_runs_nothing_but_itself(name: str) -> None:
    words = shlex.split(trust_command(name))
    assert [word for word in words if word != "--"] == ["ai-memory", "mesh", "trust", name]
    assert (words[3] == "--") == name.startswith("-")
    refused = judge_claim(claim(NEW, node=name), NOBODY, known(pins={name: HELD["b"]}))
    assert isinstance(refused, Refused)
    assert f"`{trust_command(name)}`" in refused.sentence


def test_a_certificate_that_changes_is_noted_beside_those_before() -> None:
    verdict = judge_claim(claim(OLD), Shown(fingerprint=THEIRS), known(OLD, certificates=(MINE,)))
    assert isinstance(verdict, Accepted)
    assert verdict.pin == Pin(keys=hexed(OLD), certificates=(THEIRS, MINE), since=START)
