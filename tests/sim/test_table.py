"""The table of planted bugs is one, and the manual has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.planted import TABLE, main
from tests.sim.planting import SEEDS_MAX

PAGE = Path(__file__).parents[2] / "man" / "ai-memory-reliability.7"
BEGIN, END = '.\\" BEGIN PLANTED\n', '.\\" END PLANTED\n'


def test_a_bug_has_a_name_of_its_own_and_few_seeds() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert all(0 < len(set(row.seeds)) == len(row.seeds) <= SEEDS_MAX for row in TABLE)


def test_the_manual_has_the_table_as_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--page"]) == 0
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == capsys.readouterr().out
