"""Text that may stand only in certain places: SQL, open points, sleeping, the version."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.house.sources import PACKAGE, ROOT, modules, room_of, shown, tree

SQL = re.compile(
    r"\s*(SELECT\s+\S|INSERT\s+(OR\s+\w+\s+)?INTO\s|REPLACE\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|(CREATE|DROP|ALTER)\s+(TABLE|VIRTUAL|VIEW|INDEX|UNIQUE|TRIGGER|TEMP)\b|PRAGMA\s+\w|VACUUM\b|ATTACH\s+\S"
    r"|WITH\s+(RECURSIVE\s+)?\w+(\s*\(.*?\))?\s+AS\s|BEGIN(\s+(IMMEDIATE|EXCLUSIVE|DEFERRED))?\s*;?\s*$"
    r"|(COMMIT|ROLLBACK)(\s+TO\s+\w+)?\s*;?\s*$|(SAVEPOINT|RELEASE)\s+\w)",
    re.DOTALL,
)
SLEEPS = {("time", "sleep"), ("asyncio", "sleep"), ("datetime", "now"), ("datetime", "utcnow")}


def sql_texts(path: Path) -> list[str]:
    """String constants of a file that begin like a statement, the parts of f-strings too."""
    return [
        f"{shown(path)}:{node.lineno}: {node.value.strip()[:60]!r}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]


@pytest.mark.parametrize("text", [
    "SELECT 1", "\n  INSERT INTO t VALUES (?)", "UPDATE t SET a = 1", "DELETE FROM t", "PRAGMA user_version",
    "CREATE TABLE t (a)", "BEGIN IMMEDIATE", "COMMIT", "SAVEPOINT job", "WITH RECURSIVE up(a) AS (SELECT 1) SELECT a",
])
def test_the_check_knows_a_statement(text: str) -> None:
    assert SQL.match(text)


@pytest.mark.parametrize("text", [
    "DELETE", "Update a memory", "SELECTED", "select what you need", "CREATE", "Begin", "With a key",
    "DELETE /api/v1/memories/{id}",
])
def test_the_check_leaves_words_alone(text: str) -> None:
    assert not SQL.match(text)


def test_sql_stands_only_in_store() -> None:
    elsewhere = [text for path in modules() if room_of(path) != "store" for text in sql_texts(path)]
    assert not elsewhere, "\n".join(elsewhere)


@pytest.mark.parametrize("folder", ["aimem", "tests", "tui"])
def test_an_open_point_carries_a_number(folder: str) -> None:
    marks = re.compile(r"#.*\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
    found = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in modules(ROOT / folder)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if marks.search(line) and path != Path(__file__)
    ]
    assert not found, "\n".join(found)


def test_no_test_sleeps_or_asks_the_wall_clock() -> None:
    found = [
        f"{shown(path)}:{node.lineno}"
        for path in modules(ROOT / "tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in SLEEPS
    ]
    assert not found, "\n".join(found)


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = re.findall(r'__version__ = "([^"]+)"', (PACKAGE / "__init__.py").read_text())
    assert len(found) == 1
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "aimem/__init__.py"
    again = [shown(path) for path in modules() if f'"{found[0]}"' in path.read_text()]
    assert again == ["aimem/__init__.py"]
    assert f"[{found[0]}]" in (ROOT / "CHANGELOG.md").read_text()
