"""Our own files, as the tests of the house read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "aimem"
MANUAL = ROOT / "man"


def modules(folder: Path = PACKAGE) -> list[Path]:
    """Every Python file below a folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), filename=str(path))


def shown(path: Path) -> str:
    """A path as messages name it."""
    return str(path.relative_to(ROOT))


def room_of(path: Path) -> str:
    """The first name below the package: a room, or a module beside the rooms."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms() -> list[Path]:
    """The folders of the package."""
    return sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods, nested ones too."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def manual_pages() -> list[Path]:
    """Every page of the manual."""
    return sorted(MANUAL.glob("*.[1-8]"))
