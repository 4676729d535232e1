"""The verb that prints a page of the manual."""

from __future__ import annotations

import difflib
import re
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
    # As one meets it: recall, ai-memory-recall.1, man/ai-memory-recall.1 or ai-memory-recall(1).
    name = re.sub(r"\((\d)\)$", r".\1", asked.rpartition("/")[2]).removeprefix(PREFIX).lstrip("-")
    page = pages.get(name)
    if page is None:
        near = difflib.get_close_matches(name, pages, n=1)
        hint = f"did you mean {near[0]}?" if near else "see `ai-memory man` for the list of verbs"
        raise NotFound(f"there is no manual page {asked[:64]!r}; {hint}", field="page")
    # Not through the screen: on a terminal it would show escapes of what is ours.
    context.around.stdout.write(page.read_text(encoding="utf-8"))
    return ExitStatus.OK


def page_files() -> dict[str, Path]:
    """Every page by what follows `ai-memory-` in its name (nothing for ai-memory(1)), with its section and without.

    Without a section the first counts, as with man: `mesh` is the verb, `mesh.7` the page about it. An installed
    package carries them inside; in the source's folder they lie beside it.
    """
    package = Path(__file__).resolve().parents[2]
    folder = package / "man" if (package / "man").is_dir() else package.parent / "man"
    pages: dict[str, Path] = {}
    for path in sorted(folder.glob(f"{PREFIX}*.[1-8]")):
        pages.setdefault(path.stem.removeprefix(PREFIX).lstrip("-"), path)
        pages[path.name.removeprefix(PREFIX).lstrip("-")] = path
    return pages
