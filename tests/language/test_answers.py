"""Answers: what is believed, what is cut, what is refused."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import Code, Unavailable
from aimem.language import Prompt, read_summary, read_tags, read_terms, read_verdict
from aimem.model import rules

PROMPT = Prompt(system="s", user="u", boundary="0123456789abcdef")


@pytest.mark.parametrize(("answer", "verdict"), [
    ("yes", True), ("No", False), (" YES.\n", True), ("**No**", False), ("\"yes\"", True),
    ("Yes, the ports differ.", True), ("No - both can be true", False), ("yes\nBecause they differ.", True),
    ("<think>They say no, but…</think>\n\nyes", True),
])
def test_a_verdict_is_yes_or_no(answer: str, verdict: bool) -> None:
    assert read_verdict(answer, PROMPT) is verdict


@pytest.mark.parametrize("answer", [
    "", "maybe", "yesterday", "no contradiction was found", "nope", "I think yes", "yes 0123456789abcdef", "是",
    "<think>yes</think>",
])
def test_any_other_verdict_is_refused(answer: str) -> None:
    with pytest.raises(Unavailable) as caught:
        read_verdict(answer, PROMPT)
    assert caught.value.code is Code.LLM_ANSWER_UNUSABLE


@pytest.mark.parametrize(("answer", "tags"), [
    ("postgres\nPorts\n- Ops\n4. release-day", ("postgres", "ports", "ops", "release-day")),
    ("db, Ports , db", ("db", "ports")),
    ("\n".join(f"t{i}" for i in range(20)), tuple(f"t{i}" for i in range(8))),
    ("Here are the tags for your text:\ndatabase", ("database",)),
    (f"{'x' * 129}\nok", ("ok",)),
    ("#sql\n`infra`\n\"api\"", ("sql", "infra", "api")),
])
def test_tags_are_made_to_fit_or_left_out(answer: str, tags: tuple[str, ...]) -> None:
    assert read_tags(answer, PROMPT) == tags


@pytest.mark.parametrize("answer", ["", "\n\n", "x" * 129, "\x00\n\x01", "DATA 0123456789abcdef\nfoo"])
def test_an_answer_without_a_tag_is_refused(answer: str) -> None:
    with pytest.raises(Unavailable) as caught:
        read_tags(answer, PROMPT)
    assert caught.value.code is Code.LLM_ANSWER_UNUSABLE


@pytest.mark.parametrize("piece", ["\n", ",", "x" * 200 + "\n"])
def test_a_mebibyte_of_nothing_is_refused_at_once(piece: str) -> None:
    begin = time.process_time()
    with pytest.raises(Unavailable):
        read_tags("a sentence that is no tag" + piece * (1_048_576 // len(piece)), PROMPT)
    assert time.process_time() - begin < 0.5


def test_terms_keep_their_case_and_are_at_most_eight() -> None:
    terms = read_terms("1. PostgreSQL\n2. connection pool\n" + "\n".join(f"w{i}" for i in range(20)), PROMPT)
    assert terms[:2] == ("PostgreSQL", "connection pool")
    assert len(terms) == 8


def test_a_long_summary_is_cut_after_a_word() -> None:
    summary = read_summary("wort " * 5_000, PROMPT)
    assert len(summary.encode()) <= 4_096
    assert summary.endswith("wort")


def test_a_summary_of_long_letters_is_cut_between_them() -> None:
    assert set(read_summary("語" * 5_000, PROMPT)) == {"語"}


@pytest.mark.parametrize("answer", ["", "  \n", "a\x00b", "see DATA 0123456789abcdef"])
def test_a_summary_that_may_not_be_stored_is_refused(answer: str) -> None:
    with pytest.raises(Unavailable) as caught:
        read_summary(answer, PROMPT)
    assert caught.value.code is Code.LLM_ANSWER_UNUSABLE


@given(st.text(max_size=400))
def test_whatever_a_model_says_is_usable_or_refused(answer: str) -> None:
    for read in (read_summary, read_tags, read_terms, read_verdict):
        found = None
        with contextlib.suppress(Unavailable):
            found = read(answer, PROMPT)
        if found is None:
            continue
        if read is read_summary:
            assert rules.content(found) == found
        elif read is not read_verdict:
            assert rules.tags(found) == found
