"""Writes the part of ai-memory-mcp(1) that follows from the table of tools.

`python -m aimem.mcp.man man/` replaces what stands between the marks; the rest of that page is the command line's. A
test compares the committed page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from aimem.mcp.schema import JsonSchema, describe
from aimem.mcp.tools import TOOLS, Tool

PAGE = "ai-memory-mcp.1"
BEGIN, END = '.\\" BEGIN GENERATED TOOLS', '.\\" END GENERATED TOOLS'

_SENTENCE_END = re.compile(r"(?<=[a-z0-9)][.])\s+(?=[A-Z])")


def tools_section() -> str:
    """The tools with their parameters, in mdoc."""
    lines = [
        ".Sh TOOLS",
        "An argument that a tool does not know is refused.",
        "Answers are JSON, or a table of",
        ".Li toon",
        "where",
        ".Li format",
        "is offered.",
        ".Bl -tag -width Ds",
    ]
    for tool in TOOLS.values():
        lines += _entry(tool)
    return "\n".join([*lines, ".El"]) + "\n"


def _entry(tool: Tool) -> Iterator[str]:
    yield f".It Li {tool.name}"
    yield from _sentences(tool.description)
    schema = tool.schema
    if not schema["properties"]:
        return
    yield ".Bl -tag -width Ds -compact"
    for name, field in schema["properties"].items():
        yield f".It Ar {name}"
        yield from _sentences(" ".join(_facts(name, field, schema["required"])))
    yield ".El"


def _facts(name: str, field: JsonSchema, required: Sequence[str]) -> Iterator[str]:
    kind = describe(field)
    yield f"{kind[0].upper()}{kind[1:]}{', required' if name in required else ''}."
    if "description" in field:
        yield field["description"].rstrip(".") + "."
    if field.get("default") not in (None, [], {}):
        yield f"Default: {field['default']}."


def _sentences(text: str) -> Iterator[str]:
    """One sentence a line, as mdoc wants it to space them."""
    yield from _SENTENCE_END.split(text)


def renewed(page: str) -> str:
    """The page with its generated part renewed. Raises: ValueError if the marks are missing."""
    head, begin, rest = page.partition(BEGIN + "\n")
    _, end, tail = rest.partition(END + "\n")
    if not begin or not end:
        raise ValueError(f"{PAGE} has lost its marks of generated text")
    return head + begin + tools_section() + end + tail


def main(arguments: Sequence[str]) -> int:
    """Renew the page in a folder."""
    path = Path(arguments[0] if arguments else "man", PAGE)
    path.write_text(renewed(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
