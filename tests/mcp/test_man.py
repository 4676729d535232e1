"""The manual says what the tools take."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.mcp import TOOLS
from aimem.mcp.man import PAGE, main, renewed

COMMITTED = Path(__file__).resolve().parents[2] / "man" / PAGE


def test_the_committed_section_is_the_generated_one():
    text = COMMITTED.read_text()
    assert renewed(text) == text, f"run: python -m aimem.mcp.man {COMMITTED.parent}"


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_every_tool_and_each_of_its_parameters_is_in_the_manual(tool):
    entry = COMMITTED.read_text().partition(f".It Li {tool.name}\n")[2].partition(".It Li ")[0]
    assert tool.description.split(". ")[0] in entry
    for name in tool.schema["properties"]:
        assert f".It Ar {name}\n" in entry


def test_a_page_without_its_marks_is_not_overwritten(tmp_path: Path):
    (tmp_path / PAGE).write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        main([str(tmp_path)])
