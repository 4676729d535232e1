"""Who was on the list and is not any more is refused, whatever it shows; who never was is judged by its key alone."""

from __future__ import annotations

import pytest

from aimem.errors import Code
from aimem.model import Instant, NodeClaim, Shown
from aimem.replication.judging import Accepted, Acquaintance, Refused, is_delisted, judge_claim
from aimem.store import Pin

KEY = bytes(32)
NOW = Instant(1)
CLIENT, SERVER, OTHER = "c" * 64, "5" * 64, "0" * 64


def known(pin: Pin | None, listed: frozenset[str] | None) -> Acquaintance:
    pins = {} if pin is None else {"b": pin}
    return Acquaintance(name="a", keys=frozenset(), pins=pins, listed=listed, opened_as=None, now=NOW)


def pinned(*certificates: str, is_listed: bool) -> Pin:
    return Pin(keys=(KEY.hex(),), certificates=certificates, since=NOW, is_listed=is_listed)


@pytest.mark.parametrize(("pin", "listed", "shown", "noted"), [
    (None, None, CLIENT, False),
    (None, frozenset({CLIENT}), CLIENT, True),
    (None, frozenset({CLIENT}), SERVER, False),
    (pinned(SERVER, is_listed=False), frozenset({CLIENT}), CLIENT, True),
    (pinned(SERVER, is_listed=False), frozenset({OTHER}), SERVER, None),
    (pinned(CLIENT, SERVER, is_listed=True), frozenset({CLIENT}), SERVER, None),
    (pinned(CLIENT, is_listed=False), frozenset({CLIENT}), CLIENT, True),
    (pinned(CLIENT, is_listed=True), None, CLIENT, None),
    (pinned(CLIENT, is_listed=True), frozenset({OTHER}), OTHER, True),
], ids=[
    "no list", "listed at first contact", "first asked, whose server's certificate is not listed", "then asks",
    "never listed", "one of two is listed", "put on the list later", "a list no longer", "rotated",
])
def test_who_is_listed_or_never_was_is_believed(
    pin: Pin | None, listed: frozenset[str] | None, shown: str, noted: bool | None
) -> None:
    verdict = judge_claim(NodeClaim(node="b", key=KEY), Shown(fingerprint=shown), known(pin, listed))
    assert isinstance(verdict, Accepted)
    assert (None if verdict.pin is None else verdict.pin.is_listed) is noted


@pytest.mark.parametrize("shown", [CLIENT, SERVER, "f" * 64])
def test_who_was_taken_off_the_list_is_refused_until_it_is_put_back(shown: str) -> None:
    pin, claim = pinned(CLIENT, SERVER, is_listed=True), NodeClaim(node="b", key=KEY)
    refused = judge_claim(claim, Shown(fingerprint=shown), known(pin, frozenset({OTHER})))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.waits) == (Code.NODE_UNTRUSTED, False)
    assert "taken off the list" in refused.sentence
    assert is_delisted(pin, frozenset({OTHER}))
    assert not is_delisted(pin, frozenset({OTHER, CLIENT}))
    assert isinstance(judge_claim(claim, Shown(fingerprint=SERVER), known(pin, frozenset({CLIENT}))), Accepted)
