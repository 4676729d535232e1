"""What a terminal is sent, and what a pipe is."""

from __future__ import annotations

import io
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.cli import Surroundings
from aimem.cli.identity import writer_id
from aimem.cli.screen import Screen, places_below
from aimem.cli.text import age, counted, one_line, printable, size_words
from aimem.config import IdentityConfig
from aimem.model import Instant, rules
from tests.cli.fakes import MEMORY, NOW, Machine, Stream

HOSTILE = "\x1b]0;owned\x07 \u202edrow \x9b31m [red]bold[/red] :smile:"
PAGE = {"memories": [{**MEMORY, "title": HOSTILE, "content": HOSTILE + "\nsecond"}], "count": 1}


def test_a_terminal_gets_a_table_without_the_memory_s_control_characters(machine: Machine) -> None:
    shown = machine.run("list", answer=PAGE, terminal=True, environ={"COLUMNS": "200", "NO_COLOR": "1"}).out
    assert "\\x1b]0;owned\\x07 \\u202edrow \\x9b31m [red]bold[/red] :smile:" in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert "──" in shown


def test_a_terminal_gets_json_whose_value_is_the_same_without_control_characters(machine: Machine) -> None:
    shown = machine.run("list", "--json", answer=PAGE, terminal=True)
    assert shown.json == machine.run("list", "--json", answer=PAGE).json == PAGE
    assert not [char for char in shown.out if (unicodedata.category(char) == "Cc" and char != "\n") or char == "\u202e"]


def test_no_color_is_honoured(machine: Machine) -> None:
    coloured = machine.run("list", answer=PAGE, terminal=True, environ={"COLUMNS": "200"}).out
    plain = machine.run("list", answer=PAGE, terminal=True, environ={"COLUMNS": "200", "NO_COLOR": "1"}).out
    assert "\x1b[1m" in coloured
    assert "\x1b[3" not in plain


def test_a_pipe_gets_aligned_lines_without_colour(machine: Machine) -> None:
    shown = machine.run("list", answer=PAGE).out
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


def test_text_is_neutralised_on_a_terminal_and_whole_on_a_pipe(machine: Machine) -> None:
    memory = {**MEMORY, "content": HOSTILE}
    answer = {**memory, "memory": memory, "links": []}
    assert "\\x1b]0;owned" in machine.run("get", "x-12", answer=answer, terminal=True).out
    assert HOSTILE in machine.run("get", "x-12", answer=answer).out


def test_a_bar_on_a_terminal_goes_to_stderr(machine: Machine) -> None:
    (machine.cwd / "a.jsonl").write_text('{"content": "x"}\n')
    done = machine.run("import", "a.jsonl", terminal=True, answer={"imported": 1, "errors": []})
    assert "importing" in done.err
    assert done.out == "imported: 1 memory, 0 links\n"


def test_wide_characters_keep_the_columns_aligned(machine: Machine) -> None:
    page = {"memories": [{**MEMORY, "namespace": "日本"}, {**MEMORY, "namespace": "ab"}], "count": 2}
    rows = machine.run("list", answer=page).out.splitlines()
    assert rows[1].index("3h ago") + 2 == rows[2].index("3h ago")


@given(st.text())
def test_printable_text_holds_nothing_that_drives_a_terminal(text: str) -> None:
    shown = printable(text)
    assert all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs") for char in shown)
    assert printable(shown) == shown
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(("moment", "expected"), [
    ("2026-01-02T00:00:00.000000Z", "just now"),
    ("2026-01-03T00:00:00Z", "just now"), ("2026-01-01T23:59:00Z", "1m ago"),
    ("2026-01-01T23:00:00Z", "1h ago"), ("2026-01-01T00:00:00Z", "1d ago"), ("2025-12-03T00:00:00Z", "1mo ago"),
    ("2023-01-02T00:00:00Z", "36mo ago"), ("odd", "odd"),
])
def test_ages_are_rounded_down(moment: str, expected: str) -> None:
    assert age(moment, NOW) == expected


def test_counts_and_sizes_are_words() -> None:
    assert [counted(n, "memory") for n in (0, 1, 2)] == ["0 memories", "1 memory", "2 memories"]
    assert [counted(n, "key") for n in (0, 1, 2)] == ["0 keys", "1 key", "2 keys"]
    sizes = [size_words(n) for n in (0, 1023, 1024, 5 << 20, 3 << 30)]
    assert sizes == ["0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3.0 GiB"]


@given(host=st.text(max_size=200), pid=st.integers(1, 4_194_304))
def test_a_made_agent_id_is_always_valid(host: str, pid: int) -> None:
    made = writer_id(IdentityConfig(), host=host, pid=pid, rng=random.Random(1))
    assert rules.agent_id(made) == made


def test_the_documented_width_of_ids_is_a_prefix_that_get_takes(tmp_path: Path) -> None:
    assert rules.ID_PREFIX_MIN_CHARS <= 8


ROW = {**MEMORY, "title": "Where the nightly builds are made, and by which server", "content": "In Berlin. " * 8}


def test_a_narrow_terminal_cuts_no_cell(machine: Machine) -> None:
    """A table squeezed into 80 columns would lose its content and the ends of its ids."""
    page = {"memories": [{**ROW, "score": 0.5}], "count": 1, "mode": "hybrid", "tokens_used": 3}
    shown = machine.run("recall", "builds", answer=page, terminal=True, environ={"COLUMNS": "80", "NO_COLOR": "1"}).out
    assert [line.rstrip() for line in shown.splitlines()] == [
        "\x1b[1mSCORE  ID        TIER  NAMESPACE  UPDATED\x1b[0m",
        "0.500  3f2a9c1e  mid   project    3h ago",
        "    title: Where the nightly builds are made, and by which server",
        "    content: In Berlin. In Berlin. In Berlin. In Berlin. In Berlin. In Berlin.",
        "    In Berlin. In Berlin.",
    ]


def test_what_is_below_a_row_is_wrapped_and_no_markup(machine: Machine) -> None:
    page = {"memories": [{**ROW, "content": "[red]" + "word " * 18}], "count": 1}
    shown = machine.run("list", answer=page, terminal=True, environ={"COLUMNS": "60", "NO_COLOR": "1"}).out
    assert max(len(line) for line in shown.splitlines()[1:]) <= 60
    assert "[red]" in shown
    assert shown.count("word") == 18


@given(st.lists(st.integers(1, 120), min_size=1, max_size=8), st.integers(20, 200))
def test_the_widest_columns_leave_a_line_that_is_too_long(widths: list[int], terminal: int) -> None:
    below = places_below(widths, terminal)
    beside = [width for place, width in enumerate(widths) if place not in below]
    assert len(beside) == 1 or sum(beside) + 2 * (len(beside) - 1) <= terminal
    assert all(widths[place] >= max(beside) for place in below)


@pytest.mark.parametrize(("moments_s", "percents"), [
    ((1, 1, 1.9, 1.9), []),                         # done before anybody wonders
    ((1, 2, 3, 3), [50, 100]),                      # what was begun to be told is told to its end, once
    ((2, 11.9, 12, 30), [25, 75, 100]),
])
def test_plain_progress_is_told_after_two_seconds_and_every_ten(
    tmp_path: Path, moments_s: tuple[float, ...], percents: list[int]
) -> None:
    log, moments = Stream(), iter([0.0, *moments_s, moments_s[-1]])
    around = Surroundings(
        stdin=io.BytesIO(), stdout=Stream(), stderr=log, environ={}, cwd=tmp_path, home=tmp_path, host="box", pid=1,
        program=(), now=lambda: Instant(round(NOW + next(moments) * 1e6)), rng=random.Random)
    with Screen(around).progress("pulling", 4) as advance:
        for _ in range(5):
            advance(1)
    assert log.getvalue() == "".join(f"ai-memory: pulling: {percent} %\n" for percent in percents)
