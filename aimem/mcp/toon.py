r"""TOON: memories as a table of one row each; for texts of a few lines about half the size of JSON.

The text is a line of `key:value` pairs, a header that names the columns, and one line per memory; cells are divided by
`|`. A cell never holds a bare divider: backslash, `|`, `:`, line feed and carriage return are written with a backslash
before them (the last two as `\n` and `\r`). Inside the items of an array the comma is escaped as well, so that a
tag with a comma reads back as one tag.

The compact table holds the first PREVIEW_CHARS characters of a longer content and says how many more there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET

from aimem.wire import InjectedStandard, MemoryOut, RecallResult, Session, to_builtins


class Format(StrEnum):
    """How recall, search and list answer."""

    JSON = "json"
    TOON = "toon"
    TOON_COMPACT = "toon_compact"


# `content` stands last in both, so that readers which count columns find the others where v0.6.3 had them.
COLUMNS: Final[Mapping[Format, tuple[str, ...]]] = {
    Format.TOON: (
        "id", "title", "tier", "namespace", "priority", "confidence", "score", "access_count", "tags", "source",
        "created_at", "updated_at", "metadata", "content",
    ),
    Format.TOON_COMPACT: ("id", "title", "tier", "namespace", "priority", "score", "tags", "agent_id", "content"),
}

STANDARD_COLUMNS: Final = ("id", "title", "content", "standard_of")

PREVIEW_CHARS: Final = 500
"""Of a content in the compact table: whole for most memories, and ten long ones stay below 2,000 tokens."""

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "|": "\\|", ":": "\\:", "\n": "\\n", "\r": "\\r"})
_ITEM_ESCAPES: Final = _ESCAPES | {ord(","): "\\,"}


def to_toon(
    facts: Iterable[tuple[str, object]], memories: Sequence[MemoryOut], layout: Format,
    *, more_columns: Sequence[str] = (), standards: Sequence[MemoryOut] = (),
) -> str:
    """Write an answer as TOON.

    Args:
      facts: name and value of what the answer says besides its memories; a value that is None or UNSET is left out.
      memories: one row each, in this order.
      layout: TOON or TOON_COMPACT.
      more_columns: names of further wire fields, to stand behind those of the layout.
      standards: of the namespace, above the memories; their texts are whole, for nothing says less than a rule cut off.
    Returns: lines divided by one line feed, without one at the end.
    """
    columns = (*COLUMNS[layout], *more_columns)
    shown = _preview if layout is Format.TOON_COMPACT else str
    known = [f"{name}:{_cell(value)}" for name, value in facts if value is not None and value is not UNSET]
    head = ["|".join(known)] if known else []
    if standards:
        head.append(f"standards[{'|'.join(STANDARD_COLUMNS)}]:")
        head += [_row(standard, STANDARD_COLUMNS, standard.content) for standard in standards]
    rows = (_row(memory, columns, shown(memory.content)) for memory in memories)
    return "\n".join([*head, f"memories[{'|'.join(columns)}]:", *rows])


def standards_in(answer: RecallResult | Session) -> tuple[InjectedStandard, ...]:
    """The standards that came with an answer, the most general first."""
    if answer.standard is not UNSET:
        return (answer.standard,)
    return () if answer.standards is UNSET else answer.standards


def _row(memory: MemoryOut, columns: Sequence[str], content: str) -> str:
    fields: dict[str, object] = to_builtins(memory)
    fields |= {"agent_id": memory.metadata.get("agent_id"), "content": content}
    return "|".join(_cell(fields.get(column)) for column in columns)


def _preview(content: str) -> str:
    hidden_count = len(content) - PREVIEW_CHARS
    if hidden_count <= 0:
        return content
    return f"{content[:PREVIEW_CHARS]}… [+{hidden_count} characters: memory_get]"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list | tuple):
        return ",".join(_item(item) for item in value)
    if value == {}:
        return ""
    return _json(value).translate(_ESCAPES)


def _item(value: object) -> str:
    return (value if isinstance(value, str) else _json(value)).translate(_ITEM_ESCAPES)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
