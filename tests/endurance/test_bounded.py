"""The short form of `python -m tests.endurance`: twenty thousand writes instead of a million, and the same bound.

What a small database may keep at least (some MiB of events, answers and log) is larger than all that is alive here, so
these floors are made as much smaller as the life is shorter.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from aimem.service import upkeep
from aimem.store import buffers, trimming
from tests.endurance import life
from tests.endurance.life import Life, live
from tests.endurance.table import table_of

pytestmark = pytest.mark.slow
SHORTER = 50


@pytest.fixture
def small_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Floors for a life that is so much shorter."""
    tables = tuple(replace(one, least_bytes=one.least_bytes // SHORTER) for one in buffers.BUFFERS)
    monkeypatch.setattr(buffers, "BUFFERS", tables)
    monkeypatch.setattr(upkeep, "FREE_KEPT_BYTES", upkeep.FREE_KEPT_BYTES // SHORTER)
    bounds = trimming.LogBounds()
    monkeypatch.setattr(life, "LOG", replace(bounds, kept_bytes=bounds.kept_bytes // SHORTER))


@pytest.mark.usefixtures("small_floors")
def test_a_mesh_is_as_large_as_what_is_alive_in_it_and_its_tombstones(tmp_path: Path) -> None:
    report = live(Life(ops=1_000_000 // SHORTER, live=2_500, nodes=2, days=0.2), tmp_path, print)
    print(table_of(report))
    assert sum(report.done.values()) >= 20_000
    assert report.done["delete"] > 3_000
    assert report.is_bounded
    assert {found.wal for found in report.sizes.values()} == {0}


@pytest.mark.usefixtures("small_floors")
def test_without_its_upkeep_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL_S", 1e9)
    report = live(Life(ops=8_000, live=1_000, nodes=2, days=0.1), tmp_path, print)
    assert not report.is_bounded
