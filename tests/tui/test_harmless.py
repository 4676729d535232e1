"""Text of others is made fit for a terminal: whatever it is, and never at the cost of what is plain."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from aimem_tui.harmless import LIMIT_CHARS, MARKS_MAX, harmless, harmless_lines
from tests.hostile import TEXTS
from tests.tui.hostile import TERMINAL

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
MOVES_OR_HIDES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(char) in MOVES_OR_HIDES for char in text)


@given(ANY_TEXT)
def test_no_text_moves_the_cursor_reorders_or_breaks_the_line(text: str) -> None:
    shown = harmless(text)
    assert is_harmless(shown)
    assert len(shown) <= LIMIT_CHARS
    shown.encode()      # no half of a surrogate pair is left
    assert cell_len(shown) <= 2 * len(shown)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=LIMIT_CHARS))
def test_plain_text_stays_as_it_is_markup_too(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize("text", [*TEXTS.values(), *TERMINAL])
def test_known_attacks_become_text(text: str) -> None:
    assert is_harmless(harmless(text))


def test_what_would_act_is_shown_as_an_escape() -> None:
    assert harmless("\x1b[31mred\u202e") == "\\u001b[31mred\\u202e"
    assert harmless("a\nb\tc") == "a b c"


def test_marks_do_not_climb_over_other_lines() -> None:
    assert harmless("e" + "\u0301" * 300 + "f") == "e" + "\u0301" * MARKS_MAX + "f"


def test_joiners_go_so_that_all_terminals_agree_on_the_width() -> None:
    assert harmless("👩\u200d👧\ufe0f") == "👩👧"


def test_what_is_too_long_ends_with_an_ellipsis() -> None:
    assert harmless("x" * 1_000_000, 10) == "x" * 9 + "…"
    assert len(harmless("\x00" * 1_000)) <= LIMIT_CHARS


@given(ANY_TEXT)
def test_lines_are_harmless_each(text: str) -> None:
    assert all(map(is_harmless, harmless_lines(text)))


def test_there_are_at_most_so_many_lines() -> None:
    assert harmless_lines("a\r\nb\n" * 3, 4) == ("a", "b", "a", "b", "… 3 more lines")
