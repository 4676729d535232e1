"""Each room is entered by its door: its `__init__.py` shows the names that others may use."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import PACKAGE, ROOT, modules, room_of, rooms, shown, tree


def shown_names(room: Path) -> set[str]:
    """The names in a room's `__all__`."""
    for node in tree(room / "__init__.py").body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            return set(ast.literal_eval(node.value))
    return set()


def _imports(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def imported_names(path: Path) -> Iterator[tuple[int, str, str]]:
    """Each import of ours in a file: line, module, name (empty for `import module`)."""
    for node in _imports(path):
        for alias in node.names:
            module, name = (node.module or "", alias.name) if isinstance(node, ast.ImportFrom) else (alias.name, "")
            if module.split(".")[0] == "aimem":
                yield node.lineno, module, name


def past_the_door(path: Path, doors: dict[str, set[str]]) -> Iterator[str]:
    """The imports of a file that reach into another room."""
    for line, module, name in imported_names(path):
        parts = module.split(".")
        room = parts[1] if len(parts) > 1 else name
        if room == room_of(path) or room not in doors:
            continue
        through_the_door = len(parts) == 1 or (len(parts) == 2 and (name == "" or name in doors[room]))
        if not through_the_door:
            yield f"{shown(path)}:{line}: {module}{'.' + name if name else ''}"


def test_a_room_is_entered_only_through_its_init() -> None:
    doors = {room.name: shown_names(room) for room in rooms()}
    trespasses = [trespass for path in modules() for trespass in past_the_door(path, doors)]
    assert not trespasses, "\n".join(trespasses)


@pytest.mark.parametrize("room", rooms(), ids=lambda room: room.name)
def test_a_room_says_what_it_owns_and_what_it_must_never_do(room: Path) -> None:
    text = ast.get_docstring(tree(room / "__init__.py")) or ""
    assert "Owns" in text
    assert "never" in text.lower()


@pytest.mark.parametrize("room", rooms(), ids=lambda room: room.name)
def test_the_names_that_a_room_shows_are_there(room: Path) -> None:
    names = shown_names(room)
    bound = {
        name
        for node in tree(room / "__init__.py").body
        for name in (
            [alias.asname or alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom)
            else [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign)
            else [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            else [node.name] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            else []
        )
    }
    # A module of the room can be imported by its name, also where the room itself does not load it.
    missing = names - bound - {path.stem for path in room.glob("*.py")}
    assert names, f"{room.name} shows nothing: give it an __all__"
    assert not missing, f"{room.name} shows {sorted(missing)}, which it does not import"


def test_the_package_itself_imports_nothing() -> None:
    assert not list(_imports(PACKAGE / "__init__.py"))


@pytest.mark.parametrize("folder", ["packaging", "tui", "man", "tests", "typings"])
def test_no_top_level_folder_shadows_a_library(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
