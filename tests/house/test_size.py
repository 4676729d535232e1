"""What does not fit on a few screens is split by subject."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.sources import ROOT, functions, modules, shown, tree

MODULE_LINES = 400
FUNCTION_LINES = 40

# Up to these, if a reason stands below; beyond them nothing helps but splitting.
MODULE_LINES_EXCUSED = 500
FUNCTION_LINES_EXCUSED = 60

EXCUSED: dict[str, str] = {}
"""`path` or `path:function` -> why splitting would read worse."""


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring: explaining is never punished."""
    first = function.body[0]
    explained = 0
    if ast.get_docstring(function, clean=False) is not None:
        explained = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - explained


OURS = [*modules(), *modules(ROOT / "tui")]


@pytest.mark.parametrize("path", OURS, ids=shown)
def test_modules_and_functions_are_short(path: Path) -> None:
    length = len(path.read_text().splitlines())
    limit = MODULE_LINES_EXCUSED if shown(path) in EXCUSED else MODULE_LINES
    assert length <= limit, f"{shown(path)} has {length} lines; at most {limit}"
    for function in functions(tree(path)):
        name = f"{shown(path)}:{function.name}"
        limit = FUNCTION_LINES_EXCUSED if name in EXCUSED else FUNCTION_LINES
        assert lines_of(function) <= limit, f"{name} has {lines_of(function)} lines; at most {limit}"


def test_every_excuse_is_still_needed() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) - MODULE_LINES for path in OURS}
    for path in OURS:
        for function in functions(tree(path)):
            lengths[f"{shown(path)}:{function.name}"] = lines_of(function) - FUNCTION_LINES
    assert not [name for name in EXCUSED if lengths.get(name, 0) <= 0]
