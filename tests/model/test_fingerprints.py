"""The grammar of the list of those that may connect, and what is said of a line that breaks it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import Code, InvalidRequest
from aimem.model import fingerprints, read_allowlist, shown

ONE = "0123456789abcdef" * 4
TWO = "f" * 64


@pytest.mark.parametrize("line", [
    ONE,
    ONE.upper(),
    shown(ONE),
    shown(ONE).lower(),
    f"sha256:{ONE}",
    f"SHA256:{shown(ONE)}",
    f"Sha256: {ONE}",
    f"sha256 Fingerprint={shown(ONE)}",
    f"SHA256 Fingerprint={shown(ONE)}  # node-a",
    f"  \t{ONE}\t ",
    f"{ONE}# node-a",
    f"{ONE}   # node-a: sha256:{TWO} was the one before",
    f":{ONE}:",
])
def test_every_spelling_of_a_fingerprint_is_the_same_one(line: str) -> None:
    assert read_allowlist(line) == {ONE}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_blank_lines_comments_and_repetition_are_tolerated(end: str) -> None:
    lines = ["\ufeff# peers", "", ONE, " \t ", shown(ONE), f"{TWO} # node-b", "#", ""]
    assert read_allowlist(end.join(lines)) == {ONE, TWO}


@pytest.mark.parametrize(("line", "said"), [
    (ONE[:-1], "63 hexadecimal digits instead of 64"),
    (ONE + "0", "65 hexadecimal digits"),
    (ONE[:40], "40 hexadecimal digits"),
    (":", "0 hexadecimal digits"),
    ("sha256:", "0 hexadecimal digits"),
    (f"sha256:sha256:{ONE}", "'s' is no hexadecimal digit"),
    (f"sha1:{ONE}", "'s' is no hexadecimal digit"),
    (f"{ONE[:-1]}g", "'g' is no hexadecimal digit"),
    (f"{ONE} {TWO}", "' ' is no hexadecimal digit"),
    (f"{ONE},", "',' is no hexadecimal digit"),
    (f"SHA1 Fingerprint={shown(ONE)[:59]}", "'S' is no hexadecimal digit"),
    ("sha256 Fingerprint=", "0 hexadecimal digits"),
    (ONE[:-1] + "\N{FULLWIDTH DIGIT ONE}", "is no hexadecimal digit"),
    (ONE + "\x00", r"'\x00' is no hexadecimal digit"),
    ("-----BEGIN CERTIFICATE-----", "'-' is no hexadecimal digit"),
])
def test_line_that_is_none_is_named_with_what_is_wrong_and_what_to_write(line: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^line 3: .*{re.escape(said)}.*pki fingerprint") as caught:
        read_allowlist(f"{TWO}\n# node-a\n{line}\n{ONE}")
    assert caught.value.code is Code.CONFIG_INVALID and caught.value.details["line"] == 3


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n", "# nobody yet\r\n", f"#{ONE}"])
def test_empty_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="the list is empty") as caught:
        read_allowlist(text)
    assert caught.value.code is Code.CONFIG_INVALID


def test_endless_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "ALLOWLIST_MAX", 2)
    lines = [f"{number:064x}" for number in range(3)]
    assert len(read_allowlist("\n".join(lines[:2]))) == 2
    with pytest.raises(InvalidRequest, match=r"^line 3: more than 2 fingerprints"):
        read_allowlist("\n".join(lines))


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=9))
def test_what_is_shown_is_read_again(raw: set[bytes]) -> None:
    expected = {one.hex() for one in raw}
    assert read_allowlist("\n".join(map(shown, expected))) == expected


@given(st.text())
def test_any_text_is_a_list_or_an_error_of_ours(text: str) -> None:
    try:
        found = read_allowlist(text)
    except InvalidRequest:
        return
    assert found and all(len(one) == 64 and one == one.lower() for one in found)
