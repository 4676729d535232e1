"""Odd words and their grams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import words

ODD = [
    ("see ERR_CONN_42 now", ("err_conn_42",)),
    ("getUserById fails", ("getuserbyid",)),
    ("since v1.2.3.", ("v1.2.3",)),
    ("at 192.168.0.1:8080", ("192.168.0.1:8080",)),
    ("k8s-prod-7 and src/main_loop.py", ("k8s-prod-7", "src/main_loop.py")),
    ("昨日の会議で v2.10 を", ("昨日の会議で", "v2.10", "を")),
    ("데이터베이스 설정", ("데이터베이스", "설정")),
    ("ｶﾀｶﾅ", ("カタカナ",)),
    ("Kubernetesの設定", ("の設定",)),
    ("plain words, 2024 and 3rd, don't", ()),
    ("Ärger über naïve Éclairs", ()),
    ("", ()),
]


@pytest.mark.parametrize(("text", "odd"), ODD)
def test_odd_words_are_found(text: str, odd: tuple[str, ...]) -> None:
    assert words.odd_words(text) == odd
    assert words.has_odd_word(text) is bool(odd)


@given(st.text(max_size=200))
def test_what_is_left_has_no_odd_word(text: str) -> None:
    assert not words.has_odd_word(words.without_odd_words(text))


@given(st.text(max_size=100))
def test_every_odd_word_is_found_by_its_grams(text: str) -> None:
    for word in words.odd_words(text):
        assert set(words.grams_asked(word)) <= set(words.grams_of(word))
        assert words.grams_asked(word)


def test_a_run_gives_pairs_and_its_last_character() -> None:
    assert words.grams_of("会議室") == ("会議", "議室", "室")
    assert words.grams_asked("会議室") == ("会議", "議室")
    assert words.grams_asked("室") == ("室",)


def test_an_identifier_gives_triples() -> None:
    assert words.grams_of("v1.2.3") == ("v1.", "1.2", ".2.", "2.3")


def test_scripts_are_set_apart() -> None:
    assert words.spaced("Kubernetesの設定をv2に") == "Kubernetes の設定を v2 に"
    assert words.spaced("plain text") == "plain text"
