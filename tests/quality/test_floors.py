"""What recall finds is no worse than what we promise: the real service and the real model over the three sets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
import trio

from aimem.search import open_minilm
from tests.quality.__main__ import table
from tests.quality.harness import Mode, Report, measure
from tests.quality.sets import SetName, load_set

pytestmark = pytest.mark.slow

Reports = Mapping[tuple[SetName, Mode], Report]

KEYWORD_LAG_MAX = 3.0
"""Points that recall without the model may stand behind recall with it, where people talk."""


@pytest.fixture(scope="module")
def reports() -> Reports:
    """Every set in both modes. Two at a time: most of it is embedding, which takes one core a set."""
    found: dict[tuple[SetName, Mode], Report] = {}
    embedder = open_minilm(None)

    async def run(name: SetName, mode: Mode, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            report, _ = await measure(load_set(name), embedder if mode is Mode.HYBRID else None)
        found[name, mode] = report

    async def run_all() -> None:
        limiter = trio.CapacityLimiter(2)
        async with trio.open_nursery() as nursery:
            for name in SetName:
                for mode in Mode:
                    nursery.start_soon(partial(run, name, mode, limiter))

    trio.run(run_all)
    ordered = [found[name, mode] for name in SetName for mode in Mode]
    print("\n".join(("", *table(ordered))))
    return found


@pytest.mark.parametrize(("name", "figure", "floor"), [
    (SetName.SESSION, "hit_5", 86.0),
    (SetName.SESSION, "mrr", 71.0),
    (SetName.TURN, "hit_5", 72.0),
    (SetName.CRANFIELD, "ndcg_10", 55.0),
])
def test_recall_finds_at_least(reports: Reports, name: SetName, figure: str, floor: float) -> None:
    assert getattr(reports[name, Mode.HYBRID].overall, figure) >= floor


@pytest.mark.parametrize(("name", "figure"), [
    (SetName.TURN, "hit_5"), (SetName.TURN, "mrr"), (SetName.SESSION, "hit_5"), (SetName.SESSION, "mrr"),
])
def test_recall_by_keyword_is_close_behind_on_conversations(reports: Reports, name: SetName, figure: str) -> None:
    hybrid, keyword = (getattr(reports[name, mode].overall, figure) for mode in (Mode.HYBRID, Mode.KEYWORD))
    assert keyword >= hybrid - KEYWORD_LAG_MAX
