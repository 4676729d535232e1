"""What a write costs does not grow with the mesh more than it has to, where cores are not the limit."""

from __future__ import annotations

import pytest

from tests.sim.scale import Load, measure


@pytest.mark.slow
@pytest.mark.parametrize("is_majority", [False, True], ids=["two", "majority"])
def test_sixteen_nodes_take_at_most_twice_the_time_of_four(is_majority: bool) -> None:
    few, many = (
        measure(Load(nodes=nodes, needed=nodes // 2 + 1 if is_majority else 2, writers=8, writes=64, idle_s=0.0))
        for nodes in (4, 16)
    )
    assert few.failed == many.failed == 0
    assert 0 < many.p50_ms <= 2 * few.p50_ms
    assert many.p99_ms <= 2 * few.p99_ms
