"""Pictures of the screens, as text that can be read and compared: what stands where, and in which style.

    python -m tests.tui.pictures    write them anew, to be looked at with `git diff`
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from aimem_tui.app import PANES, Console
from aimem_tui.state import State
from aimem_tui.steps import Failed
from aimem_tui.trouble import Trouble, TroubleKind
from tests.tui.looks import everything
from tests.tui.screens import console
from tests.tui.states import after

FOLDER: Final = Path(__file__).resolve().parent / "snapshots"
SMALL_DARK, LARGE_LIGHT = ("dark", (80, 24)), ("light", (120, 40))
LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Picture(Struct, frozen=True, kw_only=True):
    """A screen in a state, at a size, in a theme; `keys` are pressed before."""

    pane: str
    state: State
    theme: str
    size: tuple[int, int]
    keys: tuple[str, ...] = ()


def pictures() -> Mapping[str, Picture]:
    """All of them, by the names of their files."""
    return dict(_pictures())


def _pictures() -> Iterator[tuple[str, Picture]]:
    locked = Trouble(kind=TroubleKind.LOCKED, what="the key has expired", advice="make another with `ai-memory agents "
                     "key add` on that node, and start with --key")
    state = everything()
    for theme, size in (SMALL_DARK, LARGE_LIGHT):
        where = f"{size[0]}x{size[1]}-{theme}"
        for pane in PANES:
            name = pane.title.lower()
            yield f"{name}-{where}", Picture(pane=name, state=state, theme=theme, size=size)
            if theme == "dark":
                yield f"{name}-begins-{where}", Picture(pane=name, state=after(), theme=theme, size=size)
        refused = after(Failed(place=0, trouble=locked))
        yield f"mesh-locked-{where}", Picture(pane="mesh", state=refused, theme=theme, size=size)
        yield f"help-{where}", Picture(pane="mesh", state=state, theme=theme, size=size, keys=("question_mark",))
        yield f"approve-{where}", Picture(pane="pending", state=state, theme=theme, size=size, keys=("a",))


async def taken(picture: Picture) -> str:
    """The picture: the lines, then the same with a letter for each cell's style, then what the letters stand for."""
    app = console(picture.state, pane=picture.pane, theme=picture.theme)
    async with app.run_test(size=picture.size) as pilot:
        await pilot.pause()
        for key in picture.keys:
            await pilot.press(key)
        await pilot.pause()
        app.screen.set_focus(app.screen.focused)
        await pilot.pause()
        return _as_text(app)


def _as_text(app: Console) -> str:
    letters: dict[str, str] = {}
    lines, styles = [], []
    for strip in app.screen._compositor.render_strips():
        lines.append("".join(one.text for one in strip).rstrip())
        worn = []
        for one in strip:
            style = "" if one.style is None else str(one.style.without_color) + " " + _colours(one.style)
            worn.append(letters.setdefault(style.strip(), LETTERS[len(letters)]) * one.cell_length)
        styles.append("".join(worn))
    legend = [f"{letter} {style}" for style, letter in letters.items()]
    return "\n".join([*lines, "", *styles, "", *legend]) + "\n"


def _colours(style: object) -> str:
    colours = (getattr(style, name) for name in ("color", "bgcolor"))
    return " on ".join("-" if one is None else one.name for one in colours)


def main() -> None:
    """Write all pictures, and remove those that there are no more."""
    FOLDER.mkdir(exist_ok=True)
    found = pictures()
    for path in FOLDER.glob("*.txt"):
        if path.stem not in found:
            path.unlink()
    for name, picture in found.items():
        (FOLDER / f"{name}.txt").write_text(asyncio.run(taken(picture)))


if __name__ == "__main__":
    main()
