"""Every check can fail: each bug of the table is found, by the checks that are for it, and nothing is without it."""

from __future__ import annotations

import pytest

from tests.sim.planted import TABLE, is_caught, line_of, main
from tests.sim.planting import Planted, conditions, findings, hunt

pytestmark = pytest.mark.slow

APART = {conditions(row, row.seeds[0]): row for row in reversed(TABLE)}
"""One row for all that are tried under the same conditions."""


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_planted_bug_is_found_by_a_check_that_is_for_it(row: Planted) -> None:
    found = hunt(row)
    assert is_caught(row, found), line_of(row, found, [])


@pytest.mark.parametrize("row", APART.values(), ids=lambda row: row.name)
def test_without_the_bug_nothing_is_found_under_its_conditions(row: Planted) -> None:
    assert not findings(row, row.seeds[0])


def test_the_table_is_run_by_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ack-on-any-2xx"]) == 0
    row, last = capsys.readouterr().out.splitlines()
    assert row.startswith("ack-on-any-2xx: found by acked, seed 1, in 1 of 8 tried, ")
    assert last.startswith("1 bugs, 1 found; ")
