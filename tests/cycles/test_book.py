"""Whatever is not as promised is found; whatever may be so is not."""

from __future__ import annotations

import pytest

from tests.cycles.book import Book, Row

SHOWN = {"a": "one", "b": "two"}


def book_of(**rows: Row) -> Book:
    return Book(rows=rows)


def test_what_was_acknowledged_is_no_fault() -> None:
    book = book_of(a=Row("one"), b=Row("two"), c=Row("three", is_gone=True))
    assert not [*book.faults(SHOWN)]


@pytest.mark.parametrize(("book", "words"), [
    (book_of(a=Row("one"), b=Row("two"), c=Row("three")), "c (three) is lost"),
    (book_of(a=Row("one", is_gone=True), b=Row("two")), "a (one) was deleted and is there"),
    (book_of(a=Row("one"), b=Row("newer")), "b is 'two', not as"),
    (book_of(a=Row("one")), "b is 'two', of which nobody was told"),
    (Book(rows={"a": Row("one")}, refused={"two"}), "b is 'two', which was refused"),
    (Book(rows={"a": Row("one"), "b": Row("older")}, refused={"two"}), "b is 'two', which was refused"),
])
def test_each_broken_promise_is_found(book: Book, words: str) -> None:
    [found] = book.faults(SHOWN)
    assert found.startswith(words)


def test_a_memory_that_is_there_twice_is_found() -> None:
    book = Book(rows={"a": Row("one")}, maybe={"one"})
    assert [*book.faults({"a": "one", "b": "one"})] == ["'one' is there 2 times"]


def test_of_what_nobody_was_told_anything_may_have_become() -> None:
    book = Book(
        rows={
            "a": Row("older", doubtful={"one"}), "c": Row("three", is_retired=True), "d": Row("four", doubtful={"five"})
        }, maybe={"two", "six"},
    )
    for text in ("four", "five"):
        assert not [*book.faults({**SHOWN, "d": text})]
    assert not [*book.faults({**SHOWN, "c": "three", "d": "four"})]
