"""Every screen looks as it was last looked at by a person, small and dark, large and light."""

from __future__ import annotations

import pytest

from tests.tui.pictures import FOLDER, LARGE_LIGHT, SMALL_DARK, pictures, taken

ALL = pictures()


@pytest.mark.parametrize("name", ALL)
async def test_a_screen_looks_as_its_picture(name: str) -> None:
    path = FOLDER / f"{name}.txt"
    assert path.exists(), "run: python -m tests.tui.pictures"
    assert await taken(ALL[name]) == path.read_text(), "look at what changed, then: python -m tests.tui.pictures"


def test_there_is_no_picture_of_what_is_no_screen() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_no_line_of_a_picture_is_wider_than_its_screen(name: str) -> None:
    lines = (FOLDER / f"{name}.txt").read_text().split("\n\n")[0].splitlines()
    width = (SMALL_DARK if name.endswith("dark") else LARGE_LIGHT)[1][0]
    assert all(len(line) <= width for line in lines)
