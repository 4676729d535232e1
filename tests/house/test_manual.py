"""The manual says everything that the program can say, and its pages are well formed."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from aimem.errors import Code
from tests.house.sources import MANUAL, manual_pages, modules, shown, tree

SECTIONS = (
    "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO",
)
"""The order of those that a page has; sections of a page's own stand between them."""

LEVELS = {
    "debug": {"debug"}, "info": {"info"}, "warning": {"warning"}, "error": {"error"}, "exception": {"error"},
    "critical": {"critical"}, "log": {"warning", "error"},
}
"""Method of a log -> what its line may have."""

TOLERATED = re.compile(r"STYLE: (referenced manual not found|input text line longer than 80 bytes)")
"""Our pages are not installed where the tests run (references are checked below); our sources have 120 columns."""


@pytest.mark.slow
@pytest.mark.parametrize("page", manual_pages(), ids=lambda page: page.name)
def test_mandoc_finds_nothing(page: Path) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed (apt install mandoc)")
    run = subprocess.run(["mandoc", "-T", "lint", str(page)], capture_output=True, text=True, check=False)
    remarks = [line for line in (run.stdout + run.stderr).splitlines() if not TOLERATED.search(line)]
    assert not remarks, "\n".join(remarks)


@pytest.mark.parametrize("page", manual_pages(), ids=lambda page: page.name)
def test_a_page_keeps_the_order_of_sections(page: Path) -> None:
    headings = re.findall(r"^\.Sh (.+)$", page.read_text(), re.MULTILINE)
    known = [heading for heading in headings if heading in SECTIONS]
    assert headings[0] == "NAME"
    assert headings[-1] == "SEE ALSO"
    assert known == sorted(known, key=SECTIONS.index)


@pytest.mark.parametrize("page", manual_pages(), ids=lambda page: page.name)
def test_a_page_is_named_as_its_file_and_refers_to_pages_that_exist(page: Path) -> None:
    text = page.read_text()
    title = re.search(r"^\.Dt (\S+) ([1-8])$", text, re.MULTILINE)
    assert title is not None
    assert f"{title[1].lower()}.{title[2]}" == page.name
    for name, section in re.findall(r"^\.Xr (ai-memory\S*) ([1-8])", text, re.MULTILINE):
        assert (MANUAL / f"{name}.{section}").exists(), f"{page.name} refers to {name}({section})"


@pytest.mark.parametrize("page", manual_pages(), ids=lambda page: page.name)
def test_no_name_is_hyphenated(page: Path) -> None:
    assert ".nr doc-hyphen-flags 0\n.Sh NAME\n" in page.read_text()


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_the_manual_explains_every_error_code(code: Code) -> None:
    pages = "\n".join(page.read_text() for page in manual_pages() if page.stem != "ai-memory-compat")
    is_there = re.search(rf"\b{code}\b", pages) is not None
    assert is_there, f"no page of the manual explains {code}"


def test_every_change_against_the_older_system_says_what_was_and_what_is() -> None:
    text = (MANUAL / "ai-memory-compat.7").read_text()
    rows = text.split("\n.It ")[1:]
    assert len(rows) > 50
    for row in rows:
        assert row.count(".Em Was :\n") == row.count(".Em Now :\n") == 1, row.partition("\n")[0]


def logged() -> dict[str, set[str]]:
    """Event -> levels, of all calls of a log."""
    found: dict[str, set[str]] = {}
    for path in modules():
        for node in ast.walk(tree(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            of, called = node.func.value, node.func.attr
            if not (isinstance(of, ast.Name) and of.id == "log" and called in LEVELS):
                continue
            event = node.args[1] if called == "log" else node.args[0]
            values = [one.value for one in ast.walk(event) if isinstance(one, ast.Constant)]
            names = [value for value in values if isinstance(value, str)]
            assert names, f"{shown(path)}:{node.lineno}: an event has a constant name"
            for name in names:
                found.setdefault(name, set()).update(LEVELS[called])
    return found


def test_every_event_of_the_log_is_in_the_manual_with_its_level() -> None:
    page = (MANUAL / "ai-memory-service.7").read_text()
    told = dict(re.findall(r"^\.It Li ([a-z]+\.[a-z_]+) Pq ([a-z]+)$", page, re.MULTILINE))
    assert told.pop("library.said") == "warning"
    events = logged()
    assert len(events) > 80
    assert told.keys() == events.keys()
    assert not {name: levels for name, levels in events.items() if told[name] not in levels}


def test_a_word_of_the_glossary_is_defined_once() -> None:
    words = re.findall(r"^\.It Sy (.+)$", (MANUAL / "ai-memory-glossary.7").read_text(), re.MULTILINE)
    assert len(words) == len(set(words)) > 50
