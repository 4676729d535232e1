"""The unit files, read as systemd reads them: sections of assignments, each of which may stand several times."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "packaging" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"), key=lambda path: path.name)
UNITS = sorted([*SERVICES, *FOLDER.glob("*.timer")], key=lambda path: path.name)


class Line(NamedTuple):
    """An assignment, and the comment that stands right above it."""

    section: str
    key: str
    value: str
    comment: str


def lines_of(path: Path) -> list[Line]:
    """All assignments of a unit."""
    found, section, comment = [], "", []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
            continue
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            key, _, value = line.partition("=")
            found.append(Line(section, key, value, " ".join(comment)))
        comment = []
    return found


def values_of(path: Path, key: str) -> list[str]:
    """What is assigned under a name."""
    return [line.value for line in lines_of(path) if line.key == key]
