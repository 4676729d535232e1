"""Cutting long texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.store.parts import PART_CHARS, PARTS_MAX_COUNT, WHOLE_MAX_CHARS, split_parts

pieces = st.sampled_from(["word ", "Sentence ends. ", "line\n", "x" * 700, "。", "漢字", " ", "ünï"])
texts = st.lists(st.tuples(pieces, st.integers(1, 400)), max_size=12).map(
    lambda found: "".join(piece * count for piece, count in found)
)


@given(texts)
def test_parts_joined_are_the_text(text: str) -> None:
    parts = split_parts(text)
    assert "".join(parts) == text
    assert 1 <= len(parts) <= PARTS_MAX_COUNT


@given(texts)
def test_parts_are_of_a_like_size(text: str) -> None:
    parts = split_parts(text)
    assert len(parts) > 1 or len(text) <= WHOLE_MAX_CHARS
    if 1 < len(parts) < PARTS_MAX_COUNT:
        assert all(PART_CHARS * 2 // 3 <= len(part) <= PART_CHARS * 4 // 3 for part in parts[:-1])
        assert len(parts[-1]) <= PART_CHARS * 4 // 3


@pytest.mark.parametrize("end", [". ", "! ", "。", "\n"])
def test_a_cut_lies_behind_a_sentence(end: str) -> None:
    sentence = "some words of a sentence" + end
    assert all(part.endswith(end) for part in split_parts(sentence * 300))


def test_without_sentences_a_cut_lies_behind_a_word() -> None:
    assert all(part.endswith(" ") for part in split_parts("word " * 2_000))


def test_what_is_left_over_joins_the_last_part() -> None:
    parts = split_parts("word " * 40_000)
    assert len(parts) == PARTS_MAX_COUNT
    assert len(parts[-1]) > PART_CHARS
