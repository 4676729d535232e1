"""Query parsing, and the expressions made of it, against a real FTS5 table."""

from __future__ import annotations

from collections.abc import Iterator

import pysqlite3.dbapi2 as sqlite
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.search import parse_query, stop_words
from aimem.store.expressions import all_of, any_of

HOSTILE = [
    '"', '""', "*", "AND", "NOT", "NEAR(", "a NEAR/2 b", "title:x", "{a b}:c", "^x", "-x", "(", "a+b", "'; DROP",
    "\x00", "\ud800", "___", "🙂", "\u200b", "ᦰ", "٣", "x̂y",
]
ODD_WORDS = ["foo_bar", "don't", "x̂y", "naïve", "Ⲁ", "Ꭰ", "ᦰb", "İstanbul"]
query_texts = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(HOSTILE)), max_size=8).map(" ".join)
# SQLite's tables end with Unicode 6.1 and take what came later for letters: stay where the two agree.
letters = st.characters(max_codepoint=0x527, categories=["L", "N", "P", "Zs"])
written = st.text(max_size=20, alphabet=letters)
written_texts = st.lists(st.one_of(written, st.sampled_from(ODD_WORDS)), min_size=1, max_size=6).map(" ".join)
TABLE = """
CREATE VIRTUAL TABLE f USING fts5 (
    title, content, tags, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
)
"""


@pytest.fixture(scope="module")
def table() -> Iterator[sqlite.Connection]:
    connection = sqlite.connect(":memory:")
    connection.execute(TABLE)
    yield connection
    connection.close()


def found(table: sqlite.Connection, expression: str) -> list[int]:
    return [no for (no,) in table.execute("SELECT rowid FROM f WHERE f MATCH ? ORDER BY rowid", (expression,))]


def fill(table: sqlite.Connection, *contents: str) -> None:
    table.execute("DELETE FROM f")
    table.executemany("INSERT INTO f (rowid, title, content, tags) VALUES (?, '', ?, '')", enumerate(contents, 1))


@given(query_texts)
def test_no_input_breaks_an_expression(table: sqlite.Connection, text: str) -> None:
    terms = parse_query(text).terms
    found(table, any_of(terms))
    found(table, all_of(terms))


@given(written_texts)
def test_a_text_is_found_by_itself_as_query(table: sqlite.Connection, text: str) -> None:
    fill(table, text)
    terms = parse_query(text).terms
    indexed = found(table, any_of(terms))
    assert found(table, all_of(terms)) == indexed
    assert indexed == ([1] if terms else [])


@given(query_texts)
def test_terms_are_distinct_bounded_and_never_mere_separators(text: str) -> None:
    terms = parse_query(text).terms
    assert len(set(terms)) == len(terms) <= 64
    assert all(term.strip("_") and not term.isspace() for term in terms)


def test_words_are_folded_and_counted_once() -> None:
    assert parse_query("Deploy DEPLOY deploy, Été été").terms == ("deploy", "Été")


def test_stop_words_go_unless_nothing_else_is_left() -> None:
    assert parse_query("What did I say about the budget?").terms == ("say", "budget")
    assert parse_query("who are you").terms == ("who", "are", "you")


def test_negation_is_no_stop_word() -> None:
    assert parse_query("do not deploy").terms == ("not", "deploy")


def test_invisible_code_points_do_not_cut_a_word() -> None:
    assert parse_query("pass\u200bword \ufeffse\u00adcret").terms == ("password", "secret")


def test_at_most_64_words_and_no_blobs_are_looked_up() -> None:
    assert parse_query(" ".join(f"w{i}" for i in range(500))).terms == tuple(f"w{i}" for i in range(64))
    assert parse_query("key " + "a_" * 30_000).terms == ("key",)


@pytest.mark.parametrize("text", ["", "   ", "?!…", "___ _", "🙂🙂", "\u200b\u2060", '"" * ^'])
def test_text_without_a_word_finds_nothing_not_even_the_word_empty(table: sqlite.Connection, text: str) -> None:
    fill(table, "_empty_ empty")
    assert parse_query(text).terms == ()
    assert found(table, any_of(())) == found(table, all_of(())) == []


def test_any_needs_one_word_and_all_needs_each(table: sqlite.Connection) -> None:
    fill(table, "the certificate expired", "deploys failed", "an expired certificate broke the deploy")
    terms = parse_query("certificates and deploys").terms
    assert found(table, any_of(terms)) == [1, 2, 3]
    assert found(table, all_of(terms)) == [3]


def test_operators_and_column_filters_are_plain_words(table: sqlite.Connection) -> None:
    fill(table, "near misses", "title case")
    assert found(table, all_of(parse_query("NEAR(misses)").terms)) == [1]
    assert found(table, all_of(parse_query("title:case").terms)) == [2]


def test_an_identifier_is_a_phrase(table: sqlite.Connection) -> None:
    fill(table, "set foo_bar to 1", "bar of foo")
    assert found(table, any_of(parse_query("foo_bar").terms)) == [1]


def test_stop_list_is_of_the_size_of_english_function_words() -> None:
    assert 60 <= len(stop_words()) <= 120
    assert all(word == word.lower() and word.isalpha() for word in stop_words())


def test_odd_words_are_told_from_the_others() -> None:
    found = parse_query("why does ERR_CONN_42 happen in 会議室A?")
    assert found.terms == ("err_conn_42", "happen", "会議室")
    assert found.odd == ("err_conn_42", "会議室")
    assert found.even == ("happen",)


def test_a_query_without_odd_words_is_all_even() -> None:
    found = parse_query("plain words of 2024")
    assert (found.odd, found.even) == ((), found.terms)


def test_scripts_that_touch_are_two_words() -> None:
    assert parse_query("Kubernetesの設定").terms == ("kubernetes", "の設定")
