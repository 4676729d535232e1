"""What a write costs does not grow with the mesh more than it has to, where cores are not the limit."""

from __future__ import annotations

import pytest

from tests.sim.scale import Figures, Ill, Load, measure


@pytest.mark.slow
@pytest.mark.parametrize("is_majority", [False, True], ids=["two", "majority"])
def test_sixteen_nodes_take_at_most_twice_the_time_of_four(is_majority: bool) -> None:
    few, many = (
        measure(Load(nodes=nodes, needed=nodes // 2 + 1 if is_majority else 2, writers=8, writes=48, idle_s=0.0))
        for nodes in (4, 16)
    )
    assert few.failed == many.failed == 0
    assert 0 < many.p50_ms <= 2 * few.p50_ms
    assert many.p99_ms <= 2 * few.p99_ms
    # A write goes to each other node once, and nobody asks all others about it.
    assert many.messages <= 15 / 3 * 1.5 * few.messages
    assert max(few.twice, many.twice) < 0.1


def with_one(ill: Ill) -> Figures:
    """Eight nodes, of which five have to have a write; nobody writes at the last one."""
    return measure(Load(nodes=8, needed=5, writers=7, writes=63, idle_s=0.0, ills={"n7": ill}))


@pytest.mark.slow
def test_a_node_that_is_dead_or_slow_costs_the_others_nothing() -> None:
    well = with_one(Ill.WELL)
    for ill in (Ill.DEAD, Ill.HANGING, Ill.CRAWLING):
        found = with_one(ill)
        assert found.failed == 0
        assert found.p50_ms == pytest.approx(well.p50_ms, rel=0.01)
        assert found.p99_ms == pytest.approx(well.p99_ms, rel=0.01)
        # The others ask it now and then, one exchange at a time: what it lacks waits in their logs and nowhere else.
        assert found.bothered < well.bothered
        assert found.at_once == 1
