"""Words are counted as the index's tokenizer has them, whichever way a text takes."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.ports import Connection, Mode, system_files
from aimem.store import occurrences, scratch
from aimem.store.bm25 import WEIGHTS
from aimem.store.scratch import Texts

STEMS = ("a", "at", "ay", "run", "runn", "hope", "hop", "happ", "relat", "sens", "sensi", "pon", "agre", "x1", "42")
ENDINGS = (
    "", "s", "es", "ies", "y", "i", "ed", "eed", "ing", "ational", "tional", "ization", "izer", "bility", "bilities",
    "iveness", "fulness", "ousli", "ement", "ible", "yed", "ly", "ation", "logi", "icate",
)
WORDS = ("", *(stem + ending for stem, ending in itertools.product(STEMS, ENDINGS)), "x" * 64, "running" * 10)
GAPS = (" ", ", ", "-", "_", "\n", "\0", "\x7f", ". ")
FORMS = st.sampled_from(WORDS).flatmap(lambda word: st.sampled_from([word, word.upper(), word.title()]))
TEXT = st.builds(str.join, st.sampled_from(GAPS), st.lists(FORMS, max_size=12))
TEXTS = st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    opened = system_files().connect(Path(tmp_path_factory.mktemp("words"), "any.db"), Mode.READ_WRITE_CREATE)
    scratch.create(opened)
    yield opened
    opened.close()


def tokenized(conn: Connection, texts: list[Texts], phrases: list[tuple[str, ...]]) -> list[dict[int, float]]:
    """The same counts, from all tokens of each column."""
    counted: list[dict[int, float]] = [{} for _ in phrases]
    for no, text in enumerate(texts):
        for column, weight in zip(text, WEIGHTS.values(), strict=True):
            tokens = scratch.tokens_of_text(conn, column)
            for phrase, frequency in zip(phrases, counted, strict=True):
                ends = range(len(phrase), len(tokens) + 1)
                found = sum(tuple(tokens[end - len(phrase) : end]) == phrase for end in ends)
                if found:
                    frequency[no] = frequency.get(no, 0.0) + weight * found
    return counted


ASKED = st.lists(st.lists(st.sampled_from(WORDS[1:]), min_size=1, max_size=3), min_size=1, max_size=5)


@given(texts=TEXTS, asked=ASKED)
def test_counts_are_those_of_the_tokenizer(conn: Connection, texts: list[Texts], asked: list[list[str]]) -> None:
    phrases = [scratch.tokens_of(conn, [" ".join(words)])[0] for words in asked]
    found = occurrences.frequencies(conn, texts, phrases, WEIGHTS)
    assert found == [pytest.approx(counts) for counts in tokenized(conn, texts, phrases)]


@given(text=st.text(string.printable, max_size=60))
def test_any_text_of_ascii_has_its_words(conn: Connection, text: str) -> None:
    phrases = [(token,) for token in dict.fromkeys(scratch.tokens_of_text(conn, text))]
    found = occurrences.frequencies(conn, [("", text, "", "")], phrases, WEIGHTS)
    assert found == [pytest.approx(counts) for counts in tokenized(conn, [("", text, "", "")], phrases)]


def test_texts_of_other_letters_are_counted_beside(conn: Connection) -> None:
    texts: list[Texts] = [("", "a cafe", "", ""), ("", "un café, deux cafés", "café", "")]
    assert occurrences.frequencies(conn, texts, [("cafe",), ("deux", "cafe")], WEIGHTS) == [{0: 1.0, 1: 3.0}, {1: 1.0}]


def test_of_more_words_than_are_kept_each_has_its_token(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occurrences, "KNOWN_MAX_COUNT", 3)
    text = "running runs runner runners run"
    for _ in range(2):
        assert occurrences.frequencies(conn, [("", text, "", "")], [("run",)], WEIGHTS) == [{0: 3.0}]
