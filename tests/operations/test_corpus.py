"""Made-up conversations are the same for everybody and read like real ones."""

from __future__ import annotations

from collections import Counter
from statistics import mean, median

from aimem.operations import Corpus
from aimem.search import parse_query

ROWS = 2_000


def test_a_text_depends_on_the_seed_and_its_number_alone() -> None:
    one, same, other = Corpus(), Corpus(), Corpus(seed=2)
    assert [one.turn(number) for number in (5, 3)] == [same.turn(number) for number in (5, 3)]
    assert one.question(3, ROWS) == same.question(3, ROWS)
    assert one.turn(3).text != other.turn(3).text


def test_ten_turns_make_a_conversation_between_two() -> None:
    turns = [Corpus().turn(number) for number in range(20)]
    assert Counter(turn.conversation for turn in turns) == {0: 10, 1: 10}
    assert [turn.role for turn in turns[:3]] == ["user", "assistant", "user"]


def test_words_are_as_frequent_as_in_real_conversations() -> None:
    corpus = Corpus()
    texts = [corpus.turn(number).text.lower().replace(".", "").split() for number in range(ROWS)]
    assert 40 < mean(len(text) for text in texts) < 56
    in_rows = Counter(word for text in texts for word in set(text))
    terms = [parse_query(corpus.question(number, ROWS)).terms for number in range(200)]
    touched = [sum(in_rows[term] for term in asked) / ROWS for asked in terms]
    assert 6 < mean(map(len, terms)) < 8
    assert 0.06 < median(touched) < 0.14
    assert 0.2 < sorted(touched)[190] < 0.45


def test_a_question_has_words_of_a_conversation_that_is_there() -> None:
    corpus = Corpus()
    words = {word for number in range(10) for word in corpus.turn(number).text.lower().replace(".", "").split()}
    found = sum(len(words & set(parse_query(corpus.question(number, 10)).terms)) > 0 for number in range(20))
    assert found >= 15
