"""The verb that prints a page of the manual."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.errors import NotFound

PREFIX: Final = "ai-memory"


def manual(context: Context) -> int:
    """Print one page as it is written."""
    asked: str = context.value("page") or ""
    pages = page_files()
    name = asked.rpartition("/")[2].removeprefix(PREFIX).lstrip("-").partition(".")[0]
    page = pages.get(name)
    if page is None:
        near = difflib.get_close_matches(name, pages, n=1)
        hint = f"did you mean {near[0]}?" if near else "see `ai-memory man` for the list of verbs"
        raise NotFound(f"there is no manual page {asked[:64]!r}; {hint}", field="page")
    # Not through the screen: on a terminal it would show escapes of what is ours.
    context.around.stdout.write(page.read_text(encoding="utf-8"))
    return ExitStatus.OK


def page_files() -> dict[str, Path]:
    """Every page by what follows `ai-memory-` in its name; ai-memory(1) itself by nothing.

    An installed package carries them inside; in the source's folder they lie beside it.
    """
    package = Path(__file__).resolve().parents[2]
    folder = package / "man" if (package / "man").is_dir() else package.parent / "man"
    return {path.stem.removeprefix(PREFIX).lstrip("-"): path for path in sorted(folder.glob(f"{PREFIX}*.[1-8]"))}
