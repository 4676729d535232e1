"""Throughput by callers."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.operations.rates import store_rates
from aimem.wire import BenchRequest
from tests.bench.ports import bench_ports, silent

REQUEST = BenchRequest(iterations=2)


async def test_a_gain_is_against_one_caller_at_the_same_delay(tmp_path: Path) -> None:
    rates = {rate.operation: rate for rate in await store_rates(tmp_path, bench_ports(), REQUEST, silent)}
    assert rates.keys() == {"store_1", "store_64", "store_1_sync_2ms", "store_64_sync_2ms"}
    assert (rates["store_1"].gain, rates["store_1_sync_2ms"].gain) == (1, 1)
    slow = rates["store_64_sync_2ms"]
    assert slow.gain == pytest.approx(slow.per_s / rates["store_1_sync_2ms"].per_s, abs=0.1)
