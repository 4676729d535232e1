from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from aimem.mcp.toon import COLUMNS, PREVIEW_CHARS, Format, standards_in, to_toon
from aimem.wire import InjectedStandard, MemoryOut, RecallResult, ScoredMemory, to_builtins

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text("|:\\,\n\r a", max_size=12)
TAGS = TEXTS.filter(bool)


def memory(**changes: object) -> ScoredMemory:
    fields: dict[str, object] = {
        "id": "7f3a", "tier": "mid", "namespace": "team/app", "title": "T", "content": "C", "tags": (), "priority": 5,
        "confidence": 1.0, "source": "claude", "access_count": 0, "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z", "metadata": {}, "score": 0.5,
    }
    return ScoredMemory(**fields | changes)  # type: ignore[arg-type]


def unescape(cell: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), cell, flags=re.DOTALL)


def divided(text: str, divider: str) -> list[str]:
    """Split where the divider is not escaped."""
    parts, current, position = [], "", 0
    while position < len(text):
        if text[position] == "\\":
            current += text[position : position + 2]
            position += 2
            continue
        if text[position] == divider:
            parts.append(current)
            current = ""
        else:
            current += text[position]
        position += 1
    return [*parts, current]


def read(text: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = text.split("\n")
    columns = re.fullmatch(r"memories\[(.*)\]:", header)
    assert columns
    return columns[1].split("|"), [divided(row, "|") for row in rows]


def test_a_compact_table_has_the_columns_of_old_and_the_content_at_the_end():
    text = to_toon(
        (("count", 1), ("mode", "hybrid"), ("tokens_used", 12), ("budget_tokens", UNSET)),
        [memory(title="a|b: c", tags=("x", "y,z"), content="one\ntwo\\", metadata={"agent_id": "ai:me"}, priority=9)],
        Format.TOON_COMPACT,
    )
    assert text == (
        "count:1|mode:hybrid|tokens_used:12\n"
        "memories[id|title|tier|namespace|priority|score|tags|agent_id|content]:\n"
        r"7f3a|a\|b\: c|mid|team/app|9|0.5|x,y\,z|ai\:me|one\ntwo\\"
    )


def test_a_full_table_has_times_and_metadata_as_json():
    text = to_toon((), [memory(metadata={"k": [1, "x"]}, confidence=1.0)], Format.TOON)
    assert text == (
        "memories[id|title|tier|namespace|priority|confidence|score|access_count|tags|source|created_at|updated_at"
        "|metadata|content]:\n"
        r'7f3a|T|mid|team/app|5|1.0|0.5|0||claude|2026-01-02T03\:04\:05Z|2026-01-02T03\:04\:05Z|{"k"\:[1,"x"]}|C'
    )


def test_what_a_memory_lacks_is_an_empty_cell():
    plain = msgspec.convert(msgspec.to_builtins(memory()), MemoryOut)
    row = to_toon((), [plain], Format.TOON_COMPACT, more_columns=("expires_at",)).split("\n")[1]
    assert row == "7f3a|T|mid|team/app|5||||C|"


def test_booleans_are_digits():
    row = to_toon((), [memory(title_generated=True)], Format.TOON_COMPACT, more_columns=("title_generated",))
    assert row.endswith("|C|1")


def test_an_answer_without_memories_is_its_facts_and_a_header():
    assert to_toon((("count", 0),), (), Format.TOON_COMPACT) == (
        "count:0\nmemories[id|title|tier|namespace|priority|score|tags|agent_id|content]:"
    )


def test_a_fact_of_several_lines_stays_one_line():
    assert to_toon((("summary", "one\ntwo|3"), ("x", None)), (), Format.TOON).split("\n")[0] == r"summary:one\ntwo\|3"


@pytest.mark.parametrize(("length", "hidden"), [(PREVIEW_CHARS, 0), (PREVIEW_CHARS + 1, 1), (64_000, 63_500)])
def test_the_compact_table_shows_the_beginning_of_a_long_content_and_says_how_much_is_missing(length, hidden):
    long = memory(content="ä" * length)
    compact, full = (to_toon((), [long], layout).rpartition("|")[2] for layout in (Format.TOON_COMPACT, Format.TOON))
    mark = f"… [+{hidden} characters\\: memory_get]" if hidden else ""
    assert compact == "ä" * min(length, PREVIEW_CHARS) + mark
    assert full == "ä" * length


ROWS = st.tuples(TEXTS, TEXTS, st.lists(TAGS, max_size=4), st.dictionaries(TEXTS, TEXTS, max_size=2))


@given(st.lists(ROWS, max_size=4))
def test_every_table_reads_back_as_what_was_written(rows):
    columns = ("id", "title", "content", "tags", "metadata")
    picked = [COLUMNS[Format.TOON].index(name) for name in columns]
    memories = [memory(title=t, content=c, tags=tuple(tags), metadata=m) for t, c, tags, m in rows]
    names, whole = read(to_toon((), memories, Format.TOON))
    cells = [[row[position] for position in picked] for row in whole]
    assert tuple(names) == COLUMNS[Format.TOON]
    assert [(unescape(row[1]), unescape(row[2])) for row in cells] == [(t, c) for t, c, _, _ in rows]
    assert [[unescape(tag) for tag in divided(tags, ",")] if tags else [] for _, _, _, tags, _ in cells] == [
        tags for _, _, tags, _ in rows
    ]
    assert [json.loads(unescape(cell)) if cell else {} for *_, cell in cells] == [m for _, _, _, m in rows]


@given(TEXTS)
def test_a_cell_without_special_characters_is_written_as_it_is(text):
    cell = divided(to_toon((), [memory(title=text)], Format.TOON_COMPACT).split("\n", 1)[1], "|")[1]
    assert (cell == text) == (not set(text) & set("|:\\\n\r"))


def standard(**changes: object) -> InjectedStandard:
    fields = {name: value for name, value in to_builtins(memory()).items() if name != "score"}
    return InjectedStandard(**fields | {"standard_of": "team"} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", [Format.TOON, Format.TOON_COMPACT])
def test_standards_stand_whole_above_the_memories(layout):
    rules = "Be kind.\n" * PREVIEW_CHARS
    lines = to_toon((("count", 1),), [memory()], layout, standards=[standard(content=rules)]).split("\n")
    assert lines[:2] == ["count:1", "standards[id|title|content|standard_of]:"]
    assert unescape(divided(lines[2], "|")[2]) == rules
    assert lines[3].startswith("memories[") and len(lines) == 5


def test_one_standard_or_several_come_with_an_answer():
    answer = RecallResult(memories=(), count=0, tokens_used=0, mode="keyword")
    assert standards_in(answer) == ()
    answer.standard = standard()
    assert standards_in(answer) == (answer.standard,)
    answer.standard, answer.standards = UNSET, (standard(), standard(id="8"))
    assert len(standards_in(answer)) == 2
