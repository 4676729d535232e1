"""Every mended defect that the manual tells of has a test, and every test that is named is there."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.house.mended import MENDED
from tests.house.sources import MANUAL, ROOT, functions, tree

ROWS = [(section, title, test) for section, rows in MENDED.items() for title, tests in rows.items() for test in tests]


def rows_of_the_page() -> dict[str, list[str]]:
    """Section -> titles of its rows."""
    page: dict[str, list[str]] = {}
    for macro, words in re.findall(r"^\.(Ss|It) (.+)$", (MANUAL / "ai-memory-compat.7").read_text(), re.MULTILINE):
        if macro == "Ss":
            page[words] = []
        else:
            list(page.values())[-1].append(words.removeprefix(r"\&"))     # keeps `No` from being a macro
    return {section: titles for section, titles in page.items() if titles}


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of a file's functions."""
    file = ROOT / path
    return frozenset(function.name for function in functions(tree(file))) if file.exists() else frozenset()


def test_every_row_has_tests_and_no_test_is_without_its_row() -> None:
    page = rows_of_the_page()
    assert {section: set(rows) for section, rows in MENDED.items()} == {
        section: set(titles) for section, titles in page.items()
    }
    assert all(len(titles) == len(set(titles)) for titles in page.values())
    assert all(tests for rows in MENDED.values() for tests in rows.values())


@pytest.mark.parametrize(("section", "title", "test"), ROWS)
def test_a_test_that_is_named_is_there(section: str, title: str, test: str) -> None:
    path, _, name = test.partition("::")
    assert name in names_in(path), f"{section}, {title}: {test} is not there"
