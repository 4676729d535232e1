"""A soak in brief: too short to tell whether anything grows, and long enough for all of its parts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest
import trio

from tests.mesh.certified import NAMES
from tests.soak.soak import Report

pytestmark = pytest.mark.slow

MINUTES: Final = 0.08
REST_S: Final = 3.0
RATE: Final = 10.0


async def test_nodes_keep_their_promises_under_a_steady_load_of_all_sorts_and_are_looked_at_before_under_and_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "soak.json"
    command = [
        sys.executable, "-m", "tests.soak", "--minutes", str(MINUTES), "--rate", str(RATE), "--every-seconds", "0.5",
        "--rest-seconds", str(REST_S), "--json", str(file), "--folder", str(tmp_path),
    ]
    done = await trio.run_process(command, capture_stdout=True, check=False)
    with capsys.disabled():
        print(f"\n{done.stdout.decode()}")
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert (report.violations, report.grown) == ((), ())
    assert "samples are too few" in report.undecided
    assert f"a rest of {REST_S:g} s is too short" in report.undecided
    assert done.returncode == 1
    assert report.acked > RATE
    assert {"read", "follow", "operate"} <= report.visits.keys()
    for look in (report.before, report.samples, report.after):
        assert {one.node for one in look} == {*NAMES}
    assert [one.name for one in tmp_path.iterdir()] == ["soak.json"]
